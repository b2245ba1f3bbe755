/** Bytes, counts and seconds, docs/protocol.md §13; the page gives the reasons. */

export const MAX_MESSAGE = 4096;
export const MAX_ENVELOPE = 32768;
export const MAX_DEPTH = 8;
export const MAX_INT = Number.MAX_SAFE_INTEGER;
export const MAX_TIME = 1099511627776;
export const MAX_NUMBER = 4294967295;
export const ID = 16;
export const NONCE = 8;
export const ENROL_NONCE = 16;
export const CLAIM_CODE = 16;
export const MAX_PARCELS = 256;
export const MAX_KEYS = 4;
export const MAX_REVOKED = 128;
export const MAX_SLOTS = 24;
export const MAX_ALL_SLOTS = 48;
export const MAX_USED = 64;
export const MAX_DOCUMENTS = 5;
export const MAX_WINDOWS = 21;
export const MAX_CLAIMS = 32;
export const MAX_ARGS = 8;
export const MAX_TEXT = 128;
export const MAX_CERTIFICATE = 1536;
export const MAX_BOX = 256;
export const EPOCH_JUMP = 16;
export const TENANT_LIFE = 259200;
export const OWNER_LIFE = 2592000;
export const ENTRY_LIFE = 86400;
export const GATEWAY_LIFE = 259200;
export const MAX_AUTO_LOCK = 600;
export const PIN_DIGITS = 9;
export const PIN_LEAST = 7;
export const FIRST_USE = 86400;

/** §2: a credential, and a wish or request, in bytes. */
export const MAX_CREDENTIAL = 640;
export const MAX_WISH = 512;

/** §1: a public key, a signature, a hash, in bytes. */
export const POINT = 65;
export const SIGNATURE = 64;
export const HASH = 32;

/** §1: the tag of AES-128-GCM, in bytes. */
export const TAG = 16;

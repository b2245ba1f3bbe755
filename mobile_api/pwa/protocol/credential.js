/** The credential `LK1-EKEY`, docs/protocol.md §2: what a phone may know of its key before it walks to the door. */

import { join } from "./bytes.js";
import { openDocument } from "./cose.js";
import { checkedPoint } from "./crypto.js";
import { RemoteError } from "./errors.js";
import { bytes, field, integer, malformed, number, optional, readMap, time } from "./fields.js";
import { ENTRY_LIFE, GATEWAY_LIFE, ID, MAX_CREDENTIAL, MAX_NUMBER, MAX_WINDOWS, OWNER_LIFE, TENANT_LIFE } from "./limits.js";

export const OWNER = 1;
export const STAFF = 2;
export const TENANT = 3;
export const GUEST = 4;
export const GATEWAY = 5;

/** Capability bits. */
export const UNLOCK = 1;
export const HOLD_OPEN = 2;
export const LOCK = 4;
export const READ_JOURNAL = 8;
export const ADMINISTER = 16;
export const ENTRY = 32;
export const CARRY = 64;

export const MINUTES_OF_WEEK = 10080;
const MAX_OFFSET = 840;

/**
 * @typedef {{offset: number, windows: [number, number][]}} Schedule minutes east of UTC; half-open pairs of local
 *   minutes from Monday 00:00
 * @typedef {object} Credential
 * @property {Uint8Array} cti
 * @property {Uint8Array} subject
 * @property {Uint8Array} lockId
 * @property {Uint8Array} holderPublic
 * @property {number} nbf
 * @property {number} exp
 * @property {number} iat
 * @property {number} capabilities
 * @property {number} class
 * @property {number|null} epoch
 * @property {Schedule|null} schedule
 * @property {number|null} uses 1: one opening
 */

const COSE_KEY = {
  type: field(1, integer(2, 2)),
  curve: field(-1, integer(1, 1)),
  x: field(-2, bytes(32)),
  y: field(-3, bytes(32)),
};

const CLAIMS = {
  subject: field(2, bytes(ID)),
  lockId: field(3, bytes(ID)),
  exp: field(4, time),
  nbf: field(5, time),
  iat: field(6, time),
  cti: field(7, bytes(ID)),
  holderPublic: field(8, holderKey),
  capabilities: field(-1, integer(MAX_NUMBER)),
  class: field(-2, integer(GATEWAY, OWNER)),
  epoch: optional(-3, number),
  schedule: optional(-4, schedule),
  uses: optional(-5, integer(1, 1)),
};

/**
 * @param {Uint8Array} raw
 * @param {Uint8Array[]} issuerKeys points of the newest key set
 * @returns {Promise<Credential>}
 * @throws {RemoteError} `bad_issuer`, `bad_format`, `too_large`, `unknown_claim`, `bad_point`, `life_too_long`
 */
export async function readCredential(raw, issuerKeys) {
  const codes = { most: MAX_CREDENTIAL, stranger: "bad_issuer", forged: "bad_issuer" };
  const claims = /** @type {Credential} */ (
    /** @type {unknown} */ (readMap(CLAIMS, await openDocument("LK1-EKEY", raw, issuerKeys, codes)))
  );
  const life = claims.exp - claims.nbf;
  if (life <= 0 || life > longestLife(claims)) throw new RemoteError("life_too_long");
  return claims;
}

/** @param {Credential} claims @returns {number} seconds */
function longestLife(claims) {
  if (claims.class === GATEWAY) return GATEWAY_LIFE;
  if (claims.capabilities & ENTRY) return ENTRY_LIFE;
  return claims.class === OWNER || claims.class === STAFF ? OWNER_LIFE : TENANT_LIFE;
}

/** @param {import("../cbor.js").CborValue|undefined} value @returns {Uint8Array} */
function holderKey(value) {
  const key = value instanceof Map && value.size === 1 ? value.get(1) : null;
  // This very map: nothing in it may be ignored.
  const exact = key instanceof Map && key.size === 4 && [1, -1, -2, -3].every((part) => key.has(part));
  if (!exact) return malformed("cnf");
  const { x, y } = readMap(COSE_KEY, key);
  return checkedPoint(join(Uint8Array.of(4), x, y));
}

/** @param {import("../cbor.js").CborValue|undefined} value @returns {Schedule} */
export function schedule(value) {
  if (!Array.isArray(value) || value.length !== 2) return malformed("schedule");
  const offset = integer(MAX_OFFSET, -MAX_OFFSET)(value[0]);
  const edges = value[1];
  if (!Array.isArray(edges) || edges.length === 0 || edges.length % 2 !== 0) return malformed("schedule");
  if (edges.length > 2 * MAX_WINDOWS) throw new RemoteError("too_large", "schedule");
  /** @type {[number, number][]} */
  const windows = [];
  let free = 0;
  for (let at = 0; at < edges.length; at += 2) {
    const from = integer(MINUTES_OF_WEEK, free)(edges[at]);
    const until = integer(MINUTES_OF_WEEK, from + 1)(edges[at + 1]);
    windows.push([from, until]);
    free = until;
  }
  return Object.freeze({ offset, windows });
}

/** What a phone signs beside the door: wishes and requests to the server, docs/protocol.md §2. */

import { utf8 } from "./bytes.js";
import { openDocument, signDocument } from "./cose.js";
import { hash } from "./crypto.js";
import { LocalError } from "./errors.js";
import { bytes, bytesUpTo, field, integer, malformed, optional, readMap, text, time, writeMap } from "./fields.js";
import { HASH, ID, MAX_ARGS, MAX_INT, MAX_TEXT, MAX_WISH, NONCE } from "./limits.js";

/** Wish operations; the comment names the target. */
export const WISHES = Object.freeze({
  unlock: 1, // lock
  lock: 2, // lock
  hold_open: 3, // lock
  share: 4, // grant
  freeze: 5, // grant
  unfreeze: 6, // grant
  revoke: 7, // grant, or an entry that was allowed
  read_pin: 8, // lock
  set_pin: 9, // lock
  end_tenancy: 10, // tenancy
  consent_entry: 11, // lock
  emergency_entry: 12, // lock
  name_staff: 13, // house
  name_guest: 14, // door
  remove_phone: 15, // phone
  sign_tenancy: 16, // door
  release_lock: 17, // lock
  check_identity: 18, // case
  edit_grant: 19, // grant
  enrol_card: 20, // lock
  remove_slot: 21, // slot
  name_gateway: 22, // house
  retire: 23, // lock
});

const MAX_ARG = 128;
const SALT = 16;

const WISH = {
  wishId: field(1, bytes(ID)),
  targetId: field(2, bytes(ID)),
  operation: field(3, integer(WISHES.retire, 1)),
  notAfter: field(4, time),
  args: optional(5, args),
};
const REQUEST = {
  phoneId: field(1, bytes(ID)),
  methodPath: field(2, text(MAX_TEXT)),
  bodyHash: field(3, bytes(HASH)),
  issuedAt: field(4, time),
  nonce: field(5, bytes(NONCE)),
};

/**
 * @typedef {object} Wish
 * @property {Uint8Array} wishId used once
 * @property {Uint8Array} targetId
 * @property {number} operation one of WISHES
 * @property {number} notAfter Unix seconds
 * @property {Map<string, number|string|Uint8Array>|null} [args] 1 to 8, or none
 */

/** @param {Wish} wish @param {import("./crypto.js").KeyPair} phone @returns {Promise<Uint8Array>} `LK1-WISH` */
export async function signWish(wish, phone) {
  return signDocument("LK1-WISH", writeMap(WISH, wish), phone, MAX_WISH);
}

/** @param {Uint8Array} raw @param {Uint8Array} phonePublic @returns {Promise<Wish>} @throws {RemoteError} */
export async function readWish(raw, phonePublic) {
  const codes = { most: MAX_WISH, stranger: "wish_bad", forged: "wish_bad" };
  return /** @type {any} */ (readMap(WISH, await openDocument("LK1-WISH", raw, [phonePublic], codes)));
}

/**
 * @param {{phoneId: Uint8Array, methodPath: string, body: Uint8Array, issuedAt: number, nonce: Uint8Array}} request
 *   methodPath e.g. `POST /v1/phone/sync`; the body as it is sent; Unix seconds; a nonce used once
 * @param {import("./crypto.js").KeyPair} phone
 * @returns {Promise<Uint8Array>} `LK1-REQ`
 */
export async function signRequest(request, phone) {
  const said = { ...request, bodyHash: await hash(request.body) };
  return signDocument("LK1-REQ", writeMap(REQUEST, said), phone, MAX_WISH);
}

/**
 * @param {Uint8Array} raw @param {Uint8Array} phonePublic
 * @returns {Promise<{phoneId: Uint8Array, methodPath: string, bodyHash: Uint8Array, issuedAt: number,
 *   nonce: Uint8Array}>}
 * @throws {RemoteError}
 */
export async function readRequest(raw, phonePublic) {
  return /** @type {any} */ (readMap(REQUEST, await openDocument("LK1-REQ", raw, [phonePublic], { most: MAX_WISH })));
}

/** @param {any} value @returns {Map<string, number|string|Uint8Array>} */
function args(value) {
  if (!(value instanceof Map) || value.size < 1 || value.size > MAX_ARGS) return malformed("args");
  for (const [name, item] of value) {
    text(MAX_TEXT)(name);
    if (item instanceof Uint8Array) bytesUpTo(MAX_ARG)(item);
    else if (typeof item === "string") text(MAX_TEXT)(item);
    else integer(MAX_INT, -MAX_INT)(item);
  }
  return value;
}

/**
 * The wish's argument `of` over a request that lets somebody in, and the salt that the request carries.
 *
 * @param {Record<string, any>} body members without `wish` and `salt`: integers, text, truths, null, lists, objects
 * @param {Uint8Array} salt 16 random bytes, fresh for every wish
 * @returns {Promise<Map<string, Uint8Array>>} args
 */
export async function covering(body, salt) {
  if (salt.length !== SALT) throw new LocalError("bad_format", "salt");
  return new Map([["of", await hash(salt, utf8(canonicalJson(body)))]]);
}

/**
 * Canonical JSON: members sorted by name, no spaces (RFC 8785 without fractions).
 *
 * @param {any} value @returns {string} @throws {LocalError} `bad_format`
 */
export function canonicalJson(value) {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`).join(",")}}`;
  }
  const whole = typeof value !== "number" || Number.isSafeInteger(value);
  if (!whole || value === undefined) throw new LocalError("bad_format", "no JSON without fractions");
  return JSON.stringify(value);
}

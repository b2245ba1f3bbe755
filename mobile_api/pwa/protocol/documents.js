/** Documents that a phone pins or carries (docs/protocol.md §2): each is verified, for its lock, or refused. */

import { same } from "./bytes.js";
import { openDocument } from "./cose.js";
import { RemoteError } from "./errors.js";
import { bool, bytes, integer, listOf, malformed, number, orNull, point, row, time } from "./fields.js";
import { field, optional, readMap } from "./fields.js";
import { schedule } from "./credential.js";
import { ID, MAX_ALL_SLOTS, MAX_AUTO_LOCK, MAX_KEYS, MAX_REVOKED, MAX_SLOTS, NONCE } from "./limits.js";

/** Kinds of documents in M3 and in command 4. */
export const KEY_SET = 1;
export const REVOCATION_LIST = 2;
export const TIME_STATEMENT = 3;
export const ACCESS_STATE = 4;
export const RELEASE = 5;

const VERIFIER = 16;
const MAX_SLOT = 255;

const SLOT = row(integer(MAX_SLOT), bytes(VERIFIER), bytes(ID), time, time, integer(4, 1), orNull(number));
const REVOKED = listOf(row(bytes(ID), time), MAX_REVOKED);

/** Slots ascend by number, no two alike. @type {import("./fields.js").Reading} */
const SLOTS = (value) => {
  const slots = listOf(SLOT, MAX_SLOTS)(value);
  const numbers = slots.map((/** @type {any[]} */ slot) => slot[0]);
  const ascend = numbers.slice(1).every((/** @type {number} */ each, /** @type {number} */ at) => numbers[at] < each);
  return ascend ? slots : malformed("slots not ascending");
};

const DOOR = { lockId: field(1, bytes(ID)), lockPublic: field(2, point), iat: field(3, time) };
const LIST = {
  lockId: field(1, bytes(ID)),
  number: field(2, number),
  entries: field(3, REVOKED),
  iat: field(4, time),
  iatFloor: optional(5, time),
};
const TIME = { now: field(1, time), nonce: field(2, bytes(NONCE)), lockId: field(3, bytes(ID)) };
const STATE = {
  lockId: field(1, bytes(ID)),
  version: field(2, number),
  epoch: optional(3, number),
  occupied: field(4, bool),
  pins: field(5, SLOTS),
  cards: field(6, SLOTS),
  iat: field(7, time),
  fingers: optional(8, SLOTS),
  holdOpen: optional(9, schedule),
  autoLock: optional(10, integer(MAX_AUTO_LOCK)),
};
const KEYS = {
  number: field(1, number),
  issuerKeys: field(2, listOf(point, MAX_KEYS, 1)),
  commandKeys: field(3, listOf(point, MAX_KEYS, 1)),
  reportKey: field(4, point),
  iat: field(5, time),
  pinKey: optional(6, point),
};
const RELEASED = { lockId: field(1, bytes(ID)), reason: field(2, integer(2, 1)), iat: field(3, time) };

/**
 * @param {string} kind @param {import("./fields.js").Fields} fields @param {Uint8Array} raw @param {Uint8Array[]} keys
 * @param {Uint8Array} [lockId] the lock it must be for
 */
async function read(kind, fields, raw, keys, lockId) {
  const said = readMap(fields, await openDocument(kind, raw, keys));
  if (lockId && !same(said.lockId, lockId)) throw new RemoteError("wrong_lock", kind);
  return said;
}

/**
 * `LK1-DOOR`: the lock's id and signing key, to pin.
 *
 * @param {Uint8Array} raw @param {Uint8Array[]} issuerKeys
 * @returns {Promise<{lockId: Uint8Array, lockPublic: Uint8Array, iat: number}>} @throws {RemoteError}
 */
export async function readDoor(raw, issuerKeys) {
  return /** @type {any} */ (await read("LK1-DOOR", DOOR, raw, issuerKeys));
}

/**
 * `LK1-KEYS`: whose signatures count.
 *
 * @param {Uint8Array} raw @param {Uint8Array} rootPublic the site's root
 * @returns {Promise<{number: number, issuerKeys: Uint8Array[], commandKeys: Uint8Array[], reportKey: Uint8Array,
 *   iat: number, pinKey: Uint8Array|null}>} pinKey: whom a custom PIN is sealed to
 * @throws {RemoteError}
 */
export async function readKeySet(raw, rootPublic) {
  return /** @type {any} */ (await read("LK1-KEYS", KEYS, raw, [rootPublic]));
}

/**
 * `LK1-RL`: what is revoked at a lock.
 *
 * @param {Uint8Array} raw @param {Uint8Array[]} issuerKeys @param {Uint8Array} lockId
 * @returns {Promise<{lockId: Uint8Array, number: number, entries: [Uint8Array, number][], iat: number,
 *   iatFloor: number|null}>}
 * @throws {RemoteError}
 */
export async function readRevocationList(raw, issuerKeys, lockId) {
  return /** @type {any} */ (await read("LK1-RL", LIST, raw, issuerKeys, lockId));
}

/**
 * `LK1-STATE`: what a lock must converge to.
 *
 * @param {Uint8Array} raw @param {Uint8Array[]} issuerKeys @param {Uint8Array} lockId
 * @returns {Promise<{lockId: Uint8Array, version: number, epoch: number|null, occupied: boolean, pins: any[][],
 *   cards: any[][], iat: number, fingers: any[][], holdOpen: import("./credential.js").Schedule|null,
 *   autoLock: number|null}>} slots as on the page; autoLock in seconds
 * @throws {RemoteError}
 */
export async function readAccessState(raw, issuerKeys, lockId) {
  const said = await read("LK1-STATE", STATE, raw, issuerKeys, lockId);
  const fingers = said.fingers ?? [];
  if (said.pins.length + said.cards.length + fingers.length > MAX_ALL_SLOTS) throw new RemoteError("too_large", "slots");
  return /** @type {any} */ (Object.freeze({ ...said, fingers }));
}

/**
 * `LK1-RELEASE`: the lock is let go by its site.
 *
 * @param {Uint8Array} raw @param {Uint8Array[]} issuerKeys @param {Uint8Array} lockId
 * @returns {Promise<{lockId: Uint8Array, reason: number, iat: number}>} reason 1 released, 2 emergency
 * @throws {RemoteError}
 */
export async function readRelease(raw, issuerKeys, lockId) {
  return /** @type {any} */ (await read("LK1-RELEASE", RELEASED, raw, issuerKeys, lockId));
}

/**
 * `LK1-TIME`: the issuer's time for a lock's nonce (field 5 of M2's info).
 *
 * @param {Uint8Array} raw @param {Uint8Array[]} issuerKeys @param {Uint8Array} lockId @param {Uint8Array} nonce
 * @returns {Promise<{now: number, nonce: Uint8Array, lockId: Uint8Array}>} @throws {RemoteError} also `wrong_nonce`
 */
export async function readTime(raw, issuerKeys, lockId, nonce) {
  const said = /** @type {any} */ (await read("LK1-TIME", TIME, raw, issuerKeys, lockId));
  if (!same(said.nonce, nonce)) throw new RemoteError("wrong_nonce");
  return said;
}

/**
 * The lock's decision, docs/protocol.md §7, for a phone that says beforehand why a key will not work.
 *
 * Windows are half-open, `[from, until)`, as in Python and in the lock (L-40, `tests/vectors/access.json`). The lock
 * decides; this only foretells.
 */

import { same } from "./bytes.js";
import { CARRY, ENTRY, GATEWAY, GUEST, HOLD_OPEN, LOCK, OWNER, READ_JOURNAL, STAFF, TENANT, UNLOCK } from "./credential.js";
import { MINUTES_OF_WEEK } from "./credential.js";
import { OPERATIONS } from "./handshake.js";
import { EPOCH_JUMP, MAX_USED } from "./limits.js";

/** The Unix epoch was a Thursday 00:00: three days after a Monday. */
const EPOCH_MINUTE = 4320;

/** @type {Readonly<Record<number, number>>} the capability that each operation needs */
const NEEDS = Object.freeze({
  [OPERATIONS.unlock]: UNLOCK,
  [OPERATIONS.lock]: LOCK,
  [OPERATIONS.hold_open]: HOLD_OPEN,
  [OPERATIONS.read_journal]: READ_JOURNAL,
  [OPERATIONS.sync]: 0,
  [OPERATIONS.capture]: UNLOCK,
  [OPERATIONS.carry]: CARRY,
});

/**
 * @typedef {import("./credential.js").Credential} Claims verified
 *
 * @typedef {object} Clock
 * @property {number|null} now Unix seconds; null: lost
 * @property {number} floor the latest time ever known
 *
 * @typedef {object} Door what a lock holds
 * @property {Uint8Array} lockId
 * @property {boolean} shared
 * @property {number} epoch turnover epoch; of no meaning at shared doors
 * @property {number} ownerEpoch
 * @property {number} staffEpoch
 * @property {boolean} occupied
 * @property {Uint8Array[]} revoked credential ids
 * @property {number|null} iatFloor
 * @property {Uint8Array[]} [used] ids of one-time credentials whose opening was had
 *
 * @typedef {{denied: string}|{denied: null, raiseEpoch: number|null, occupies: boolean, usesUp: boolean}} Verdict
 */

/** Whether `now` lies in `[from, until)`. @param {number} now @param {number} from @param {number} until */
export function inWindow(now, from, until) {
  return from <= now && now < until;
}

/** @param {number} now Unix seconds @param {number} offset minutes east of UTC @returns {number} from Monday 00:00 */
export function minuteOfWeek(now, offset) {
  const minutes = Math.floor(now / 60) + offset + EPOCH_MINUTE;
  return ((minutes % MINUTES_OF_WEEK) + MINUTES_OF_WEEK) % MINUTES_OF_WEEK;
}

/** @param {import("./credential.js").Schedule} schedule @param {number} now Unix seconds */
export function scheduleHolds(schedule, now) {
  const minute = minuteOfWeek(now, schedule.offset);
  return schedule.windows.some(([from, until]) => inWindow(minute, from, until));
}

/**
 * @param {Claims} claims verified @param {number} operation one of OPERATIONS
 * @param {Clock} clock @param {Door} door @returns {Verdict}
 */
export function decide(claims, operation, clock, door) {
  const denied =
    deniedByTime(claims, clock, door) ??
    deniedByEpoch(claims, door) ??
    deniedByUse(claims, operation, clock, door) ??
    deniedByCount(claims, operation, door);
  if (denied) return { denied };
  const raises = opens(operation) && claims.epoch !== null && claims.epoch > heldEpoch(claims, door);
  return {
    denied: null,
    raiseEpoch: raises ? claims.epoch : null,
    occupies: raises && isResident(claims),
    usesUp: opens(operation) && claims.uses !== null,
  };
}

/** Whether an operation lets somebody in. @param {number} operation */
function opens(operation) {
  return operation === OPERATIONS.unlock || operation === OPERATIONS.hold_open;
}

/** @param {Claims} claims */
function isResident(claims) {
  return claims.class === TENANT || claims.class === GUEST;
}

/** @param {Claims} claims @param {Door} door @returns {number} */
function heldEpoch(claims, door) {
  if (claims.class === OWNER) return door.ownerEpoch;
  return claims.class === STAFF ? door.staffEpoch : door.epoch;
}

/** @param {Claims} claims @param {Clock} clock @param {Door} door @returns {string|null} */
function deniedByTime(claims, clock, door) {
  if (!same(claims.lockId, door.lockId)) return "wrong_lock";
  if (clock.floor >= claims.exp) return "expired";
  if (clock.now === null) return "clock_lost";
  if (clock.now < claims.nbf) return "not_yet";
  if (clock.now >= claims.exp) return "expired";
  if (door.revoked.some((cti) => same(cti, claims.cti))) return "revoked";
  return door.iatFloor !== null && claims.iat < door.iatFloor ? "list_floor" : null;
}

/** @param {Claims} claims @param {Door} door @returns {string|null} */
function deniedByEpoch(claims, door) {
  const none = claims.class === GATEWAY || (isResident(claims) && door.shared);
  if (none) return claims.epoch === null ? null : "epoch_shared";
  if (isResident(claims) && claims.epoch === null) return "epoch_low";
  const epoch = claims.epoch ?? 0;
  const held = heldEpoch(claims, door);
  if (epoch < held) return "epoch_low";
  return epoch > held + EPOCH_JUMP ? "epoch_jump" : null;
}

/**
 * @param {Claims} claims @param {number} operation @param {Clock} clock @param {Door} door @returns {string|null}
 */
function deniedByUse(claims, operation, clock, door) {
  if (!capable(claims, operation)) return "capability";
  if (claims.schedule && !scheduleHolds(claims.schedule, /** @type {number} */ (clock.now))) return "schedule";
  if (!door.occupied || isResident(claims)) return null;
  if (operation === OPERATIONS.capture) return "occupied";
  return opens(operation) && !(claims.capabilities & ENTRY) ? "occupied" : null;
}

/** @param {Claims} claims @param {number} operation */
function capable(claims, operation) {
  const carries = operation === OPERATIONS.carry;
  if (claims.class === GATEWAY) return carries && claims.capabilities === CARRY;
  if (carries || claims.capabilities & CARRY) return false;
  if (operation === OPERATIONS.capture && claims.uses !== null) return false;
  const needed = NEEDS[operation];
  return needed !== undefined && (claims.capabilities & needed) === needed;
}

/** @param {Claims} claims @param {number} operation @param {Door} door @returns {string|null} */
function deniedByCount(claims, operation, door) {
  if (claims.uses === null || !opens(operation)) return null;
  const used = door.used ?? [];
  if (used.some((cti) => same(cti, claims.cti))) return "used_up";
  return used.length >= MAX_USED ? "back_off" : null;
}

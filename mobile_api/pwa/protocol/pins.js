/**
 * PINs as a phone knows them, docs/protocol.md §15: how long an offline PIN works, and which custom PIN is too weak.
 *
 * The digits of offline PINs come from the issuer in a box: no phone holds the door seed.
 */

import { inWindow } from "./access.js";
import { boxInfo, openBox, sealBox } from "./boxes.js";
import { utf8 } from "./bytes.js";
import { RemoteError, LocalError } from "./errors.js";
import { FIRST_USE, PIN_DIGITS, PIN_LEAST } from "./limits.js";

const HOUR = 3600;
const RECURRING = 4 * HOUR;
const RUN = 5;
const DATE = 8;
const VARIETY = 4;

/** @typedef {{name: string, life: number, once: boolean, period: number|null}} PinCode life and period in seconds */

/** Kinds of offline PINs by code. @type {readonly PinCode[]} */
export const PIN_CODES = Object.freeze(
  /** @type {[string, number, boolean, number|null][]} */ ([
    ["one_time", 86400, true, null],
    ["hours_3", 10800, false, null],
    ["day", 86400, false, null],
    ["days_3", 259200, false, null],
    ["week", 604800, false, null],
    ["daily", 604800, false, 86400],
    ["weekly", 7257600, false, 604800],
    ["owner", 86400, true, null],
    ["clear", 86400, false, null],
  ]).map(([name, life, once, period]) => Object.freeze({ name, life, once, period })),
);

/**
 * When an offline PIN works, all half-open, Unix seconds: its life `[start, until)`, of which the first use lies before
 * `firstUntil`.
 *
 * @param {number} code @param {number} start as it was asked for @returns {{start: number, firstUntil: number,
 *   until: number}}
 */
export function pinLife(code, start) {
  const from = Math.floor(start / HOUR) * HOUR;
  const until = from + PIN_CODES[code].life;
  return { start: from, firstUntil: Math.min(from + FIRST_USE, until), until };
}

/**
 * Whether an offline PIN works at `now`.
 *
 * @param {number} code @param {number} start Unix seconds @param {number} now Unix seconds
 * @param {boolean} inUse whether it was used before
 */
export function pinWorks(code, start, now, inUse) {
  const life = pinLife(code, start);
  if (!inWindow(now, life.start, inUse ? life.until : life.firstUntil)) return false;
  const { period } = PIN_CODES[code];
  return period === null || (now - life.start) % period < RECURRING;
}

/**
 * The first rule of custom PINs that this one breaks.
 *
 * @param {string} digits
 * @returns {"length"|"same_digit"|"run"|"block"|"date"|"few_digits"|null} null: none
 */
export function weakness(digits) {
  if (!/^[0-9]+$/.test(digits) || digits.length < PIN_LEAST || digits.length > PIN_DIGITS) return "length";
  const different = new Set(digits).size;
  if (different === 1) return "same_digit";
  if (hasRun(digits)) return "run";
  if (repeats(digits)) return "block";
  if (holdsDate(digits)) return "date";
  return different < VARIETY ? "few_digits" : null;
}

/** Five neighbours up, or down, by one each; 9 and 0 are neighbours. @param {string} digits */
function hasRun(digits) {
  const steps = [...digits].slice(1).map((digit, at) => (Number(digit) - Number(digits[at]) + 10) % 10);
  const runs = (/** @type {number} */ step) =>
    steps.some((_, at) => steps.slice(at, at + RUN - 1).filter((each) => each === step).length === RUN - 1);
  return runs(1) || runs(9);
}

/** @param {string} digits */
function repeats(digits) {
  for (let size = 2; size <= Math.floor(digits.length / 2); size += 1) {
    if (digits.slice(size) === digits.slice(0, -size)) return true;
  }
  return false;
}

/** Eight neighbours as YYYYMMDD. @param {string} digits */
function holdsDate(digits) {
  for (let at = 0; at + DATE <= digits.length; at += 1) {
    const [year, month, day] = [digits.slice(at, at + 4), digits.slice(at + 4, at + 6), digits.slice(at + 6, at + 8)];
    const dated = inWindow(Number(year), 1900, 2100) && inWindow(Number(month), 1, 13) && inWindow(Number(day), 1, 32);
    if (dated) return true;
  }
  return false;
}

/**
 * A custom PIN for the issuer's eyes: the argument `pin` of a wish to set it.
 *
 * @param {Uint8Array} pinKey the key set's @param {Uint8Array} lockId @param {string} digits
 * @returns {Promise<Uint8Array>} box @throws {LocalError} `bad_format` for a weak one
 */
export async function sealPin(pinKey, lockId, digits) {
  const weak = weakness(digits);
  if (weak !== null) throw new LocalError("bad_format", weak);
  return sealBox(pinKey, boxInfo("pin_set", lockId), utf8(digits));
}

/**
 * The digits of a PIN that the issuer has read for this phone.
 *
 * @param {import("./crypto.js").KeyPair} phone its ECDH pair @param {Uint8Array} lockId @param {Uint8Array} box
 * @returns {Promise<string>} @throws {RemoteError} `bad_box`, `bad_point`, `bad_format`
 */
export async function openPin(phone, lockId, box) {
  const digits = new TextDecoder().decode(await openBox(phone, boxInfo("pin", lockId), box));
  if (!/^[0-9]{7,9}$/.test(digits)) throw new RemoteError("bad_format", "no PIN");
  return digits;
}

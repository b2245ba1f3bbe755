/**
 * Signed maps and fixed arrays (docs/protocol.md §1): one table of fields reads and writes them.
 *
 * A `Reading` takes a decoded value and gives ours, or throws `RemoteError`.
 */

import { checkedPoint } from "./crypto.js";
import { LocalError, RemoteError } from "./errors.js";
import { MAX_CLAIMS, MAX_NUMBER, MAX_TIME, POINT } from "./limits.js";

/** @typedef {import("../cbor.js").CborValue} CborValue */
/** @typedef {import("../cbor.js").CborMap} CborMap */
/** @typedef {(value: CborValue|undefined) => any} Reading */
/** @typedef {{number: number, reading: Reading, optional: boolean}} Field */
/** @typedef {Record<string, Field>} Fields */

/** Fields from here on are ignored by readers that do not know them. */
const IGNORABLE = 256;

/** @param {string} why @returns {never} */
export function malformed(why) {
  throw new RemoteError("bad_format", why);
}

/** @param {number} most @param {number} [least] @returns {Reading} */
export function integer(most, least = 0) {
  return (value) => (typeof value === "number" && value >= least && value <= most ? value : malformed("integer"));
}

/** Unix seconds. @type {Reading} */
export const time = integer(MAX_TIME);

/** Document number, version, epoch, counter. @type {Reading} */
export const number = integer(MAX_NUMBER);

/** @type {Reading} */
export const bool = (value) => (typeof value === "boolean" ? value : malformed("bool"));

/** @param {number} most @param {number} [least] bytes @returns {Reading} */
export function bytesUpTo(most, least = 0) {
  return (value) =>
    value instanceof Uint8Array && value.length >= least && value.length <= most ? value : malformed("bytes");
}

/** @param {number} size bytes @returns {Reading} */
export function bytes(size) {
  return bytesUpTo(size, size);
}

/** @type {Reading} */
export const point = (value) => checkedPoint(bytes(POINT)(value));

/** @param {number} most characters (code points) @param {number} [least] @returns {Reading} */
export function text(most, least = 0) {
  return (value) => {
    if (typeof value !== "string") return malformed("text");
    const size = [...value].length;
    return size >= least && size <= most ? value : malformed("text");
  };
}

/** @param {Reading} reading @returns {Reading} */
export function orNull(reading) {
  return (value) => (value === null ? null : reading(value));
}

/** @param {Reading} reading @param {number} most @param {number} [least] items @returns {Reading} */
export function listOf(reading, most, least = 0) {
  return (value) => {
    if (!Array.isArray(value) || value.length < least) return malformed("list");
    if (value.length > most) throw new RemoteError("too_large", "list");
    return value.map((item) => reading(item));
  };
}

/** A fixed array. @param {...Reading} readings @returns {Reading} */
export function row(...readings) {
  return (value) => {
    if (!Array.isArray(value) || value.length !== readings.length) return malformed("row");
    return value.map((item, index) => readings[index](item));
  };
}

/** @param {number} number @param {Reading} reading @returns {Field} */
export function field(number, reading) {
  return { number, reading, optional: false };
}

/**
 * Absent stands for null; null on the wire is refused.
 *
 * @param {number} number @param {Reading} reading @returns {Field}
 */
export function optional(number, reading) {
  return { number, reading, optional: true };
}

/**
 * @param {Fields} fields @param {CborValue} map decoded
 * @returns {Record<string, any>} frozen; an absent optional field is null
 * @throws {RemoteError} `bad_format`, `unknown_claim`, `bad_point`, `too_large`
 */
export function readMap(fields, map) {
  if (!(map instanceof Map)) return malformed("no map");
  if (map.size > MAX_CLAIMS) throw new RemoteError("too_large", "fields");
  const known = new Set(Object.values(fields).map((each) => each.number));
  for (const key of map.keys()) {
    const ignorable = typeof key === "number" && (known.has(key) || key >= IGNORABLE);
    if (!ignorable) throw new RemoteError("unknown_claim", String(key));
  }
  const entries = Object.entries(fields).map(([name, each]) => {
    if (map.has(each.number)) return [name, each.reading(map.get(each.number))];
    return each.optional ? [name, null] : malformed(`no ${name}`);
  });
  return Object.freeze(Object.fromEntries(entries));
}

/**
 * @param {Fields} fields @param {Record<string, any>} values null or undefined leaves an optional field out
 * @returns {CborMap} @throws {LocalError} with the code a reader would give
 */
export function writeMap(fields, values) {
  /** @type {CborMap} */
  const map = new Map();
  for (const [name, each] of Object.entries(fields)) {
    const value = values[name];
    if (value !== undefined && value !== null) map.set(each.number, value);
  }
  try {
    readMap(fields, map);
  } catch (error) {
    if (error instanceof RemoteError) throw new LocalError(error.code, error.message);
    throw error;
  }
  return map;
}

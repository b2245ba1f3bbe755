/**
 * Deterministic CBOR of docs/protocol.md §1 (RFC 8949 §4.2.1), and nothing more.
 *
 * Values: integers in ±(2^53−1), Uint8Array, text, true, false, null, arrays, and `Map` whose keys are integers or
 * text. A reader refuses every encoding that this writer would not write.
 */

import { compare, join } from "./protocol/bytes.js";
import { LocalError, RemoteError } from "./protocol/errors.js";
import { MAX_DEPTH, MAX_INT } from "./protocol/limits.js";

/** @typedef {number|Uint8Array|string|boolean|null|CborArray|CborMap} CborValue */
/** @typedef {CborValue[]} CborArray */
/** @typedef {Map<number|string, CborValue>} CborMap */

const UINT = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const TWO_32 = 2 ** 32;

/**
 * @param {CborValue} value
 * @returns {Uint8Array}
 * @throws {LocalError} `bad_format` for what the page does not allow
 */
export function encode(value) {
  return write(value, 0);
}

/**
 * @param {Uint8Array} bytes one whole value
 * @returns {CborValue}
 * @throws {RemoteError} `bad_format`
 */
export function decode(bytes) {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) refuse("trailing bytes");
  return value;
}

/** @param {CborValue} value @param {number} depth containers around it @returns {Uint8Array} */
function write(value, depth) {
  if (value === null) return Uint8Array.of(0xf6);
  if (value === false) return Uint8Array.of(0xf4);
  if (value === true) return Uint8Array.of(0xf5);
  if (typeof value === "number") return writeInteger(value);
  if (typeof value === "string") return writeText(value);
  if (value instanceof Uint8Array) return join(head(BYTES, value.length), value);
  if (depth === MAX_DEPTH) throw new LocalError("bad_format", "too deep");
  if (Array.isArray(value)) return join(head(ARRAY, value.length), ...value.map((item) => write(item, depth + 1)));
  if (value instanceof Map) return writeMap(value, depth + 1);
  throw new LocalError("bad_format", "no value of ours");
}

/** @param {number} value @returns {Uint8Array} */
function writeInteger(value) {
  if (!Number.isSafeInteger(value)) throw new LocalError("bad_format", "no integer, or beyond 2^53-1");
  return value < 0 ? head(NEGATIVE, -1 - value) : head(UINT, value);
}

/** @param {string} value @returns {Uint8Array} */
function writeText(value) {
  const encoded = new TextEncoder().encode(value);
  // The encoder puts U+FFFD in the place of half a surrogate pair: another text than the caller's.
  if (new TextDecoder("utf-8", { ignoreBOM: true }).decode(encoded) !== value) {
    throw new LocalError("bad_format", "text that is not Unicode");
  }
  return join(head(TEXT, encoded.length), encoded);
}

/** @param {CborMap} map @param {number} depth @returns {Uint8Array} */
function writeMap(map, depth) {
  const pairs = [...map].map(([key, value]) => {
    if (typeof key !== "number" && typeof key !== "string") throw new LocalError("bad_format", "key");
    return { key: write(key, depth), value: write(value, depth) };
  });
  pairs.sort((a, b) => compare(a.key, b.key));
  return join(head(MAP, pairs.length), ...pairs.flatMap(({ key, value }) => [key, value]));
}

/** The shortest head of a major type and its argument. */
function head(/** @type {number} */ major, /** @type {number} */ argument) {
  const first = major << 5;
  if (argument < 24) return Uint8Array.of(first | argument);
  if (argument < 2 ** 8) return Uint8Array.of(first | 24, argument);
  if (argument < 2 ** 16) return Uint8Array.of(first | 25, argument >> 8, argument & 0xff);
  const out = new Uint8Array(argument < TWO_32 ? 5 : 9);
  const view = new DataView(out.buffer);
  if (argument < TWO_32) {
    out[0] = first | 26;
    view.setUint32(1, argument);
  } else {
    out[0] = first | 27;
    view.setUint32(1, Math.floor(argument / TWO_32));
    view.setUint32(5, argument % TWO_32);
  }
  return out;
}

/** @param {string} why @returns {never} */
function refuse(why) {
  throw new RemoteError("bad_format", why);
}

class Reader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  /** @param {number} size @returns {Uint8Array} a copy, so that nobody changes a value from outside */
  take(size) {
    if (size > this.bytes.length - this.at) refuse("cut short");
    this.at += size;
    return this.bytes.slice(this.at - size, this.at);
  }

  /** @param {number} depth containers around it @returns {CborValue} */
  value(depth) {
    const first = this.take(1)[0];
    const major = first >> 5;
    if (major > MAP) return this.simple(first);
    const argument = this.argument(first & 0x1f);
    if (major === UINT) return argument;
    if (major === NEGATIVE) return argument === MAX_INT ? refuse("below -(2^53-1)") : -1 - argument;
    if (major === BYTES) return this.take(argument);
    if (major === TEXT) return this.text(argument);
    if (depth === MAX_DEPTH) return refuse("too deep");
    return major === ARRAY ? this.array(argument, depth + 1) : this.map(argument, depth + 1);
  }

  /** @param {number} first @returns {boolean|null} */
  simple(first) {
    if (first === 0xf4) return false;
    if (first === 0xf5) return true;
    if (first === 0xf6) return null;
    return refuse("tag, float or simple value");
  }

  /** @param {number} info low five bits of the head @returns {number} */
  argument(info) {
    if (info < 24) return info;
    if (info > 27) return refuse("reserved or indefinite length");
    const size = 2 ** (info - 24);
    const argument = this.take(size).reduce((number, byte) => number * 256 + byte, 0);
    // Above 2^53 the sum may be rounded, but never down to an allowed one.
    if (argument > MAX_INT) return refuse("beyond 2^53-1");
    const least = size === 1 ? 24 : 2 ** (4 * size);
    return argument < least ? refuse("not the shortest head") : argument;
  }

  /** @param {number} size @returns {string} */
  text(size) {
    const encoded = this.take(size);
    try {
      // ignoreBOM keeps a leading U+FEFF: without it the text would be written back shorter.
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(encoded);
    } catch {
      return refuse("not UTF-8");
    }
  }

  /** @param {number} count @param {number} depth @returns {CborArray} */
  array(count, depth) {
    if (count > this.bytes.length - this.at) refuse("cut short");
    const items = [];
    for (let index = 0; index < count; index += 1) items.push(this.value(depth));
    return items;
  }

  /** @param {number} count @param {number} depth @returns {CborMap} */
  map(count, depth) {
    if (2 * count > this.bytes.length - this.at) refuse("cut short");
    /** @type {CborMap} */
    const map = new Map();
    let before = new Uint8Array(0);
    for (let index = 0; index < count; index += 1) {
      const start = this.at;
      const key = this.value(depth);
      if (typeof key !== "number" && typeof key !== "string") return refuse("key");
      const encoded = this.bytes.subarray(start, this.at);
      if (index > 0 && compare(before, encoded) >= 0) refuse("keys out of order");
      before = encoded;
      map.set(key, this.value(depth));
    }
    return map;
  }
}

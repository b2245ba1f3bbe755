/** Byte strings: joining, comparing, hex and text. */

const HEX = /^(?:[0-9a-f]{2})*$/;

/** @param {...Uint8Array} parts @returns {Uint8Array} */
export function join(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Whether two byte strings are the same. For public values: its time depends on them. */
export function same(/** @type {Uint8Array} */ a, /** @type {Uint8Array} */ b) {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Bytewise order, a prefix first: negative, 0 or positive. */
export function compare(/** @type {Uint8Array} */ a, /** @type {Uint8Array} */ b) {
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index += 1) {
    if (a[index] !== b[index]) return a[index] - b[index];
  }
  return a.length - b.length;
}

/** @param {string} text ASCII (prefixes and kinds of the page) or UTF-8 @returns {Uint8Array} */
export function utf8(text) {
  return new TextEncoder().encode(text);
}

/** @param {Uint8Array} bytes @returns {string} lower-case hex */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} hex lower-case @returns {Uint8Array} @throws {TypeError} when it is no such thing */
export function fromHex(hex) {
  if (!HEX.test(hex)) throw new TypeError("not lower-case hex");
  return Uint8Array.from(hex.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
}

/** @param {Uint8Array} bytes @returns {string} base64url without padding, as JSON Web Keys have it */
export function toBase64Url(bytes) {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/**
 * P-256, SHA-256, HKDF and AES-128-GCM of docs/protocol.md §1, by WebCrypto alone.
 *
 * Private keys are `CryptoKey`s and may be non-extractable. Random numbers are the platform's: WebCrypto's ECDSA is
 * randomised, so signatures of ours are compared by verifying.
 */

import { join, toBase64Url, utf8 } from "./bytes.js";
import { LocalError, RemoteError } from "./errors.js";
import { HASH, POINT, SIGNATURE, TAG } from "./limits.js";

/** @typedef {{privateKey: CryptoKey, publicPoint: Uint8Array}} KeyPair publicPoint: 65 bytes `04 || x || y` */
/** @typedef {{key: Uint8Array, iv: Uint8Array}} AeadKeys 16 and 12 bytes */

const ECDSA = { name: "ECDSA", namedCurve: "P-256" };
const ECDH = { name: "ECDH", namedCurve: "P-256" };
const HMAC = { name: "HMAC", hash: "SHA-256" };
const KEY = 16;
const IV = 12;
const KID = 8;

// SEC 2, secp256r1: y² = x³ − 3x + B modulo P.
const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

/** Looked up at every call: a runner may put it in place after this module has loaded. */
function subtle() {
  return globalThis.crypto.subtle;
}

/** @param {number} size bytes @returns {Uint8Array} */
export function random(size) {
  return globalThis.crypto.getRandomValues(new Uint8Array(size));
}

/** @param {...Uint8Array} parts @returns {Promise<Uint8Array>} H of the parts joined */
export async function hash(...parts) {
  return new Uint8Array(await subtle().digest("SHA-256", join(...parts)));
}

/** @param {Uint8Array} key not empty @param {...Uint8Array} parts @returns {Promise<Uint8Array>} 32 bytes */
export async function hmac(key, ...parts) {
  const imported = await subtle().importKey("raw", key, HMAC, false, ["sign"]);
  return new Uint8Array(await subtle().sign("HMAC", imported, join(...parts)));
}

/** HKDF-Extract (RFC 5869 §2.2). @param {Uint8Array} salt not empty @param {Uint8Array} secret */
export function extract(salt, secret) {
  return hmac(salt, secret);
}

/** HKDF-Expand (RFC 5869 §2.3). @param {Uint8Array} prk @param {Uint8Array} info @param {number} length bytes */
export async function expand(prk, info, length) {
  let block = new Uint8Array(0);
  let out = new Uint8Array(0);
  for (let number = 1; out.length < length; number += 1) {
    block = await hmac(prk, block, info, Uint8Array.of(number));
    out = join(out, block);
  }
  return out.slice(0, length);
}

/**
 * Key and IV out of a PRK: `Expand(PRK, label || 00 || context, 28)`.
 *
 * @param {Uint8Array} prk @param {string} label @param {Uint8Array} context a hash @returns {Promise<AeadKeys>}
 */
export async function aeadKeys(prk, label, context) {
  const both = await expand(prk, join(utf8(label), Uint8Array.of(0), context), KEY + IV);
  return { key: both.slice(0, KEY), iv: both.slice(KEY) };
}

/**
 * @param {AeadKeys} keys @param {Uint8Array} aad @param {Uint8Array} plaintext
 * @returns {Promise<Uint8Array>} tag last
 */
export async function seal(keys, aad, plaintext) {
  const imported = await subtle().importKey("raw", keys.key, "AES-GCM", false, ["encrypt"]);
  const parameters = { name: "AES-GCM", iv: keys.iv, additionalData: aad, tagLength: 8 * TAG };
  return new Uint8Array(await subtle().encrypt(parameters, imported, plaintext));
}

/**
 * @param {AeadKeys} keys @param {Uint8Array} aad @param {Uint8Array} ciphertext @returns {Promise<Uint8Array>}
 * @throws {RemoteError} `bad_box`
 */
export async function unseal(keys, aad, ciphertext) {
  if (ciphertext.length < TAG) throw new RemoteError("bad_box", "shorter than its tag");
  const imported = await subtle().importKey("raw", keys.key, "AES-GCM", false, ["decrypt"]);
  const parameters = { name: "AES-GCM", iv: keys.iv, additionalData: aad, tagLength: 8 * TAG };
  try {
    return new Uint8Array(await subtle().decrypt(parameters, imported, ciphertext));
  } catch {
    throw new RemoteError("bad_box", "does not open");
  }
}

/** @param {Uint8Array} bytes big-endian @returns {bigint} */
function integer(bytes) {
  return bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

/**
 * Whether the 65 bytes are an uncompressed point of the curve. Ours, because platforms differ in what they check.
 *
 * @param {Uint8Array} point
 */
export function onCurve(point) {
  if (point.length !== POINT || point[0] !== 4) return false;
  const x = integer(point.subarray(1, 33));
  const y = integer(point.subarray(33));
  return x < P && y < P && (y * y - (x * x * x - 3n * x + B)) % P === 0n;
}

/** @param {Uint8Array} point @returns {Uint8Array} the same @throws {RemoteError} `bad_point` */
export function checkedPoint(point) {
  if (!onCurve(point)) throw new RemoteError("bad_point");
  return point;
}

/** @param {Uint8Array} publicPoint @returns {Promise<Uint8Array>} kid: finds a key, proves nothing */
export async function keyId(publicPoint) {
  return (await hash(publicPoint)).slice(0, KID);
}

/** @param {Uint8Array} publicPoint @param {Uint8Array} signature raw `r || s` @param {Uint8Array} data */
export async function verify(publicPoint, signature, data) {
  if (signature.length !== SIGNATURE) return false;
  const key = await subtle().importKey("raw", checkedPoint(publicPoint), ECDSA, false, ["verify"]);
  return subtle().verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, data);
}

/** @param {CryptoKey} privateKey ECDSA P-256 @param {Uint8Array} data @returns {Promise<Uint8Array>} raw `r || s` */
export async function sign(privateKey, data) {
  return new Uint8Array(await subtle().sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, data));
}

/**
 * @param {CryptoKey} privateKey ECDH P-256 @param {Uint8Array} publicPoint
 * @returns {Promise<Uint8Array>} x, 32 bytes
 */
export async function agree(privateKey, publicPoint) {
  const other = await subtle().importKey("raw", checkedPoint(publicPoint), ECDH, false, []);
  return new Uint8Array(await subtle().deriveBits({ name: "ECDH", public: other }, privateKey, 8 * HASH));
}

/** @param {CryptoKeyPair} pair @returns {Promise<KeyPair>} */
async function withPoint(pair) {
  return { privateKey: pair.privateKey, publicPoint: new Uint8Array(await subtle().exportKey("raw", pair.publicKey)) };
}

/** A fresh ECDH pair whose private half never leaves the platform. @returns {Promise<KeyPair>} */
export async function newAgreementPair() {
  return withPoint(await subtle().generateKey(ECDH, false, ["deriveBits"]));
}

/** A fresh signing pair whose private half never leaves the platform. @returns {Promise<KeyPair>} */
export async function newSigningPair() {
  return withPoint(await subtle().generateKey(ECDSA, false, ["sign", "verify"]));
}

/**
 * A pair from a known scalar: for vectors, and for keys moved from elsewhere.
 *
 * @param {"sign"|"agree"} use @param {Uint8Array} scalar 32 bytes @param {Uint8Array} publicPoint its point
 * @returns {Promise<KeyPair>} not extractable
 */
export async function importPair(use, scalar, publicPoint) {
  if (scalar.length !== HASH || !onCurve(publicPoint)) throw new LocalError("bad_point");
  const jwk = {
    kty: "EC",
    crv: "P-256",
    d: toBase64Url(scalar),
    x: toBase64Url(publicPoint.slice(1, 33)),
    y: toBase64Url(publicPoint.slice(33)),
  };
  const [algorithm, usage] = use === "sign" ? [ECDSA, "sign"] : [ECDH, "deriveBits"];
  const privateKey = await subtle().importKey("jwk", jwk, algorithm, false, [/** @type {KeyUsage} */ (usage)]);
  return { privateKey, publicPoint };
}

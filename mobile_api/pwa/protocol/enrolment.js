/** The owner's phone at a lock without identity: E1 to E4, docs/protocol.md §10. */

import { join, same, utf8 } from "./bytes.js";
import { openDocument, unverifiedPayload } from "./cose.js";
import { checkedPoint, expand, extract, hmac } from "./crypto.js";
import { LocalError, RemoteError } from "./errors.js";
import { bytes, bytesUpTo, field, number, point, readMap, text } from "./fields.js";
import { CLAIM_CODE, ENROL_NONCE, HASH, MAX_CERTIFICATE, MAX_MESSAGE } from "./limits.js";

const VERSION = 1;
const E1 = 0x10;
const E2 = 0x11;
const E3 = 0x12;
const E4 = 0x13;
const HEAD = 2;
const REFUSAL = 0x7f;
const MAX_SERIAL = 32;

const OFFER = {
  version: field(1, version),
  serial: field(2, text(MAX_SERIAL)),
  certificate: field(3, certificate),
  nonce: field(4, bytes(ENROL_NONCE)),
  signPublic: field(5, point),
  ecdhPublic: field(6, point),
  ownerPublic: field(7, point),
};

/**
 * @typedef {object} Offer
 * @property {string} serial
 * @property {Uint8Array} certificate factory certificate, DER
 * @property {Uint8Array} nonce
 * @property {Uint8Array} signPublic
 * @property {Uint8Array} ecdhPublic
 * @property {Uint8Array} ownerPublic
 */

/** @param {Uint8Array} phonePublic the owner's phone signing key @returns {Uint8Array} */
export function writeE1(phonePublic) {
  return join(Uint8Array.of(E1, VERSION), checkedPoint(phonePublic));
}

/** @param {Uint8Array} message E2 @returns {Uint8Array} the raw `LK1-OFFER`, for the server @throws {RemoteError} */
export function takeE2(message) {
  return body(message, E2);
}

/**
 * Whoever judges the offer has checked the certificate's chain and that its subject is the serial.
 *
 * @param {Uint8Array} raw @param {Uint8Array} factoryPublic the certificate's key
 * @returns {Promise<Offer>} @throws {RemoteError}
 */
export async function readOffer(raw, factoryPublic) {
  return /** @type {any} */ (readMap(OFFER, await openDocument("LK1-OFFER", raw, [factoryPublic])));
}

/**
 * What an offer says, its signature unverified: enough for the phone, which asks for serial and nonce. The server
 * verifies the offer, and the lock the MAC that is made of them.
 *
 * @param {Uint8Array} raw @param {{serial: string, phonePublic: Uint8Array}} expected serial as on the QR
 * @returns {Offer} @throws {RemoteError} `bad_format`, `wrong_lock` (another serial), `unknown_key` (another phone)
 */
export function unverifiedOffer(raw, { serial, phonePublic }) {
  const offer = /** @type {any} */ (readMap(OFFER, unverifiedPayload(raw)));
  if (offer.serial !== serial) throw new RemoteError("wrong_lock", "serial");
  if (!same(offer.ownerPublic, phonePublic)) throw new RemoteError("unknown_key", "another phone's offer");
  return offer;
}

/**
 * @param {{serial: string, nonce: Uint8Array}} offer @param {Uint8Array} claimCode 16 bytes from the QR
 * @param {Uint8Array} enrol raw `LK1-ENROL` from the server
 * @returns {Promise<Uint8Array>} E3 @throws {LocalError} `bad_format`, `too_large`
 */
export async function writeE3(offer, claimCode, enrol) {
  if (claimCode.length !== CLAIM_CODE) throw new LocalError("bad_format", "claim code");
  const info = join(utf8("LK1 enrol"), Uint8Array.of(0), utf8(offer.serial));
  const key = await expand(await extract(offer.nonce, claimCode), info, HASH);
  const head = Uint8Array.of(E3, VERSION);
  const message = join(head, await hmac(key, head, enrol), enrol);
  if (message.length > MAX_MESSAGE) throw new LocalError("too_large", "E3");
  return message;
}

/** @param {Uint8Array} message E4 @returns {Uint8Array} the first report, a box for the server @throws {RemoteError} */
export function takeE4(message) {
  return body(message, E4);
}

/** @type {import("./fields.js").Reading} */
function version(value) {
  if (number(value) !== VERSION) throw new RemoteError("bad_version");
  return value;
}

/** @type {import("./fields.js").Reading} */
function certificate(value) {
  if (value instanceof Uint8Array && value.length > MAX_CERTIFICATE) throw new RemoteError("too_large", "certificate");
  return bytesUpTo(MAX_CERTIFICATE)(value);
}

/** @param {Uint8Array} message @param {number} type @returns {Uint8Array} what stands after type and version */
function body(message, type) {
  if (message.length === 1 && message[0] === REFUSAL) throw new RemoteError("burnt", "the lock refused");
  if (message.length > MAX_MESSAGE) throw new RemoteError("too_large");
  if (message[0] !== type) throw new RemoteError("bad_format", "another message");
  if (message[1] !== VERSION) throw new RemoteError("bad_version");
  return message.slice(HEAD);
}

/**
 * The wire LK1 as a phone in a browser needs it: a second implementation, written from docs/protocol.md alone and held
 * to the same vectors as the first. No dependency, no build step, no IO: bytes in, bytes out; WebCrypto for keys,
 * randomness and arithmetic; time is an argument.
 */

export * from "./cbor.js";
export * from "./protocol/access.js";
export * from "./protocol/boxes.js";
export * from "./protocol/bytes.js";
export * from "./protocol/cose.js";
export * from "./protocol/credential.js";
export * from "./protocol/crypto.js";
export * from "./protocol/documents.js";
export * from "./protocol/enrolment.js";
export * from "./protocol/errors.js";
export * from "./protocol/framing.js";
export * from "./protocol/handshake.js";
export * as limits from "./protocol/limits.js";
export * from "./protocol/parcels.js";
export * from "./protocol/pins.js";
export * from "./protocol/wishes.js";

/** Signed documents: untagged COSE_Sign1 with the kind as external data, docs/protocol.md §2. */

import { decode, encode } from "../cbor.js";
import { same, utf8 } from "./bytes.js";
import { keyId, sign, verify } from "./crypto.js";
import { LocalError, RemoteError } from "./errors.js";
import { malformed } from "./fields.js";
import { MAX_MESSAGE, SIGNATURE } from "./limits.js";

/** @typedef {{protectedHeader: Uint8Array, kid: Uint8Array, payload: Uint8Array, signature: Uint8Array}} Parts */

const ALGORITHM = 1;
const KEY_ID = 4;
const ES256 = -7;
const KID = 8;

/** What the signature is over. @param {Uint8Array} protectedHeader @param {string} kind @param {Uint8Array} payload */
function toBeSigned(protectedHeader, kind, payload) {
  return encode(["Signature1", protectedHeader, utf8(kind), payload]);
}

/**
 * @param {string} kind e.g. `LK1-WISH`
 * @param {import("../cbor.js").CborMap} payload
 * @param {import("./crypto.js").KeyPair} signer
 * @param {number} [most] bytes of the whole document
 * @returns {Promise<Uint8Array>}
 * @throws {LocalError} `too_large`
 */
export async function signDocument(kind, payload, signer, most = MAX_MESSAGE) {
  const kid = await keyId(signer.publicPoint);
  const header = encode(
    new Map(
      /** @type {[number, any][]} */ ([
        [ALGORITHM, ES256],
        [KEY_ID, kid],
      ]),
    ),
  );
  const encoded = encode(payload);
  const signature = await sign(signer.privateKey, toBeSigned(header, kind, encoded));
  const whole = encode([header, new Map(), encoded, signature]);
  if (whole.length > most) throw new LocalError("too_large", kind);
  return whole;
}

/**
 * Verify under one of the keys, then decode: nothing unsigned is looked into.
 *
 * @param {string} kind
 * @param {Uint8Array} raw
 * @param {Uint8Array[]} keys points that may have signed; the kid picks
 * @param {{most?: number, stranger?: string, forged?: string}} [how] limit in bytes; the codes for an unknown kid and
 *   for a signature that fails
 * @returns {Promise<import("../cbor.js").CborValue>} the payload
 * @throws {RemoteError}
 */
export async function openDocument(kind, raw, keys, how = {}) {
  const { most = MAX_MESSAGE, stranger = "unknown_key", forged = "bad_signature" } = how;
  if (raw.length > most) throw new RemoteError("too_large", kind);
  const parts = split(raw);
  let known = false;
  for (const key of keys) {
    if (!same(await keyId(key), parts.kid)) continue;
    known = true;
    if (await verify(key, parts.signature, toBeSigned(parts.protectedHeader, kind, parts.payload))) {
      return decode(parts.payload);
    }
  }
  throw new RemoteError(known ? forged : stranger, kind);
}

/** The payload of a document whose signature somebody else judges. @param {Uint8Array} raw */
export function unverifiedPayload(raw) {
  if (raw.length > MAX_MESSAGE) throw new RemoteError("too_large");
  return decode(split(raw).payload);
}

/** @param {Uint8Array} raw @returns {Parts} @throws {RemoteError} `bad_format` */
function split(raw) {
  const whole = decode(raw);
  if (!Array.isArray(whole) || whole.length !== 4) return malformed("no COSE_Sign1");
  const [protectedHeader, unprotected, payload, signature] = whole;
  if (!(protectedHeader instanceof Uint8Array) || !(payload instanceof Uint8Array)) return malformed("COSE_Sign1");
  if (!(unprotected instanceof Map) || unprotected.size !== 0) return malformed("unprotected header");
  if (!(signature instanceof Uint8Array) || signature.length !== SIGNATURE) return malformed("signature");
  const header = decode(protectedHeader);
  if (!(header instanceof Map) || header.size !== 2 || header.get(ALGORITHM) !== ES256) return malformed("header");
  const kid = header.get(KEY_ID);
  if (!(kid instanceof Uint8Array) || kid.length !== KID) return malformed("kid");
  return { protectedHeader, kid, payload, signature };
}

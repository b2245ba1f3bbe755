/** Sealed boxes to a P-256 key, docs/protocol.md §3. A box authenticates nobody. */

import { join, utf8 } from "./bytes.js";
import { agree, aeadKeys, checkedPoint, extract, hash, newAgreementPair, seal, unseal } from "./crypto.js";
import { RemoteError } from "./errors.js";
import { POINT, TAG } from "./limits.js";

/** @typedef {"command"|"report"|"seed"|"broker"|"draft"|"pin"|"upload"|"record"|"pin_set"} Purpose */

/** @param {Purpose} purpose @param {Uint8Array} subject raw id, or UTF-8 for `record` @returns {Uint8Array} */
export function boxInfo(purpose, subject) {
  return join(utf8(`LK1 box ${purpose}`), Uint8Array.of(0), subject);
}

/**
 * @param {Uint8Array} ephemeralPoint @param {Uint8Array} recipient point @param {Uint8Array} shared x
 * @param {Uint8Array} info
 */
async function boxKeys(ephemeralPoint, recipient, shared, info) {
  const prk = await extract(await hash(ephemeralPoint, recipient), shared);
  return aeadKeys(prk, "LK1 box", await hash(info));
}

/**
 * @param {Uint8Array} recipient point @param {Uint8Array} info from `boxInfo` @param {Uint8Array} plaintext
 * @param {import("./crypto.js").KeyPair} [ephemeral] for vectors; else fresh, used for this box alone
 * @returns {Promise<Uint8Array>}
 */
export async function sealBox(recipient, info, plaintext, ephemeral) {
  const pair = ephemeral ?? (await newAgreementPair());
  const shared = await agree(pair.privateKey, recipient);
  const keys = await boxKeys(pair.publicPoint, recipient, shared, info);
  return join(pair.publicPoint, await seal(keys, info, plaintext));
}

/**
 * @param {import("./crypto.js").KeyPair} recipient @param {Uint8Array} info @param {Uint8Array} box
 * @returns {Promise<Uint8Array>} the plaintext @throws {RemoteError} `bad_box`, `bad_point`
 */
export async function openBox(recipient, info, box) {
  if (box.length < POINT + TAG) throw new RemoteError("bad_box", "shorter than nothing sealed");
  const ephemeralPoint = checkedPoint(box.slice(0, POINT));
  const shared = await agree(recipient.privateKey, ephemeralPoint);
  const keys = await boxKeys(ephemeralPoint, recipient.publicPoint, shared, info);
  return unseal(keys, info, box.slice(POINT));
}

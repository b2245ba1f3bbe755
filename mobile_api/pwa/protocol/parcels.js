/** Parcels after M4, docs/protocol.md §5: the phone carries boxes that it can neither read nor forge. */

import { decode, encode } from "../cbor.js";
import { join } from "./bytes.js";
import { aeadKeys, seal, unseal } from "./crypto.js";
import { LocalError, RemoteError } from "./errors.js";
import { bytesUpTo, integer, row } from "./fields.js";
import { MAX_MESSAGE, MAX_PARCELS } from "./limits.js";

/** Kinds of parcels. */
export const COMMAND_BOX = 1;
export const REPORT_BOX = 2;

const PARCEL = 5;
const HEAD = 3;
const CONTENT = row(integer(REPORT_BOX, COMMAND_BOX), bytesUpTo(MAX_MESSAGE));

export class ParcelChannel {
  #sending;
  #taking;
  #th5;
  #sent = 0;
  #taken = 0;
  #ended = false;

  /**
   * @param {import("./crypto.js").AeadKeys} sending @param {import("./crypto.js").AeadKeys} taking
   * @param {Uint8Array} th5
   */
  constructor(sending, taking, th5) {
    this.#sending = sending;
    this.#taking = taking;
    this.#th5 = th5;
  }

  /** @param {Uint8Array} prk of the handshake @param {Uint8Array} th5 @returns {Promise<ParcelChannel>} */
  static async ofPhone(prk, th5) {
    return new ParcelChannel(await aeadKeys(prk, "LK1 5", th5), await aeadKeys(prk, "LK1 6", th5), th5);
  }

  /** The other end, for tests. @param {Uint8Array} prk @param {Uint8Array} th5 @returns {Promise<ParcelChannel>} */
  static async ofLock(prk, th5) {
    return new ParcelChannel(await aeadKeys(prk, "LK1 6", th5), await aeadKeys(prk, "LK1 5", th5), th5);
  }

  /**
   * @param {number} kind @param {Uint8Array} content @returns {Promise<Uint8Array>}
   * @throws {LocalError} `too_large`, `wrong_state`
   */
  async send(kind, content) {
    if (this.#ended) throw new LocalError("wrong_state", "the channel has ended");
    if (this.#sent === MAX_PARCELS) throw new LocalError("too_large", "parcels of a connection");
    const head = parcelHead(this.#sent);
    const iv = numbered(this.#sending.iv, this.#sent);
    this.#sent += 1;
    const aad = join(this.#th5, head);
    const message = join(head, await seal({ key: this.#sending.key, iv }, aad, encode([kind, content])));
    if (message.length > MAX_MESSAGE) {
      this.#ended = true;
      throw new LocalError("too_large", "parcel");
    }
    return message;
  }

  /**
   * @param {Uint8Array} message @returns {Promise<{kind: number, content: Uint8Array}>}
   * @throws {RemoteError} the channel is over then
   */
  async take(message) {
    if (this.#ended) throw new RemoteError("wrong_state", "the channel has ended");
    const expected = this.#taken;
    this.#taken += 1;
    try {
      if (message.length > MAX_MESSAGE || expected === MAX_PARCELS) throw new RemoteError("too_large", "parcel");
      if (message.length < HEAD || message[0] !== PARCEL) throw new RemoteError("bad_format", "no parcel");
      if (((message[1] << 8) | message[2]) !== expected) throw new RemoteError("bad_format", "parcel out of order");
      const keys = { key: this.#taking.key, iv: numbered(this.#taking.iv, expected) };
      const plaintext = await unseal(keys, join(this.#th5, message.slice(0, HEAD)), message.slice(HEAD));
      const [kind, content] = CONTENT(decode(plaintext));
      return { kind, content };
    } catch (error) {
      this.#ended = true;
      throw error;
    }
  }
}

/** @param {number} number @returns {Uint8Array} */
function parcelHead(number) {
  return Uint8Array.of(PARCEL, number >> 8, number & 0xff);
}

/** @param {Uint8Array} iv base @param {number} number below 2^16 @returns {Uint8Array} */
function numbered(iv, number) {
  const out = iv.slice();
  out[10] ^= number >> 8;
  out[11] ^= number & 0xff;
  return out;
}

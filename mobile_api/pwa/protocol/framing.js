/** Messages over BLE writes and notifications, docs/protocol.md §6. */

import { join } from "./bytes.js";
import { LocalError, RemoteError } from "./errors.js";
import { MAX_MESSAGE } from "./limits.js";

const LENGTH = 2;
const ATT_HEAD = 3;
const MAX_FRAGMENT = 512;

/**
 * @param {Uint8Array} message 1 to 4096 bytes @param {number} mtu of the connection, from 23
 * @returns {Uint8Array[]} writes, in order
 * @throws {LocalError} `too_large`, `bad_format`
 */
export function fragments(message, mtu) {
  if (message.length > MAX_MESSAGE) throw new LocalError("too_large");
  if (message.length === 0) throw new LocalError("bad_format", "empty message");
  const size = Math.min(mtu - ATT_HEAD, MAX_FRAGMENT);
  if (!(size >= 1)) throw new LocalError("bad_format", "MTU");
  const stream = join(Uint8Array.of(message.length >> 8, message.length & 0xff), message);
  const out = [];
  for (let at = 0; at < stream.length; at += size) out.push(stream.slice(at, at + size));
  return out;
}

/** Puts messages together again. Holds at most one message's bytes, and one fragment's. */
export class Assembler {
  #held = new Uint8Array(0);
  #ended = false;

  /**
   * @param {Uint8Array} fragment cut anywhere
   * @returns {Uint8Array[]} the messages that are whole now
   * @throws {RemoteError} `too_large`, `bad_format` (no length at all); the connection is over then
   */
  push(fragment) {
    if (this.#ended) throw new RemoteError("burnt");
    const messages = [];
    let held = join(this.#held, fragment);
    while (held.length >= LENGTH) {
      const length = (held[0] << 8) | held[1];
      if (length === 0 || length > MAX_MESSAGE) {
        this.#ended = true;
        this.#held = new Uint8Array(0);
        throw new RemoteError(length === 0 ? "bad_format" : "too_large", "length");
      }
      if (held.length < LENGTH + length) break;
      messages.push(held.slice(LENGTH, LENGTH + length));
      held = held.slice(LENGTH + length);
    }
    this.#held = held;
    return messages;
  }
}

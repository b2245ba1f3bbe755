/**
 * The phone's side of the handshake M1 to M4, docs/protocol.md §4.
 *
 * The order is the safety: M3, which names the holder, can only be made after M2 has proved the pinned lock (L-03).
 * Whatever fails burns the session; a new one starts with new ephemeral keys.
 */

import { decode, encode } from "../cbor.js";
import { join, same, utf8 } from "./bytes.js";
import { aeadKeys, agree, checkedPoint, extract, hash, newAgreementPair } from "./crypto.js";
import { seal, sign, unseal, verify } from "./crypto.js";
import { ANSWERS, BOLTS, LocalError, RemoteError } from "./errors.js";
import { bytes, bytesUpTo, integer, number, orNull, row, time } from "./fields.js";
import { HASH, ID, MAX_CREDENTIAL, MAX_DOCUMENTS, MAX_MESSAGE, NONCE, POINT, SIGNATURE } from "./limits.js";
import { ParcelChannel } from "./parcels.js";

export const VERSION = 1;
export const REFUSAL = 0x7f;

/** Operations of M3. */
export const OPERATIONS = Object.freeze({
  unlock: 1,
  lock: 2,
  hold_open: 3,
  read_journal: 4,
  sync: 5,
  capture: 6,
  carry: 7,
});

const M1 = 1;
const M2 = 2;
const M3 = 3;
const M4 = 4;
const M2_HEAD = 2 + POINT;

const PROOF = row(bytesUpTo(MAX_MESSAGE), bytes(SIGNATURE));
const INFO = row(bytes(ID), orNull(time), number, number, bytes(NONCE));
const ANSWER = row(integer(ANSWERS.length - 1), integer(BOLTS.length - 1), orNull(time), number, bytes(HASH));

/**
 * @typedef {object} LockInfo what the lock said of itself, verified
 * @property {Uint8Array} lockId
 * @property {number|null} time Unix seconds; null: its clock is lost
 * @property {number} listNumber
 * @property {number} keySetNumber
 * @property {Uint8Array} timeNonce
 *
 * @typedef {object} Answer
 * @property {string} code one of ANSWERS; only `granted` means that the lock did it
 * @property {string} bolt one of BOLTS
 * @property {number|null} time
 * @property {number} journalNumber
 * @property {Uint8Array} journalHash
 *
 * @typedef {object} Asking what the phone shows to a lock that has proved itself
 * @property {Uint8Array} credential
 * @property {[number, Uint8Array][]} documents kind and raw, at most 5
 * @property {number} operation one of OPERATIONS
 * @property {CryptoKey} holderKey signs; may be non-extractable
 */

export class PhoneHandshake {
  #state = "start";
  #lockId;
  #lockPublic;
  /** @type {import("./crypto.js").KeyPair|null} */
  #ephemeral;
  #prk = new Uint8Array(0);
  #transcript = new Uint8Array(0);
  #m1 = new Uint8Array(0);

  /**
   * @param {{lockId: Uint8Array, lockPublic: Uint8Array}} door as read from an `LK1-DOOR`
   * @param {import("./crypto.js").KeyPair} [ephemeral] for vectors; else fresh
   */
  constructor(door, ephemeral) {
    this.#lockId = door.lockId;
    this.#lockPublic = door.lockPublic;
    this.#ephemeral = ephemeral ?? null;
  }

  /** start, sent M1, lock proved, sent M3, done, or burnt. */
  get state() {
    return this.#state;
  }

  /** @returns {Promise<Uint8Array>} M1, 67 bytes */
  sendM1() {
    return this.#step("start", "sent M1", async () => {
      this.#ephemeral ??= await newAgreementPair();
      this.#m1 = join(Uint8Array.of(M1, VERSION), this.#ephemeral.publicPoint);
      return this.#m1;
    });
  }

  /**
   * @param {Uint8Array} message M2
   * @returns {Promise<LockInfo>}
   * @throws {RemoteError} `burnt` (the lock refused), `bad_format`, `bad_version`, `bad_point`, `bad_box`,
   *   `bad_signature`, `wrong_lock`
   */
  takeM2(message) {
    return this.#step("sent M1", "lock proved", async () => {
      const lockEphemeral = readHead(message);
      const ciphertext = message.slice(M2_HEAD);
      const shared = await agree(/** @type {any} */ (this.#ephemeral).privateKey, lockEphemeral);
      this.#ephemeral = null;
      this.#prk = await extract(await hash(this.#m1), shared);
      const th2 = await hash(this.#m1, message.slice(0, M2_HEAD));
      const plaintext = await unseal(await aeadKeys(this.#prk, "LK1 2", th2), th2, ciphertext);
      const [info, signature] = PROOF(decode(plaintext));
      if (!(await verify(this.#lockPublic, signature, join(utf8("LK1 lock"), th2, info)))) {
        throw new RemoteError("bad_signature", "not the pinned lock");
      }
      const [lockId, at, listNumber, keySetNumber, timeNonce] = INFO(decode(info));
      if (!same(lockId, this.#lockId)) throw new RemoteError("wrong_lock");
      this.#transcript = await hash(th2, ciphertext);
      return Object.freeze({ lockId, time: at, listNumber, keySetNumber, timeNonce });
    });
  }

  /** @param {Asking} asking @returns {Promise<Uint8Array>} M3 @throws {LocalError} `too_large`, `bad_format` */
  sendM3({ credential, documents, operation, holderKey }) {
    return this.#step("lock proved", "sent M3", async () => {
      if (credential.length > MAX_CREDENTIAL) throw new LocalError("too_large", "credential");
      if (documents.length > MAX_DOCUMENTS) throw new LocalError("too_large", "documents");
      if (!Object.values(OPERATIONS).some((each) => each === operation))
        throw new LocalError("bad_format", "operation");
      const th3 = this.#transcript;
      const asked = await hash(encode([credential, documents, operation]));
      const signature = await sign(holderKey, join(utf8("LK1 phone"), th3, asked));
      const plaintext = encode([credential, documents, operation, signature]);
      const ciphertext = await seal(await aeadKeys(this.#prk, "LK1 3", th3), th3, plaintext);
      const message = join(Uint8Array.of(M3), ciphertext);
      if (message.length > MAX_MESSAGE) throw new LocalError("too_large", "M3");
      this.#transcript = await hash(th3, message);
      return message;
    });
  }

  /**
   * @param {Uint8Array} message M4
   * @returns {Promise<{answer: Answer, parcels: ParcelChannel}>} @throws {RemoteError} `burnt`, `bad_format`, `bad_box`
   */
  takeM4(message) {
    return this.#step("sent M3", "done", async () => {
      refused(message);
      if (message[0] !== M4) throw new RemoteError("bad_format", "no M4");
      const th4 = this.#transcript;
      const ciphertext = message.slice(1);
      const plaintext = await unseal(await aeadKeys(this.#prk, "LK1 4", th4), th4, ciphertext);
      const [code, bolt, at, journalNumber, journalHash] = ANSWER(decode(plaintext));
      const th5 = await hash(th4, ciphertext);
      const parcels = await ParcelChannel.ofPhone(this.#prk, th5);
      this.#prk = new Uint8Array(0);
      const answer = { code: ANSWERS[code], bolt: BOLTS[bolt], time: at, journalNumber, journalHash };
      return { answer: Object.freeze(answer), parcels };
    });
  }

  /**
   * One step of the state table. The state is burnt while the step runs: a second call meanwhile is refused, and a
   * step that throws leaves it burnt.
   *
   * @template T
   * @param {string} from @param {string} to @param {() => Promise<T>} work @returns {Promise<T>}
   */
  async #step(from, to, work) {
    const before = this.#state;
    this.#state = "burnt";
    if (before !== from) throw new LocalError("wrong_state", `${before}, not ${from}`);
    const result = await work();
    this.#state = to;
    return result;
  }
}

/** @param {Uint8Array} message @throws {RemoteError} `burnt` for the refusal, `bad_format` for nothing, `too_large` */
function refused(message) {
  if (message.length === 1 && message[0] === REFUSAL) throw new RemoteError("burnt", "the lock refused");
  if (message.length === 0) throw new RemoteError("bad_format", "nothing");
  if (message.length > MAX_MESSAGE) throw new RemoteError("too_large");
}

/** @param {Uint8Array} message M2 @returns {Uint8Array} the lock's ephemeral point */
function readHead(message) {
  refused(message);
  if (message[0] !== M2) throw new RemoteError("bad_format", "no M2");
  if (message[1] !== VERSION) throw new RemoteError("bad_version");
  if (message.length < M2_HEAD) throw new RemoteError("bad_format", "short M2");
  return checkedPoint(message.slice(2, M2_HEAD));
}

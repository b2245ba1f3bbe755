/**
 * A phone in JavaScript, driven by lines: one JSON object in, one out; bytes are hex.
 *
 * What goes to the lock leaves as `fragments` and comes back as `fragments`: there is no other way to the lock than
 * through the test. Its keys are made here and cannot be extracted.
 */

import { createInterface } from "node:readline";
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto; // Node 18 has no global one
const lk1 = await import("../../mobile_api/pwa/protocol.js");
const { fromHex, toHex } = lk1;

const MTU = 247;
const signing = await lk1.newSigningPair();
const agreeing = await lk1.newAgreementPair();
let rootPublic, keySet, door, credential, handshake, assembler, parcels, offer;

/** What a holder reads on the screen. Only the lock's own word makes it `open` (L-22). */
let screen = "asking";

const cut = (message) => lk1.fragments(message, MTU).map(toHex);

/** The one message of a turn. */
function whole(fragments) {
  const messages = fragments.flatMap((each) => assembler.push(fromHex(each)));
  if (messages.length !== 1) throw new Error(`${messages.length} messages`);
  return messages[0];
}

const STEPS = {
  keys: () => ({
    public: toHex(signing.publicPoint),
    ecdh: toHex(agreeing.publicPoint),
    extractable: signing.privateKey.extractable,
  }),

  enrol() {
    assembler = new lk1.Assembler();
    return { fragments: cut(lk1.writeE1(signing.publicPoint)) };
  },
  e2({ fragments, serial }) {
    const raw = lk1.takeE2(whole(fragments));
    offer = lk1.unverifiedOffer(raw, { serial, phonePublic: signing.publicPoint });
    return { offer: toHex(raw) };
  },
  e3: async ({ claim_code, document }) => ({
    fragments: cut(await lk1.writeE3(offer, fromHex(claim_code), fromHex(document))),
  }),
  e4: ({ fragments }) => ({ box: toHex(lk1.takeE4(whole(fragments))) }),

  async pin({ root, key_set, door: raw, credential: own }) {
    rootPublic = fromHex(root);
    keySet = await lk1.readKeySet(fromHex(key_set), rootPublic);
    door = await lk1.readDoor(fromHex(raw), keySet.issuerKeys);
    credential = fromHex(own);
    const claims = await lk1.readCredential(credential, keySet.issuerKeys);
    return { mine: toHex(claims.holderPublic) === toHex(signing.publicPoint), lock_id: toHex(claims.lockId) };
  },

  async approach() {
    handshake = new lk1.PhoneHandshake(door);
    assembler = new lk1.Assembler();
    screen = "asking";
    return { fragments: cut(await handshake.sendM1()) };
  },
  async m2({ fragments }) {
    const info = await handshake.takeM2(whole(fragments));
    return { time: info.time, list: info.listNumber, key_set: info.keySetNumber, nonce: toHex(info.timeNonce) };
  },
  async m3({ operation, list, time, nonce, state, release }) {
    const documents = [];
    if (release) {
      const raw = fromHex(release);
      await lk1.readRelease(raw, keySet.issuerKeys, door.lockId);
      documents.push([lk1.RELEASE, raw]);
    }
    if (state) {
      const raw = fromHex(state);
      await lk1.readAccessState(raw, keySet.issuerKeys, door.lockId);
      documents.push([lk1.ACCESS_STATE, raw]);
    }
    if (list) {
      const raw = fromHex(list);
      await lk1.readRevocationList(raw, keySet.issuerKeys, door.lockId);
      documents.push([lk1.REVOCATION_LIST, raw]);
    }
    if (time) {
      const raw = fromHex(time);
      await lk1.readTime(raw, keySet.issuerKeys, door.lockId, fromHex(nonce));
      documents.push([lk1.TIME_STATEMENT, raw]);
    }
    const asking = { credential, documents, operation: lk1.OPERATIONS[operation], holderKey: signing.privateKey };
    return { fragments: cut(await handshake.sendM3(asking)) };
  },
  async m4({ fragments, optimistic }) {
    screen = optimistic ? "open" : "unknown";
    const taken = await handshake.takeM4(whole(fragments));
    parcels = taken.parcels;
    const { code, bolt, journalNumber } = taken.answer;
    screen = code === "granted" && bolt === "unlocked" ? "open" : "closed";
    return { code, bolt, journal: journalNumber };
  },
  carry: async ({ box }) => ({ fragments: cut(await parcels.send(lk1.COMMAND_BOX, fromHex(box))) }),
  async report({ fragments }) {
    const { kind, content } = await parcels.take(whole(fragments));
    return { kind, box: toHex(content) };
  },

  async seal_pin({ digits }) {
    return { box: toHex(await lk1.sealPin(keySet.pinKey, door.lockId, digits)) };
  },
  async open_pin({ box }) {
    return { digits: await lk1.openPin(agreeing, door.lockId, fromHex(box)) };
  },

  async wish({ target, not_after }) {
    const wish = {
      wishId: lk1.random(16),
      targetId: fromHex(target),
      operation: lk1.WISHES.unlock,
      notAfter: not_after,
    };
    return { wish: toHex(await lk1.signWish(wish, signing)) };
  },
  async request({ phone_id, body, issued_at }) {
    const request = {
      phoneId: fromHex(phone_id),
      methodPath: "POST /v1/phone/sync",
      body: fromHex(body),
      issuedAt: issued_at,
      nonce: lk1.random(8),
    };
    return { request: toHex(await lk1.signRequest(request, signing)) };
  },

  screen: () => ({}),
  /** A careless phone, for the test that must notice it: names its holder to whoever stands there. */
  blurt: () => ({ fragments: cut(credential) }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { step, ...given } = JSON.parse(line);
  let said;
  try {
    said = await STEPS[step](given);
  } catch (error) {
    said = { refused: error.code ?? String(error.stack) };
  }
  process.stdout.write(`${JSON.stringify({ ...said, screen })}\n`);
}

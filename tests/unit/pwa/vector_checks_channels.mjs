/** Handshake, parcels, enrolment, envelopes and topics: what their vector files claim (docs/protocol.md §4 to §11). */

import assert from "node:assert/strict";

import { bool, bytes, bytesUpTo, field, integer, listOf, number, optional, readMap, row, text, time } from "../../../mobile_api/pwa/protocol/fields.js";

const SIGNATURE_DIGITS = 2 * 64;

/** While `work` runs, ECDSA signs with a given signature: ours is randomised, and the transcript goes on from it. */
async function signingWith(signature, work) {
  const real = globalThis.crypto;
  const subtle = new Proxy(real.subtle, {
    get(target, name) {
      if (name === "sign") {
        return (algorithm, ...rest) => (algorithm.name === "ECDSA" ? signature.slice().buffer : target.sign(algorithm, ...rest));
      }
      return target[name].bind(target);
    },
  });
  Object.defineProperty(globalThis, "crypto", { value: { subtle }, configurable: true, writable: true });
  try {
    return await work();
  } finally {
    Object.defineProperty(globalThis, "crypto", { value: real, configurable: true, writable: true });
  }
}

export function channelChecks(lk1, load, { refuses, assertFields }) {
  const { decode, encode, fromHex, hash, join, toHex: hex, utf8 } = lk1;
  const door = (data) => ({ lockId: fromHex(data.lock_id), lockPublic: fromHex(data.lock_public) });
  const signatureOf = (plaintext) => fromHex(plaintext.slice(-SIGNATURE_DIGITS));
  const pointOf = (message) => fromHex(message.slice(4, 4 + 2 * 65));
  const phoneKeys = (data, each) => lk1.importPair("agree", fromHex(data.phone_ephemeral_scalar), pointOf(each.m1));

  async function lockProved(data, each) {
    const phone = new lk1.PhoneHandshake(door(data), await phoneKeys(data, each));
    assert.equal(hex(await phone.sendM1()), each.m1);
    const info = await phone.takeM2(fromHex(each.m2));
    assertFields(data.info, info);
    return phone;
  }

  async function asking(data, each) {
    const holder = await lk1.importPair("sign", fromHex(data.holder_scalar), fromHex(data.holder_public));
    const documents = each.documents.map(([kind, raw]) => [kind, fromHex(raw)]);
    return { credential: fromHex(each.credential), documents, operation: each.operation, holderKey: holder.privateKey };
  }

  /** th3 of the vector's exchange, by the table and not by our class. */
  async function transcript(each) {
    const [m1, m2, m3, m4] = ["m1", "m2", "m3", "m4"].map((name) => fromHex(each[name]));
    const th2 = await hash(m1, m2.slice(0, 67));
    const th3 = await hash(th2, m2.slice(67));
    const th4 = await hash(th3, m3);
    return { th1: await hash(m1), th2, th3, th4, th5: await hash(th4, m4.slice(1)) };
  }

  function* exchange(data, each) {
    yield [`${each.name}: whole, byte for byte`, async () => {
      const phone = await lockProved(data, each);
      const shown = await asking(data, each);
      const m3 = await signingWith(signatureOf(each.m3_plaintext), () => phone.sendM3(shown));
      assert.equal(hex(m3), each.m3);
      const { answer, parcels } = await phone.takeM4(fromHex(each.m4));
      assertFields({ ...data.answer, code: lk1.ANSWERS[data.answer.code], bolt: lk1.BOLTS[data.answer.bolt] }, answer);
      const [kind, content] = each.parcel_to_lock;
      for (const parcel of each.parcels_to_lock) assert.equal(hex(await parcels.send(kind, fromHex(content))), parcel);
      for (const parcel of each.parcels_to_phone) {
        const taken = await parcels.take(fromHex(parcel));
        assert.deepEqual([taken.kind, hex(taken.content)], each.parcel_to_phone);
      }
    }];
    yield [`${each.name}: every value of the table`, async () => {
      const th = await transcript(each);
      const lockPublic = fromHex(each.m2.slice(4, 4 + 2 * 65));
      const shared = await lk1.agree((await phoneKeys(data, each)).privateKey, lockPublic);
      const lock = await lk1.importPair("agree", fromHex(data.lock_ephemeral_scalar), lockPublic);
      assert.equal(hex(await lk1.agree(lock.privateKey, pointOf(each.m1))), hex(shared));
      const prk = await lk1.extract(th.th1, shared);
      assert.equal(hex(prk), each.prk);
      for (const [n, made] of [[3, each.keys3], [4, each.keys4]]) {
        const keys = await lk1.aeadKeys(prk, `LK1 ${n}`, th[`th${n}`]);
        assert.deepEqual({ th: hex(th[`th${n}`]), key: hex(keys.key), iv: hex(keys.iv) }, made);
        const plaintext = await lk1.unseal(keys, th[`th${n}`], fromHex(each[`m${n}`]).slice(1));
        assert.equal(hex(plaintext), each[`m${n}_plaintext`]);
      }
      assert.equal(hex(th.th5), each.th5);
    }];
    yield [`${each.name}: signatures`, async () => {
      const { th3 } = await transcript(each);
      const shown = await asking(data, each);
      const signed = join(utf8("LK1 phone"), th3, await hash(encode([shown.credential, shown.documents, shown.operation])));
      const holder = fromHex(data.holder_public);
      assert.ok(await lk1.verify(holder, signatureOf(each.m3_plaintext), signed), "the vector's");
      const phone = await lockProved(data, each);
      const m3 = await phone.sendM3(shown);
      const opened = decode(await lk1.unseal({ key: fromHex(each.keys3.key), iv: fromHex(each.keys3.iv) }, th3, m3.slice(1)));
      assert.ok(await lk1.verify(holder, opened[3], signed), "ours");
      await refuses("bad_box", () => phone.takeM4(fromHex(each.m4))); // the vector's M4 answers another M3
      assert.equal(phone.state, "burnt");
    }];
    yield [`${each.name}: signed by the issuer in force`, async () => {
      const sets = each.documents.filter(([kind]) => kind === lk1.KEY_SET);
      let issuers = [fromHex(data.issuer_public)];
      for (const [, raw] of sets) issuers = (await lk1.readKeySet(fromHex(raw), fromHex(data.root_public))).issuerKeys;
      await lk1.readCredential(fromHex(each.credential), issuers);
      for (const [kind, raw] of each.documents) {
        if (kind === lk1.REVOCATION_LIST) await lk1.readRevocationList(fromHex(raw), issuers, fromHex(data.lock_id));
      }
    }];
    yield [`${each.name}: no bit of M4 or a parcel may change`, async () => {
      for (let bit = 0; bit < 8 * (each.m4.length / 2); bit += 97) {
        const phone = await lockProved(data, each);
        const shown = await asking(data, each);
        await signingWith(signatureOf(each.m3_plaintext), () => phone.sendM3(shown));
        const bent = fromHex(each.m4);
        bent[bit >> 3] ^= 1 << (bit & 7);
        await refuses(null, () => phone.takeM4(bent));
        assert.equal(phone.state, "burnt");
      }
      const { th5 } = await transcript(each);
      const late = await lk1.ParcelChannel.ofPhone(fromHex(each.prk), th5);
      await refuses("bad_format", () => late.take(fromHex(each.parcels_to_phone[1])));
      await refuses("wrong_state", () => late.take(fromHex(each.parcels_to_phone[0])));
      const lock = await lk1.ParcelChannel.ofLock(fromHex(each.prk), th5);
      assert.equal(hex((await lock.take(fromHex(each.parcels_to_lock[0]))).content), each.parcel_to_lock[1]);
    }];
  }

  /** M1 as the lock reads it (§4): a phone never does. */
  function readM1(message) {
    const refuse = (code) => { throw new lk1.RemoteError(code); };
    if (message[0] !== 1) refuse("bad_format");
    if (message[1] !== 1) refuse("bad_version");
    if (message.length !== 67) refuse("bad_format");
    lk1.checkedPoint(message.slice(2));
  }

  function* handshake(data) {
    for (const each of data.exchanges) yield* exchange(data, each);
    yield ["the lock's keys", async () => {
      const lock = await lk1.importPair("sign", fromHex(data.lock_scalar), fromHex(data.lock_public));
      assert.ok(await lk1.verify(lock.publicPoint, await lk1.sign(lock.privateKey, utf8("a")), utf8("a")));
    }];
    for (const each of data.refused_m1) yield [`refuse M1 ${each.name}`, () => refuses(each.code, () => readM1(fromHex(each.hex)))];
    for (const each of data.refused_m2) {
      yield [`refuse M2 ${each.name}`, async () => {
        const phone = new lk1.PhoneHandshake(door(data), await phoneKeys(data, data.exchanges[0]));
        await phone.sendM1();
        await refuses(each.code, () => phone.takeM2(fromHex(each.hex)));
        const shown = await asking(data, data.exchanges[0]);
        await assert.rejects(phone.sendM3(shown), { name: "LocalError", code: "wrong_state" }); // L-03
      }];
    }
  }

  function* enrolment(data) {
    const offerOf = () => lk1.takeE2(fromHex(data.e2));
    const expected = { serial: data.serial, phonePublic: fromHex(data.owner_public) };
    yield ["E1", () => assert.equal(hex(lk1.writeE1(fromHex(data.owner_public))), data.e1)];
    yield ["E2", async () => {
      const offer = await lk1.readOffer(offerOf(), fromHex(data.factory_public));
      assert.deepEqual([offer.serial, hex(offer.nonce), hex(offer.ownerPublic)], [data.serial, data.nonce, data.owner_public]);
      assert.deepEqual(lk1.unverifiedOffer(offerOf(), expected), offer);
      const recipient = await lk1.importPair("agree", fromHex(data.lock_ecdh_scalar), offer.ecdhPublic);
      assert.equal(hex(recipient.publicPoint), hex(offer.ecdhPublic));
      await refuses("wrong_lock", () => lk1.unverifiedOffer(offerOf(), { ...expected, serial: "LK1-000043" }));
      await refuses("unknown_key", () => lk1.unverifiedOffer(offerOf(), { ...expected, phonePublic: offer.signPublic }));
      await refuses("burnt", () => lk1.takeE2(Uint8Array.of(0x7f)));
      await refuses("bad_version", () => lk1.takeE2(fromHex(`1102${data.e2.slice(4)}`)));
    }];
    for (const each of data.documents) {
      yield [`E3 ${each.name}`, async () => {
        const offer = lk1.unverifiedOffer(offerOf(), expected);
        const e3 = hex(await lk1.writeE3(offer, fromHex(data.claim_code), fromHex(each.signed)));
        assert.equal(e3, each.e3);
        assert.equal(e3, `1201${each.mac}${each.signed}`);
        const enrol = await readEnrol(each, load("documents").issuer_public);
        assert.deepEqual([hex(enrol.lockId), hex(enrol.nonce)], [data.lock_id, data.nonce]);
        assert.equal(enrol.kind === 1, enrol.epoch !== null);
        const lock = await lk1.importPair("agree", fromHex(data.lock_ecdh_scalar), offer.ecdhPublic);
        const open = async (purpose, box) => hex(await lk1.openBox(lock, lk1.boxInfo(purpose, enrol.lockId), box));
        assert.equal(await open("broker", enrol.broker), data.broker_secret);
        assert.equal(await open("seed", enrol.seed), data.door_seed);
        const keys = await lk1.readKeySet(enrol.keySet, enrol.root);
        assert.ok(keys.issuerKeys.some((key) => hex(key) === load("documents").issuer_public));
      }];
    }
    yield ["E4", async () => {
      const box = lk1.takeE4(fromHex(data.e4));
      const keys = await lk1.readKeySet((await readEnrol(data.documents[0], load("documents").issuer_public)).keySet, fromHex(load("documents").root_public));
      const server = await lk1.importPair("agree", fromHex(load("envelopes").report_scalar), keys.reportKey);
      const offer = lk1.unverifiedOffer(offerOf(), expected);
      const report = await lk1.openBox(server, lk1.boxInfo("report", fromHex(data.lock_id)), box);
      const said = readMap(REPORT, await lk1.openDocument("LK1-RPT", report, [offer.signPublic]));
      assert.equal(said.kind, 1);
      readMap(REPORTS[1], said.body);
    }];
  }

  const any = (value) => value;
  const ENROL = {
    version: field(1, integer(1, 1)), lockId: field(2, bytes(16)), nonce: field(3, bytes(16)), root: field(4, bytes(65)),
    keySet: field(5, bytesUpTo(4096)), certificate: field(6, bytesUpTo(1536)), broker: field(7, bytesUpTo(256)),
    seed: field(8, bytesUpTo(256)), shard: field(9, text(2, 2)), kind: field(10, integer(2, 1)), epoch: optional(11, number),
    iat: field(12, time),
  };
  const readEnrol = async (each, issuer) =>
    readMap(ENROL, await lk1.openDocument("LK1-ENROL", fromHex(each.signed), [fromHex(issuer)]));

  // §8, field by field.
  const COMMAND = {
    lockId: field(1, bytes(16)), commandId: field(2, bytes(16)), kind: field(3, integer(6, 1)), counter: optional(4, number),
    notAfter: optional(5, time), body: field(6, any),
  };
  const ASKED = { wish: field(1, bytesUpTo(512)), credential: field(2, bytesUpTo(640)) };
  const COMMANDS = {
    1: ASKED, 2: ASKED, 3: ASKED, 4: { documents: field(1, listOf(row(integer(4, 1), bytesUpTo(4096)), 4)) },
    5: { number: field(1, number), hash: field(2, bytes(32)) }, 6: {},
  };
  const REPORT = {
    lockId: field(1, bytes(16)), boot: field(2, number), seq: field(3, number), kind: field(4, integer(5, 1)), body: field(5, any),
  };
  const REPORTS = {
    1: {
      counter: field(1, number), state: field(2, number), list: field(3, number), keySet: field(4, number), epoch: optional(5, number),
      occupied: field(6, bool), journal: field(7, number), hash: field(8, bytes(32)), oldest: field(9, number), at: optional(10, time),
      uncertainty: field(11, number), attested: field(12, bool), bolt: field(13, integer(4)), nonce: field(14, bytes(8)),
      battery: optional(15, integer(100)),
    },
    2: {
      commandId: field(1, bytes(16)), outcome: field(2, integer(3, 1)), bolt: field(3, integer(4)), counter: optional(4, number),
      denial: optional(5, integer(40, 1)), at: optional(6, time), journal: optional(7, number),
    },
    3: { entries: field(1, listOf(any, 128)) }, 4: { nonce: field(1, bytes(8)) },
    5: {
      state: field(1, number), list: field(2, number), keySet: field(3, number), epoch: optional(4, number), occupied: field(5, bool),
      commandId: optional(6, bytes(16)), denials: optional(7, listOf(integer(40, 1), 128)),
    },
  };

  function* envelopes(data) {
    const lockId = fromHex(data.lock_id);
    const point = (scalar, known) => lk1.importPair("agree", fromHex(scalar), known);
    function* both(each, purpose, recipient, check) {
      yield [`${purpose} ${each.name}`, async () => {
        const info = lk1.boxInfo(purpose, lockId);
        const pair = await recipient();
        assert.equal(hex(await lk1.openBox(pair, info, fromHex(each.hex))), each.signed);
        const ephemeral = await point(each.ephemeral_scalar, fromHex(each.hex.slice(0, 130)));
        assert.equal(hex(await lk1.sealBox(pair.publicPoint, info, fromHex(each.signed), ephemeral)), each.hex);
        await check();
      }];
    }
    const lockPair = () => point(data.lock_ecdh_scalar, fromHex(load("sealed").boxes[0].recipient_public));
    const serverPair = () => point(data.report_scalar, fromHex(load("documents").documents.find((each) => each.kind === "LK1-KEYS").fields.report_key));
    for (const each of data.commands) {
      yield* both(each, "command", lockPair, async () => {
        const said = readMap(COMMAND, await lk1.openDocument("LK1-CMD", fromHex(each.signed), [fromHex(data.command_public)]));
        assert.equal(hex(said.lockId), data.lock_id);
        assert.equal(said.kind <= 3, said.counter !== null && said.notAfter !== null);
        assert.deepEqual(said.kind, { unlock: 1, documents: 4, "journal ack": 5, "say hello": 6 }[each.name]);
        readMap(COMMANDS[said.kind], said.body);
      });
    }
    for (const each of data.reports) {
      yield* both(each, "report", serverPair, async () => {
        const said = readMap(REPORT, await lk1.openDocument("LK1-RPT", fromHex(each.signed), [fromHex(data.lock_public)]));
        assert.deepEqual([hex(said.lockId), said.boot, said.seq], [data.lock_id, each.boot, each.seq]);
        readMap(REPORTS[said.kind], said.body);
      });
    }
  }

  /** §11. */
  async function topic(lockId, way) {
    const shard = (await hash(lockId))[0] % 64;
    return `l/${shard.toString(16).padStart(2, "0")}/${hex(lockId)}/${way}`;
  }

  function* topics(data) {
    for (const each of data.topics) {
      yield [each.lock_id, async () => {
        const lockId = fromHex(each.lock_id);
        assert.equal(await topic(lockId, "up/report"), each.report);
        assert.equal(await topic(lockId, "down/command"), each.command);
        assert.equal(each.report.split("/")[1], each.shard);
      }];
    }
    for (const wrong of data.refuse) {
      yield [`refuse ${JSON.stringify(wrong)}`, async () => {
        const lock = wrong.split("/")[2] ?? "";
        const lockId = /^[0-9a-f]{32}$/.test(lock) ? fromHex(lock) : new Uint8Array(16);
        assert.ok(![await topic(lockId, "up/report"), await topic(lockId, "down/command")].includes(wrong));
      }];
    }
  }

  return { enrolment, envelopes, handshake, topics };
}

/** Handshake and parcels: what their vector file claims (docs/protocol.md §4 and §5). */

import assert from "node:assert/strict";

const SIGNATURE_DIGITS = 2 * 64;

/** While `work` runs, ECDSA signs with a given signature: ours is randomised, and the transcript goes on from it. */
async function signingWith(signature, work) {
  const real = globalThis.crypto;
  const subtle = new Proxy(real.subtle, {
    get(target, name) {
      if (name === "sign") {
        return (algorithm, ...rest) =>
          algorithm.name === "ECDSA" ? signature.slice().buffer : target.sign(algorithm, ...rest);
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

export function channelChecks(lk1, { refuses, assertFields }) {
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
    yield [
      `${each.name}: whole, byte for byte`,
      async () => {
        const phone = await lockProved(data, each);
        const shown = await asking(data, each);
        const m3 = await signingWith(signatureOf(each.m3_plaintext), () => phone.sendM3(shown));
        assert.equal(hex(m3), each.m3);
        const { answer, parcels } = await phone.takeM4(fromHex(each.m4));
        assertFields(
          { ...data.answer, code: lk1.ANSWERS[data.answer.code], bolt: lk1.BOLTS[data.answer.bolt] },
          answer,
        );
        const [kind, content] = each.parcel_to_lock;
        for (const parcel of each.parcels_to_lock)
          assert.equal(hex(await parcels.send(kind, fromHex(content))), parcel);
        for (const parcel of each.parcels_to_phone) {
          const taken = await parcels.take(fromHex(parcel));
          assert.deepEqual([taken.kind, hex(taken.content)], each.parcel_to_phone);
        }
      },
    ];
    yield [
      `${each.name}: every value of the table`,
      async () => {
        const th = await transcript(each);
        const lockPublic = fromHex(each.m2.slice(4, 4 + 2 * 65));
        const shared = await lk1.agree((await phoneKeys(data, each)).privateKey, lockPublic);
        const lock = await lk1.importPair("agree", fromHex(data.lock_ephemeral_scalar), lockPublic);
        assert.equal(hex(await lk1.agree(lock.privateKey, pointOf(each.m1))), hex(shared));
        const prk = await lk1.extract(th.th1, shared);
        assert.equal(hex(prk), each.prk);
        for (const [n, made] of [
          [3, each.keys3],
          [4, each.keys4],
        ]) {
          const keys = await lk1.aeadKeys(prk, `LK1 ${n}`, th[`th${n}`]);
          assert.deepEqual({ th: hex(th[`th${n}`]), key: hex(keys.key), iv: hex(keys.iv) }, made);
          const plaintext = await lk1.unseal(keys, th[`th${n}`], fromHex(each[`m${n}`]).slice(1));
          assert.equal(hex(plaintext), each[`m${n}_plaintext`]);
        }
        assert.equal(hex(th.th5), each.th5);
      },
    ];
    yield [
      `${each.name}: signatures`,
      async () => {
        const { th3 } = await transcript(each);
        const shown = await asking(data, each);
        const signed = join(
          utf8("LK1 phone"),
          th3,
          await hash(encode([shown.credential, shown.documents, shown.operation])),
        );
        const holder = fromHex(data.holder_public);
        assert.ok(await lk1.verify(holder, signatureOf(each.m3_plaintext), signed), "the vector's");
        const phone = await lockProved(data, each);
        const m3 = await phone.sendM3(shown);
        const opened = decode(
          await lk1.unseal({ key: fromHex(each.keys3.key), iv: fromHex(each.keys3.iv) }, th3, m3.slice(1)),
        );
        assert.ok(await lk1.verify(holder, opened[3], signed), "ours");
        await refuses("bad_box", () => phone.takeM4(fromHex(each.m4))); // the vector's M4 answers another M3
        assert.equal(phone.state, "burnt");
      },
    ];
    yield [
      `${each.name}: signed by the issuer in force`,
      async () => {
        const sets = each.documents.filter(([kind]) => kind === lk1.KEY_SET);
        let issuers = [fromHex(data.issuer_public)];
        for (const [, raw] of sets)
          issuers = (await lk1.readKeySet(fromHex(raw), fromHex(data.root_public))).issuerKeys;
        await lk1.readCredential(fromHex(each.credential), issuers);
        for (const [kind, raw] of each.documents) {
          if (kind === lk1.REVOCATION_LIST) await lk1.readRevocationList(fromHex(raw), issuers, fromHex(data.lock_id));
        }
      },
    ];
    yield [
      `${each.name}: no bit of M4 or a parcel may change`,
      async () => {
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
      },
    ];
  }

  /** M1 as the lock reads it (§4): a phone never does. */
  function readM1(message) {
    const refuse = (code) => {
      throw new lk1.RemoteError(code);
    };
    if (message[0] !== 1) refuse("bad_format");
    if (message[1] !== 1) refuse("bad_version");
    if (message.length !== 67) refuse("bad_format");
    lk1.checkedPoint(message.slice(2));
  }

  function* handshake(data) {
    for (const each of data.exchanges) yield* exchange(data, each);
    yield [
      "the lock's keys",
      async () => {
        const lock = await lk1.importPair("sign", fromHex(data.lock_scalar), fromHex(data.lock_public));
        assert.ok(await lk1.verify(lock.publicPoint, await lk1.sign(lock.privateKey, utf8("a")), utf8("a")));
      },
    ];
    for (const each of data.refused_m1)
      yield [`refuse M1 ${each.name}`, () => refuses(each.code, () => readM1(fromHex(each.hex)))];
    for (const each of data.refused_m2) {
      yield [
        `refuse M2 ${each.name}`,
        async () => {
          const phone = new lk1.PhoneHandshake(door(data), await phoneKeys(data, data.exchanges[0]));
          await phone.sendM1();
          await refuses(each.code, () => phone.takeM2(fromHex(each.hex)));
          const shown = await asking(data, data.exchanges[0]);
          await assert.rejects(phone.sendM3(shown), { name: "LocalError", code: "wrong_state" }); // L-03
        },
      ];
    }
  }

  return { handshake };
}

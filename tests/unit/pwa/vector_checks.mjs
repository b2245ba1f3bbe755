/** What each vector file claims, as checks of the browser's wire. Made from docs/protocol.md §14 and the files. */

import assert from "node:assert/strict";

import { channelChecks } from "./vector_checks_channels.mjs";
import { doorChecks } from "./vector_checks_doors.mjs";
import { siteChecks } from "./vector_checks_site.mjs";

/**
 * @param {any} lk1 the module under test @param {(file: string) => any} load another vector file
 * @returns {Record<string, (data: any) => Iterable<[string, () => any]>>} named checks by file
 */
export function checksOf(lk1, load) {
  const { decode, encode, fromHex, toHex, utf8, join, hash } = lk1;
  const hex = (bytes) => toHex(bytes);

  /** Our value as the vectors' JSON writes it. */
  function plain(value) {
    if (value instanceof Uint8Array) return toHex(value);
    if (value instanceof Map) {
      return Object.fromEntries(
        [...value].map(([key, item]) => [key, item instanceof Uint8Array ? { hex: hex(item) } : plain(item)]),
      );
    }
    if (Array.isArray(value)) return value.map(plain);
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
    }
    return value;
  }

  /** JSON as a value of the codec: `{hex}` is bytes, another object a map. */
  function value(json) {
    if (Array.isArray(json)) return json.map(value);
    if (json !== null && typeof json === "object") {
      return typeof json.hex === "string"
        ? fromHex(json.hex)
        : new Map(Object.entries(json).map(([key, item]) => [key, value(item)]));
    }
    return json;
  }

  async function refuses(code, work) {
    try {
      await work();
    } catch (error) {
      assert.equal(error.name, "RemoteError", `${error.stack}`);
      if (code !== null) assert.equal(error.code, code);
      return;
    }
    assert.fail(`taken; ${code} was expected`);
  }

  function* codecPair(label, json, encoded) {
    yield [`encode ${label}`, () => assert.equal(hex(encode(value(json))), encoded)];
    yield [`decode ${label}`, () => assert.equal(hex(encode(decode(fromHex(encoded)))), encoded)];
    yield [`value ${label}`, () => assert.deepEqual(plain(decode(fromHex(encoded))), plain(value(json)))];
  }

  function* codec(data) {
    for (const each of data.accept) yield* codecPair(each.hex, each.value, each.hex);
    for (const { entries, hex: encoded } of data.accept_maps) {
      yield ["map", () => assert.equal(hex(encode(new Map(entries))), encoded)];
      yield ["map read", () => assert.equal(hex(encode(decode(fromHex(encoded)))), encoded)];
    }
    for (const each of data.refuse)
      yield [`refuse ${each.name}`, () => refuses("bad_format", () => decode(fromHex(each.hex)))];
  }

  function* hand(data) {
    for (const each of data.cbor) yield* codecPair(each.hex, each.value, each.hex);
    const order = data.cbor_key_order;
    yield [
      "key order",
      () => assert.equal(hex(encode(new Map(order.keys.map((key) => [key, 0]).reverse()))), order.hex),
    ];
    yield [
      "hkdf",
      async () => {
        const prk = await lk1.extract(fromHex(data.hkdf.salt), fromHex(data.hkdf.ikm));
        assert.equal(hex(prk), data.hkdf.prk);
        assert.equal(hex(await lk1.expand(prk, fromHex(data.hkdf.info), data.hkdf.length)), data.hkdf.okm);
      },
    ];
    yield [
      "ecdsa",
      async () => {
        const { scalar, public: point, message, signature } = data.ecdsa;
        assert.ok(await lk1.verify(fromHex(point), fromHex(signature), fromHex(message)), "the RFC's signature");
        const ours = await lk1.sign(
          (await lk1.importPair("sign", fromHex(scalar), fromHex(point))).privateKey,
          fromHex(message),
        );
        assert.ok(await lk1.verify(fromHex(point), ours, fromHex(message)), "our signature");
      },
    ];
    yield [
      "ecdh",
      async () => {
        // The scalar's own point is in no field: RFC 5903 §8.1 gives it as gi.
        const own = join(
          fromHex("04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"),
          fromHex("5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3"),
        );
        const pair = await lk1.importPair("agree", fromHex(data.ecdh.scalar), own);
        assert.equal(hex(await lk1.agree(pair.privateKey, fromHex(data.ecdh.public))), data.ecdh.x);
      },
    ];
    yield [
      "gcm",
      async () => {
        const keys = { key: fromHex(data.gcm.key), iv: fromHex(data.gcm.iv) };
        const sealed = await lk1.seal(keys, fromHex(data.gcm.aad), fromHex(data.gcm.plaintext));
        assert.equal(hex(sealed), data.gcm.ciphertext);
        assert.equal(hex(await lk1.unseal(keys, fromHex(data.gcm.aad), sealed)), data.gcm.plaintext);
      },
    ];
    for (const each of data.week)
      yield [each.source, () => assert.equal(lk1.minuteOfWeek(each.now, each.offset), each.minute)];
  }

  const schedule = (json) =>
    json === null ? null : { offset: json.offset ?? json[0], windows: json.windows ?? json[1] };

  function* access(data) {
    for (const each of data.decide) {
      yield [
        each.name,
        () => {
          const claims = {
            ...each.claims,
            lockId: fromHex(each.claims.lock_id),
            cti: fromHex(each.claims.cti),
            schedule: schedule(each.claims.schedule),
            uses: each.claims.uses ?? null,
          };
          const { door } = each;
          const verdict = lk1.decide(claims, each.operation, each.clock, {
            lockId: fromHex(door.lock_id),
            shared: door.shared,
            epoch: door.epoch,
            ownerEpoch: door.owner_epoch,
            staffEpoch: door.staff_epoch,
            occupied: door.occupied,
            revoked: door.revoked.map(fromHex),
            iatFloor: door.iat_floor,
            used: (door.used ?? []).map(fromHex),
          });
          const said = verdict.denied
            ? { denied: verdict.denied }
            : {
                raise_epoch: verdict.raiseEpoch,
                occupies: verdict.occupies,
                ...(verdict.usesUp ? { uses_up: true } : {}),
              };
          assert.deepEqual(said, each.verdict);
        },
      ];
    }
    for (const each of data.minute_of_week) {
      yield [
        `minute ${each.now} ${each.offset}`,
        () => assert.equal(lk1.minuteOfWeek(each.now, each.offset), each.minute),
      ];
    }
  }

  /** Names of the vectors' fields for ours. */
  const NAMES = {
    lock_id: "lockId",
    lock_public: "lockPublic",
    holder_public: "holderPublic",
    iat_floor: "iatFloor",
    issuer_keys: "issuerKeys",
    command_keys: "commandKeys",
    report_key: "reportKey",
    wish_id: "wishId",
    target_id: "targetId",
    not_after: "notAfter",
    phone_id: "phoneId",
    method_path: "methodPath",
    issued_at: "issuedAt",
    time: "time",
    list_number: "listNumber",
    key_set_number: "keySetNumber",
    time_nonce: "timeNonce",
    journal_number: "journalNumber",
    journal_hash: "journalHash",
    pins_key: "pinKey",
    hold_open: "holdOpen",
    auto_lock: "autoLock",
  };
  /** What a document of this kind says where a vector says nothing. */
  const SILENT = {
    "LK1-EKEY": { uses: null },
    "LK1-KEYS": { pinKey: null },
    "LK1-STATE": { fingers: [], holdOpen: null, autoLock: null },
  };
  const ours = (fields) =>
    Object.fromEntries(Object.entries(fields).map(([name, item]) => [NAMES[name] ?? name, item]));

  function assertFields(fields, read, kind) {
    const expected = { ...SILENT[kind], ...ours(fields) };
    const said = { ...plain(read) };
    if (Array.isArray(expected.pins))
      for (const slots of ["pins", "cards", "fingers"]) said[slots] = said[slots].map(([number]) => number);
    if (said.holdOpen) said.holdOpen = [said.holdOpen.offset, said.holdOpen.windows];
    if (said.schedule) said.schedule = [said.schedule.offset, said.schedule.windows];
    if ("args" in expected) said.args = read.args === null ? {} : plain(read.args);
    assert.deepEqual(said, expected);
  }

  function* documents(data) {
    const issuers = [fromHex(data.issuer_public)];
    const readers = {
      "LK1-DOOR": (raw, key) => lk1.readDoor(raw, [key]),
      "LK1-RL": (raw, key, fields) => lk1.readRevocationList(raw, [key], fromHex(fields.lock_id)),
      "LK1-STATE": (raw, key, fields) => lk1.readAccessState(raw, [key], fromHex(fields.lock_id)),
      "LK1-TIME": (raw, key, fields) => lk1.readTime(raw, [key], fromHex(fields.lock_id), fromHex(fields.nonce)),
      "LK1-KEYS": (raw, key) => lk1.readKeySet(raw, key),
      "LK1-EKEY": (raw, key) => lk1.readCredential(raw, [key]),
      "LK1-WISH": (raw, key) => lk1.readWish(raw, key),
      "LK1-RELEASE": (raw, key, fields) => lk1.readRelease(raw, [key], fromHex(fields.lock_id)),
    };
    yield [
      "keys of the cast",
      async () => {
        for (const who of ["issuer", "holder"]) {
          const point = fromHex(data[`${who}_public`]);
          const pair = await lk1.importPair("sign", fromHex(data[`${who}_scalar`]), point);
          assert.ok(await lk1.verify(point, await lk1.sign(pair.privateKey, utf8("a")), utf8("a")));
        }
        assert.ok(data.documents.some((each) => each.signer_public === data.root_public));
        assert.equal(data.credentials[0].signer_public, data.issuer_public);
        assert.equal(data.wishes[0].signer_public, data.holder_public);
      },
    ];
    for (const each of [...data.credentials, ...data.documents, ...data.wishes]) {
      yield [
        each.name,
        async () => {
          const raw = fromHex(each.hex);
          const key = fromHex(each.signer_public);
          if (each.kind === "LK1-REQ") {
            const { body, ...fields } = each.fields;
            const { bodyHash, ...read } = await lk1.readRequest(raw, key);
            assertFields(fields, read);
            assert.equal(hex(bodyHash), hex(await hash(fromHex(body))));
          } else {
            assertFields(each.fields, await readers[each.kind](raw, key, each.fields), each.kind);
          }
          for (let at = 0; at < raw.length; at += 29) {
            const bent = raw.slice();
            bent[at] ^= 1;
            await refuses(null, () => (readers[each.kind] ?? lk1.readRequest)(bent, key, each.fields));
          }
        },
      ];
    }
    yield [
      "ignorable claim",
      async () => {
        const read = await lk1.readCredential(fromHex(data.ignorable_claim), issuers);
        assertFields(data.credentials[0].fields, read, "LK1-EKEY");
      },
    ];
    for (const each of data.wishes) yield [`sign ${each.name}`, () => signsAgain(data, each)];
    for (const each of data.refused_credentials) {
      yield [`refuse ${each.name}`, () => refuses(each.code, () => lk1.readCredential(fromHex(each.hex), issuers))];
    }
    const lock = { lock_id: data.documents[0].fields.lock_id };
    for (const each of data.refused_documents) {
      yield [
        `refuse ${each.name}`,
        () => refuses(each.code, () => readers[each.kind](fromHex(each.hex), issuers[0], lock)),
      ];
    }
  }

  /** Signed by us, all but the signature is the vector's. */
  async function signsAgain(data, each) {
    const phone = await lk1.importPair("sign", fromHex(data.holder_scalar), fromHex(data.holder_public));
    const { fields } = each;
    const args = Object.keys(fields.args).length === 0 ? null : value(fields.args);
    const raw = await lk1.signWish(
      {
        wishId: fromHex(fields.wish_id),
        targetId: fromHex(fields.target_id),
        operation: fields.operation,
        notAfter: fields.not_after,
        args,
      },
      phone,
    );
    const signature = 2 * 64;
    assert.equal(hex(raw).slice(0, -signature), each.hex.slice(0, -signature));
    assertFields(fields, await lk1.readWish(raw, phone.publicPoint));
    return raw;
  }

  function* sealed(data) {
    for (const each of data.boxes) {
      yield [
        each.name,
        async () => {
          const recipient = await lk1.importPair(
            "agree",
            fromHex(each.recipient_scalar),
            fromHex(each.recipient_public),
          );
          const info = fromHex(each.info);
          assert.equal(hex(await lk1.openBox(recipient, info, fromHex(each.box))), each.plaintext);
          const ephemeral = await lk1.importPair(
            "agree",
            fromHex(each.ephemeral_scalar),
            fromHex(each.box.slice(0, 130)),
          );
          assert.equal(
            hex(await lk1.sealBox(recipient.publicPoint, info, fromHex(each.plaintext), ephemeral)),
            each.box,
          );
          const fresh = await lk1.sealBox(recipient.publicPoint, info, fromHex(each.plaintext));
          assert.equal(hex(await lk1.openBox(recipient, info, fresh)), each.plaintext);
          const [purpose, subject] = [
            each.info.slice(0, each.info.indexOf("00", 16)),
            each.info.slice(each.info.indexOf("00", 16) + 2),
          ];
          const word = new TextDecoder().decode(fromHex(purpose)).slice("LK1 box ".length);
          assert.equal(hex(lk1.boxInfo(word, fromHex(subject))), each.info);
        },
      ];
    }
    for (const each of data.refuse) {
      yield [
        `refuse ${each.name}`,
        async () => {
          const made = data.boxes.find((box) => box.recipient_scalar === each.recipient_scalar);
          const recipient = await lk1.importPair(
            "agree",
            fromHex(each.recipient_scalar),
            fromHex(made.recipient_public),
          );
          await refuses(null, () => lk1.openBox(recipient, fromHex(each.info), fromHex(each.box)));
        },
      ];
    }
  }

  function* framing(data) {
    for (const each of data.split) {
      yield [
        `MTU ${each.mtu}, ${each.message.length / 2} bytes`,
        () => {
          const cut = lk1.fragments(fromHex(each.message), each.mtu);
          assert.deepEqual(cut.map(hex), each.fragments);
          const whole = join(...cut);
          const assembler = new lk1.Assembler();
          assert.deepEqual(assembler.push(join(whole, whole)).map(hex), [each.message, each.message]);
          const single = new lk1.Assembler();
          assert.deepEqual([...whole].flatMap((byte) => single.push(Uint8Array.of(byte))).map(hex), [each.message]);
        },
      ];
    }
    for (const each of data.refuse) {
      yield [
        `refuse ${each.name}`,
        async () => {
          const assembler = new lk1.Assembler();
          await refuses(null, () => assembler.push(fromHex(each.stream)));
          await refuses("burnt", () => assembler.push(fromHex("000101")));
        },
      ];
    }
  }

  function* journal(data) {
    let before = data.genesis;
    for (const [index, { row, hash: claimed }] of [...data.entries, ...data.later].entries()) {
      const previous = before;
      before = claimed;
      yield [
        `entry ${row[0]}`,
        async () => {
          assert.equal(row[0], index + 1);
          assert.equal(row[1], previous);
          const subject = typeof row[4] === "string" ? fromHex(row[4]) : row[4];
          const encoded = encode([row[0], fromHex(row[1]), row[2], row[3], subject, ...row.slice(5)]);
          assert.equal(hex(await hash(utf8("LK1-JRNL"), encoded)), claimed);
        },
      ];
    }
  }

  return {
    access,
    codec,
    documents,
    framing,
    hand,
    journal,
    sealed,
    ...channelChecks(lk1, { refuses, assertFields }),
    ...doorChecks(lk1, { refuses }),
    ...siteChecks(lk1, load, { refuses }),
  };
}

/** Enrolment, envelopes and topics: what their vector files claim (docs/protocol.md §8, §10 and §11). */

import assert from "node:assert/strict";

import {
  bool,
  bytes,
  bytesUpTo,
  field,
  integer,
  listOf,
  number,
  optional,
  orNull,
  readMap,
  row,
  text,
  time,
} from "../../../mobile_api/pwa/protocol/fields.js";

export function siteChecks(lk1, load, { refuses }) {
  const { fromHex, hash, toHex: hex } = lk1;

  function* enrolment(data) {
    const offerOf = () => lk1.takeE2(fromHex(data.e2));
    const expected = { serial: data.serial, phonePublic: fromHex(data.owner_public) };
    yield ["E1", () => assert.equal(hex(lk1.writeE1(fromHex(data.owner_public))), data.e1)];
    yield [
      "E2",
      async () => {
        const offer = await lk1.readOffer(offerOf(), fromHex(data.factory_public));
        assert.deepEqual(
          [offer.serial, hex(offer.nonce), hex(offer.ownerPublic)],
          [data.serial, data.nonce, data.owner_public],
        );
        assert.deepEqual(lk1.unverifiedOffer(offerOf(), expected), offer);
        const recipient = await lk1.importPair("agree", fromHex(data.lock_ecdh_scalar), offer.ecdhPublic);
        assert.equal(hex(recipient.publicPoint), hex(offer.ecdhPublic));
        await refuses("wrong_lock", () => lk1.unverifiedOffer(offerOf(), { ...expected, serial: "LK1-000043" }));
        await refuses("unknown_key", () =>
          lk1.unverifiedOffer(offerOf(), { ...expected, phonePublic: offer.signPublic }),
        );
        await refuses("burnt", () => lk1.takeE2(Uint8Array.of(0x7f)));
        await refuses("bad_version", () => lk1.takeE2(fromHex(`1102${data.e2.slice(4)}`)));
      },
    ];
    for (const each of data.documents) {
      yield [
        `E3 ${each.name}`,
        async () => {
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
        },
      ];
    }
    yield [
      "E4",
      async () => {
        const box = lk1.takeE4(fromHex(data.e4));
        const keys = await lk1.readKeySet(
          (await readEnrol(data.documents[0], load("documents").issuer_public)).keySet,
          fromHex(load("documents").root_public),
        );
        const server = await lk1.importPair("agree", fromHex(load("envelopes").report_scalar), keys.reportKey);
        const offer = lk1.unverifiedOffer(offerOf(), expected);
        const report = await lk1.openBox(server, lk1.boxInfo("report", fromHex(data.lock_id)), box);
        const said = readMap(REPORT, await lk1.openDocument("LK1-RPT", report, [offer.signPublic]));
        assert.equal(said.kind, 1);
        readMap(REPORTS[1], said.body);
      },
    ];
  }

  const any = (value) => value;
  const ENROL = {
    version: field(1, integer(1, 1)),
    lockId: field(2, bytes(16)),
    nonce: field(3, bytes(16)),
    root: field(4, bytes(65)),
    keySet: field(5, bytesUpTo(4096)),
    certificate: field(6, bytesUpTo(1536)),
    broker: field(7, bytesUpTo(256)),
    seed: field(8, bytesUpTo(256)),
    shard: field(9, text(2, 2)),
    kind: field(10, integer(2, 1)),
    epoch: optional(11, number),
    iat: field(12, time),
  };
  const readEnrol = async (each, issuer) =>
    readMap(ENROL, await lk1.openDocument("LK1-ENROL", fromHex(each.signed), [fromHex(issuer)]));

  // §8, field by field.
  const COMMAND = {
    lockId: field(1, bytes(16)),
    commandId: field(2, bytes(16)),
    kind: field(3, integer(9, 1)),
    counter: optional(4, number),
    notAfter: optional(5, time),
    body: field(6, any),
  };
  const ASKED = { wish: field(1, bytesUpTo(512)), credential: field(2, bytesUpTo(640)) };
  const COMMANDS = {
    1: ASKED,
    2: ASKED,
    3: ASKED,
    4: { documents: field(1, listOf(row(integer(5, 1), bytesUpTo(4096)), 5)) },
    5: { number: field(1, number), hash: field(2, bytes(32)) },
    6: {},
    7: { manifest: field(1, bytesUpTo(512)), offset: field(2, integer(1048576)), chunk: optional(3, bytesUpTo(2048, 1)) },
    8: {},
    9: ASKED,
  };
  const slots = listOf(row(integer(255), bytes(16), bytes(16), time, time, integer(4, 1), orNull(number)), 24);
  const activations = listOf(row(number, integer(8), integer(16777215), integer(1), time), 32);
  const REPORT = {
    lockId: field(1, bytes(16)),
    boot: field(2, number),
    seq: field(3, number),
    kind: field(4, integer(8, 1)),
    body: field(5, any),
  };
  const REPORTS = {
    1: {
      counter: field(1, number),
      state: field(2, number),
      list: field(3, number),
      keySet: field(4, number),
      epoch: optional(5, number),
      occupied: field(6, bool),
      journal: field(7, number),
      hash: field(8, bytes(32)),
      oldest: field(9, number),
      at: optional(10, time),
      uncertainty: field(11, number),
      attested: field(12, bool),
      bolt: field(13, integer(4)),
      nonce: field(14, bytes(8)),
      battery: optional(15, integer(100)),
      door: optional(16, integer(2)),
      tampered: optional(17, bool),
      firmware: optional(18, number),
      version: optional(19, text(32)),
      age: optional(20, number),
      jams: optional(21, number),
    },
    2: {
      commandId: field(1, bytes(16)),
      outcome: field(2, integer(3, 1)),
      bolt: field(3, integer(4)),
      counter: optional(4, number),
      denial: optional(5, integer(45, 1)),
      at: optional(6, time),
      journal: optional(7, number),
    },
    3: { entries: field(1, listOf(any, 128)) },
    4: { nonce: field(1, bytes(8)) },
    5: {
      state: field(1, number),
      list: field(2, number),
      keySet: field(3, number),
      epoch: optional(4, number),
      occupied: field(5, bool),
      commandId: optional(6, bytes(16)),
      denials: optional(7, listOf(integer(45, 1), 128)),
    },
    6: { kind: field(1, integer(2, 1)), verifier: field(2, bytes(16)), cti: field(3, bytes(16)), already: field(4, bool) },
    7: {
      state: field(1, number),
      list: field(2, number),
      epoch: optional(3, number),
      pins: field(4, slots),
      cards: field(5, slots),
      fingers: field(6, slots),
      activations: field(7, activations),
    },
    8: {
      counter: field(1, number),
      version: field(2, text(32)),
      offset: field(3, integer(1048576)),
      target: optional(4, number),
      denial: optional(5, integer(45, 1)),
    },
  };

  const COMMAND_KINDS = {
    unlock: 1,
    documents: 4,
    "journal ack": 5,
    "say hello": 6,
    firmware: 7,
    "firmware asks": 7,
    inventory: 8,
    capture: 9,
    release: 4,
  };

  function* envelopes(data) {
    const lockId = fromHex(data.lock_id);
    const point = (scalar, known) => lk1.importPair("agree", fromHex(scalar), known);
    function* both(each, purpose, recipient, check) {
      yield [
        `${purpose} ${each.name}`,
        async () => {
          const info = lk1.boxInfo(purpose, lockId);
          const pair = await recipient();
          assert.equal(hex(await lk1.openBox(pair, info, fromHex(each.hex))), each.signed);
          const ephemeral = await point(each.ephemeral_scalar, fromHex(each.hex.slice(0, 130)));
          assert.equal(hex(await lk1.sealBox(pair.publicPoint, info, fromHex(each.signed), ephemeral)), each.hex);
          await check();
        },
      ];
    }
    const lockPair = () => point(data.lock_ecdh_scalar, fromHex(load("sealed").boxes[0].recipient_public));
    const serverPair = () =>
      point(
        data.report_scalar,
        fromHex(load("documents").documents.find((each) => each.kind === "LK1-KEYS").fields.report_key),
      );
    for (const each of data.commands) {
      yield* both(each, "command", lockPair, async () => {
        const said = readMap(
          COMMAND,
          await lk1.openDocument("LK1-CMD", fromHex(each.signed), [fromHex(data.command_public)]),
        );
        assert.equal(hex(said.lockId), data.lock_id);
        const bound = said.kind <= 3 || said.kind === 9;
        assert.equal(bound, said.counter !== null && said.notAfter !== null);
        assert.equal(bound, said.counter !== null || said.notAfter !== null);
        assert.deepEqual(said.kind, COMMAND_KINDS[each.name]);
        readMap(COMMANDS[said.kind], said.body);
      });
    }
    for (const each of data.reports) {
      yield* both(each, "report", serverPair, async () => {
        const said = readMap(
          REPORT,
          await lk1.openDocument("LK1-RPT", fromHex(each.signed), [fromHex(data.lock_public)]),
        );
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
      yield [
        each.lock_id,
        async () => {
          const lockId = fromHex(each.lock_id);
          assert.equal(await topic(lockId, "up/report"), each.report);
          assert.equal(await topic(lockId, "down/command"), each.command);
          assert.equal(each.report.split("/")[1], each.shard);
        },
      ];
    }
    for (const wrong of data.refuse) {
      yield [
        `refuse ${JSON.stringify(wrong)}`,
        async () => {
          const lock = wrong.split("/")[2] ?? "";
          const lockId = /^[0-9a-f]{32}$/.test(lock) ? fromHex(lock) : new Uint8Array(16);
          assert.ok(![await topic(lockId, "up/report"), await topic(lockId, "down/command")].includes(wrong));
        },
      ];
    }
    const gatewayTopic = async (id, way) => (await topic(id, way)).replace("l/", "g/");
    for (const each of data.gateways) {
      yield [
        `gateway ${each.gateway_id}`,
        async () => {
          for (const way of ["up", "down"]) {
            assert.equal(await gatewayTopic(fromHex(each.gateway_id), way), each[way]);
          }
        },
      ];
    }
    for (const wrong of data.refuse_gateways) {
      yield [
        `refuse ${JSON.stringify(wrong)}`,
        async () => {
          const name = wrong.split("/")[2] ?? "";
          const id = /^[0-9a-f]{32}$/.test(name) ? fromHex(name) : new Uint8Array(16);
          assert.ok(![await gatewayTopic(id, "up"), await gatewayTopic(id, "down")].includes(wrong));
        },
      ];
    }
    const enrolTopic = /^e\/([A-Z0-9-]{4,32})\/(up|down)$/;
    for (const each of data.enrolments) {
      yield [
        `enrolment ${each.serial}`,
        () => {
          for (const way of ["up", "down"]) {
            const [, serial, said] = enrolTopic.exec(each[way]) ?? [];
            assert.deepEqual([serial, said], [each.serial, way]);
          }
        },
      ];
    }
    for (const wrong of data.refuse_enrolments) {
      yield [`refuse ${JSON.stringify(wrong)}`, () => assert.ok(!enrolTopic.test(wrong))];
    }
  }

  return { enrolment, envelopes, topics };
}

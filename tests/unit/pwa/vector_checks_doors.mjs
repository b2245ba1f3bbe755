/**
 * What a lock's keypad, a gateway and the manufacturer do: their vector files, checked by a reading of docs/protocol.md
 * §15 to §17 that needs only the codec and the arithmetic of the browser's wire.
 */

import assert from "node:assert/strict";

import {
  bytes,
  bytesUpTo,
  field,
  integer,
  listOf,
  malformed,
  number,
  readMap,
  row,
  text,
  time,
} from "../../../mobile_api/pwa/protocol/fields.js";

const DAY = 86400;
const WINDOW = 14400;

export function doorChecks(lk1, { refuses }) {
  const { decode, encode, fromHex, hash, hmac, join, toHex: hex, utf8 } = lk1;
  const { PIN_CODES, pinLife, pinWorks } = lk1;
  const [GUESTS, OWNER, CLEAR] = [new Set([0, 1, 2, 3, 4, 5, 6]), 7, 8];

  // ------------------------------------------------------------------------------- §15

  async function digitsOf(seed, pin) {
    const mac = await hmac(seed, utf8("LK1 opin"), Uint8Array.of(0), encode(pin));
    const whole = mac.slice(0, 8).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    return String(whole % 1000000000n).padStart(9, "0");
  }

  function searched({ shared, epoch, owner_epoch: owner, now }) {
    const pins = [];
    for (let hour = Math.floor(now / 3600) - 30; hour * 3600 <= now; hour += 1) {
      for (const code of PIN_CODES.keys()) {
        if (!pinWorks(code, hour * 3600, now, false)) continue;
        const first = code === OWNER ? owner : shared ? 0 : epoch;
        const epochs = shared && code !== OWNER ? [first] : [first, first + 1];
        for (const each of epochs) for (const n of [0, 1]) pins.push([each, code, hour, n]);
      }
    }
    return pins;
  }

  /** The epoch of a class at a door: what it must not be below, or null where there is none. */
  function heldEpoch(who, door) {
    if (who === 1) return door.owner_epoch;
    if (who === 2) return door.staff_epoch;
    return door.shared ? null : door.epoch;
  }

  function epochDenied(who, epoch, door, jump) {
    const held = heldEpoch(who, door);
    if (held === null) return epoch === null ? null : "epoch_shared";
    if (epoch === null && who >= 3) return "epoch_low";
    if ((epoch ?? 0) < held) return "epoch_low";
    return (epoch ?? 0) > held + jump ? "epoch_jump" : null;
  }

  function granted(who, epoch, door) {
    const held = heldEpoch(who, door);
    const raises = epoch !== null && held !== null && epoch > held;
    return { raise_epoch: raises ? epoch : null, occupies: raises && who >= 3 };
  }

  function decidePin({ pin, held, cleared, clock, door }) {
    const [epoch, code, hour] = pin;
    const life = pinLife(code, hour * 3600);
    const inUse = held.some((each) => each.join() === pin.join());
    const guests = GUESTS.has(code);
    const who = code === OWNER ? 1 : 4;
    const deny = (denied) => ({ denied });
    if (clock.floor >= life.until) return deny("expired");
    if (clock.now === null) return deny("clock_lost");
    if (clock.now < life.start) return deny("not_yet");
    if (clock.now >= (inUse ? life.until : life.firstUntil)) return deny("expired");
    if (!pinWorks(code, life.start, clock.now, inUse)) return deny("schedule");
    if (guests && hour <= cleared) return deny("revoked");
    const none = door.shared && code !== OWNER;
    if (none && epoch !== 0) return deny("epoch_shared");
    const low = none ? null : epochDenied(who, epoch, door, 1);
    if (low) return deny(low);
    if (inUse && PIN_CODES[code].once) return deny("used_up");
    if (code !== CLEAR && !inUse && held.length >= 32) return deny("back_off");
    if (code === OWNER && door.occupied) return deny("occupied");
    return code === CLEAR ? { raise_epoch: null, occupies: false } : granted(who, none ? null : epoch, door);
  }

  function decideSlot({ slot, clock, door }) {
    const [, , , nbf, until, who, epoch] = slot;
    const deny = (denied) => ({ denied });
    if (clock.floor >= until) return deny("expired");
    if (clock.now === null && who !== 3) return deny("clock_lost");
    if (clock.now !== null && clock.now < nbf) return deny("not_yet");
    if (clock.now !== null && clock.now >= until) return deny("expired");
    const low = epochDenied(who, epoch, door, 16);
    if (low) return deny(low);
    const verdict = granted(who, epoch, door);
    if (clock.now === null && verdict.raise_epoch !== null && clock.floor < nbf) return deny("clock_lost");
    return door.occupied && who < 3 ? deny("occupied") : verdict;
  }

  function* pins(data) {
    const seed = fromHex(data.seed);
    for (const each of data.digits) {
      yield [
        `digits ${each.pin}`,
        async () => {
          const [, code, hour, n] = each.pin;
          const life = pinLife(code, hour * 3600 + 1799);
          assert.equal(await digitsOf(seed, each.pin), each.digits);
          assert.deepEqual([life.start, life.firstUntil, life.until], [each.start, each.first_until, each.until]);
          assert.equal(PIN_CODES[code].once ? life.start + DAY + 3600 : life.until, each.kept_until);
          assert.equal(hour * 256 + code * 16 + n, each.subject);
        },
      ];
    }
    for (const each of data.searched) {
      yield [
        `searched at ${each.now}`,
        async () => {
          const all = searched(each);
          assert.equal(all.length, each.count);
          const digits = await Promise.all(all.map((pin) => digitsOf(seed, pin)));
          assert.equal(hex(await hash(utf8(digits.sort().join("")))), each.digits_sorted_sha256);
        },
      ];
    }
    for (const each of data.decide) {
      yield [`pin: ${each.name}`, () => assert.deepEqual(decidePin(each), each.verdict)];
      yield [
        `works: ${each.name}`,
        () => {
          const [, code, hour] = each.pin;
          const inUse = each.held.some((pin) => pin.join() === each.pin.join());
          if (each.clock.now === null || each.clock.floor > 0) return;
          const late = ["not_yet", "expired", "schedule"].includes(each.verdict.denied);
          assert.equal(pinWorks(code, hour * 3600, each.clock.now, inUse), !late);
          assert.equal(WINDOW, 4 * 3600);
        },
      ];
    }
    for (const each of data.slots) {
      yield [`slot: ${each.name}`, () => assert.deepEqual(decideSlot(each), each.verdict)];
    }
    for (const each of data.rules) {
      yield [`rule ${JSON.stringify(each.digits)}`, () => assert.equal(lk1.weakness(each.digits), each.weak)];
    }
    for (const each of data.verifiers) {
      yield [
        `verifier ${each.value}`,
        async () => {
          const mac = await hmac(seed, utf8(`LK1 ${each.kind} `), fromHex(each.value));
          assert.equal(hex(mac.slice(0, 16)), each.verifier);
        },
      ];
    }
    const rests = [300, 600, 1200, 2400, 3600];
    for (const { failures, pause } of data.lockout) {
      yield [
        `lockout ${failures}`,
        () => assert.equal(pause, failures < 5 ? 0 : rests[Math.min(failures - 5, rests.length - 1)]),
      ];
    }
    yield ["boxes of PINs", () => pinBoxes(seed)];
  }

  async function pinBoxes(seed) {
    const lockId = seed.slice(0, 16);
    const issuer = await lk1.newAgreementPair();
    const phone = await lk1.newAgreementPair();
    const set = await lk1.sealPin(issuer.publicPoint, lockId, "2904751");
    assert.equal(set.length, 65 + 16 + 7);
    const told = await lk1.openBox(issuer, lk1.boxInfo("pin_set", lockId), set);
    assert.equal(new TextDecoder().decode(told), "2904751");
    await assert.rejects(lk1.sealPin(issuer.publicPoint, lockId, "7777777"), { name: "LocalError" });
    const read = await lk1.sealBox(phone.publicPoint, lk1.boxInfo("pin", lockId), utf8("004071234"));
    assert.equal(await lk1.openPin(phone, lockId, read), "004071234");
    await refuses("bad_box", () => lk1.openPin(phone, seed.slice(16), read));
    await refuses("bad_box", () => lk1.openPin(issuer, lockId, set));
    const odd = await lk1.sealBox(phone.publicPoint, lk1.boxInfo("pin", lockId), utf8("12x45678"));
    await refuses("bad_format", () => lk1.openPin(phone, lockId, odd));
  }

  // ------------------------------------------------------------------------------- §16

  const tooLarge = (reading, most) => (value) => {
    if (value instanceof Uint8Array && value.length > most) throw new lk1.RemoteError("too_large");
    return reading(value);
  };
  const octets = (most) => tooLarge(bytesUpTo(most), most);
  const sight = row(bytes(5), integer(20, -127));
  const DOWN = {
    1: ["lock_id", bytes(16), "ref", bytes(16), "tag", bytes(5), "box", octets(4072)],
    2: ["credentials", listOf(octets(640), 64), "doors", listOf(octets(4096), 64)],
    3: [],
  };
  const UP = {
    1: ["lock_id", bytes(16), "box", octets(4072)],
    2: ["sights", listOf(sight, 64)],
    3: ["ref", bytes(16), "fault", integer(4)],
    4: ["boot", number, "free", integer(255)],
  };

  function frame(table, data) {
    const whole = decode(data);
    const layout = Array.isArray(whole) && typeof whole[0] === "number" ? table[whole[0]] : undefined;
    if (layout === undefined) return malformed("frame");
    const readings = layout.filter((_, at) => at % 2 === 1);
    const values = row(...readings)(whole.slice(1));
    return Object.fromEntries(values.map((value, at) => [layout[2 * at], value]));
  }

  const plain = (value) =>
    value instanceof Uint8Array ? hex(value) : Array.isArray(value) ? value.map(plain) : value;

  function* gateway(data) {
    for (const [way, table] of [
      ["down", DOWN],
      ["up", UP],
    ]) {
      for (const each of data[way]) {
        yield [
          `${way} ${each.name}`,
          () => {
            const said = frame(table, fromHex(each.hex));
            const told = Object.fromEntries(Object.entries(said).map(([name, value]) => [name, plain(value)]));
            assert.deepEqual(told, each.fields);
          },
        ];
      }
      for (const each of data[`refuse_${way}`]) {
        yield [`refuse ${way} ${each.name}`, () => refuses(each.code, () => frame(table, fromHex(each.hex)))];
      }
    }
  }

  // ------------------------------------------------------------------------------- §17

  const MANIFEST = {
    model: field(1, text(32)),
    counter: field(2, number),
    version: field(3, text(32)),
    size: field(4, integer(1048576, 1)),
    digest: field(5, bytes(32)),
    iat: field(6, time),
  };

  function* firmware(data) {
    const signer = fromHex(data.signer_public);
    const read = async (raw) => readMap(MANIFEST, await lk1.openDocument("LK1-FW", raw, [signer], { most: 512 }));
    for (const each of data.manifests) {
      yield [
        each.name,
        async () => {
          const said = await read(fromHex(each.hex));
          assert.deepEqual({ ...said, digest: hex(said.digest) }, each.fields);
          const image = fromHex(each.image);
          assert.deepEqual([image.length, hex(await hash(image))], [said.size, hex(said.digest)]);
        },
      ];
    }
    for (const each of data.refuse) {
      yield [`refuse ${each.name}`, () => refuses(each.code, () => read(fromHex(each.hex)))];
    }
    yield ["cut image", async () => assert.notEqual(join(fromHex(data.manifests[0].image)).length, 0)];
  }

  return { pins, gateway, firmware };
}

/**
 * Documents at and beyond every edge of the page, signed here, and what the browser's wire says of each: one JSON line
 * each, `{"kind", "name", "hex", "said"}`, after a first line with the signer's point. `said` is `ok` or the code.
 */

import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto; // Node 18 has no global one
const lk1 = await import("../../../mobile_api/pwa/protocol.js");
const { encode, join, toHex, utf8 } = lk1;

const NOW = 1760000000;
const bytes = (size, value = 7) => new Uint8Array(size).fill(value);
const map = (...entries) => new Map(entries);
const times = (count, make) => Array.from({ length: count }, (_, index) => make(index));

const signer = await lk1.newSigningPair();
const stranger = await lk1.newSigningPair();
const [own, other] = [signer.publicPoint, stranger.publicPoint];
const [x, y] = [own.slice(1, 33), own.slice(33)];
const key = (...more) => map([1, 2], [-1, 1], [-2, x], [-3, y], ...more);
const offCurve = own.slice();
offCurve[64] ^= 1;
const hybrid = own.slice();
hybrid[0] = 6 + (own[64] & 1);

const slot = (number) => [number, bytes(16), bytes(16), NOW, NOW + 5, 3, 1];
const bent = (at, value) => [slot(1).with?.(at, value) ?? slot(1).map((item, index) => (index === at ? value : item))];

const SOUND = {
  "LK1-EKEY": [
    [2, bytes(16)],
    [3, bytes(16)],
    [4, NOW + 3600],
    [5, NOW],
    [6, NOW],
    [7, bytes(16)],
    [8, map([1, key()])],
    [-1, 5],
    [-2, 3],
    [-3, 1],
  ],
  "LK1-DOOR": [
    [1, bytes(16)],
    [2, own],
    [3, NOW],
  ],
  "LK1-RL": [
    [1, bytes(16)],
    [2, 4],
    [
      3,
      [
        [bytes(16, 1), NOW],
        [bytes(16, 2), NOW],
      ],
    ],
    [4, NOW],
  ],
  "LK1-TIME": [
    [1, NOW],
    [2, bytes(8)],
    [3, bytes(16)],
  ],
  "LK1-STATE": [
    [1, bytes(16)],
    [2, 4],
    [3, 1],
    [4, true],
    [5, [slot(1)]],
    [6, []],
    [7, NOW],
  ],
  "LK1-KEYS": [
    [1, 1],
    [2, [own]],
    [3, [other]],
    [4, other],
    [5, NOW],
  ],
  "LK1-RELEASE": [
    [1, bytes(16)],
    [2, 1],
    [3, NOW],
  ],
  "LK1-WISH": [
    [1, bytes(16)],
    [2, bytes(16)],
    [3, 1],
    [4, NOW],
  ],
  "LK1-REQ": [
    [1, bytes(16)],
    [2, "POST /v1/phone/sync"],
    [3, bytes(32)],
    [4, NOW],
    [5, bytes(8)],
  ],
  "LK1-OFFER": [
    [1, 1],
    [2, "S1"],
    [3, bytes(300)],
    [4, bytes(16)],
    [5, own],
    [6, other],
    [7, own],
  ],
};

/** In every field: what it might be mistaken for. Ids and nonces of the right length stay as they are. */
const ANY = [
  0,
  1,
  -1,
  255,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 40,
  2 ** 40 + 1,
  Number.MAX_SAFE_INTEGER,
  null,
  true,
  false,
  "",
  "a",
  bytes(0),
  bytes(1),
  bytes(15),
  bytes(17),
  bytes(31),
  bytes(64),
  bytes(65),
  [],
  [0],
  map(),
];

const EDGES = {
  "LK1-EKEY": [
    [-1, [0, 64, 128, 2 ** 31]],
    [-2, [0, 1, 2, 4, 5, 6]],
    [-5, [1, 0, 2, null, true]],
    [4, [NOW, NOW - 1, NOW + 259200, NOW + 259201]],
    [6, [0, NOW + 9e6]],
    [
      -4,
      [
        [0, []],
        [0, [0, 10080]],
        [840, [0, 1]],
        [841, [0, 1]],
        [-840, [0, 1]],
        [-841, [0, 1]],
        [0, [0, 10, 10, 20]],
        [0, [0, 10, 9, 20]],
        [0, [10, 10]],
        [0, [0, 10081]],
        [0, [0]],
        [0, times(42, (at) => at)],
        [0, times(44, (at) => at)],
        [0, [[0, 1]]],
        [0],
        [0, [0, 1], 1],
      ],
    ],
    [
      8,
      [
        map([1, key([5, 1])]),
        map([1, key([256, 1])]),
        map([1, key()], [2, 1]),
        map([1, key()], [256, 1]),
        map([1, key([-3, x])]),
        map([1, key([1, 3])]),
        map([1, key([-1, 2])]),
        map([1, map([1, 2], [-1, 1], [-2, x])]),
      ],
    ],
  ],
  "LK1-DOOR": [[2, [offCurve, hybrid]]],
  "LK1-RL": [
    [
      3,
      [
        [
          [bytes(16, 2), NOW],
          [bytes(16, 1), NOW],
        ],
        times(128, (at) => [bytes(16, at), NOW]),
        times(129, (at) => [bytes(16, at), NOW]),
        [[bytes(16), NOW, 1]],
        [[bytes(16), null]],
      ],
    ],
    [5, [0, NOW, null, 2 ** 40 + 1]],
  ],
  "LK1-TIME": [],
  "LK1-STATE": [
    [
      5,
      [
        [slot(1), slot(2)],
        [slot(2), slot(1)],
        [slot(1), slot(1)],
        times(24, slot),
        times(25, slot),
        [slot(255)],
        [slot(256)],
        bent(5, 0),
        bent(5, 5),
        bent(6, null),
        bent(4, NOW),
        bent(4, NOW - 1),
        bent(1, bytes(15)),
        [slot(1).slice(1)],
      ],
    ],
    [8, [[], [slot(1)], [slot(2), slot(1)], times(24, slot), times(25, slot), null]],
    [
      9,
      [
        [480, [0, 1]],
        [480, []],
        [0, [0, 10080]],
        [0, [10, 10]],
        [841, [0, 1]],
        [0, times(42, (at) => at)],
        [0, times(44, (at) => at)],
        null,
      ],
    ],
    [10, [0, 600, 601, null]],
  ],
  "LK1-KEYS": [
    [2, [[], [own, own], [own, other, own, other], times(5, () => own), [offCurve], [bytes(65)]]],
    [3, [[], [own]]],
    [6, [own, offCurve, hybrid, bytes(64), null]],
  ],
  "LK1-RELEASE": [[2, [2, 3]]],
  "LK1-WISH": [
    [3, [17, 18, 23, 24]],
    [
      5,
      [
        map(["a", 1]),
        map(...times(8, (at) => [`a${at}`, at])),
        map(...times(9, (at) => [`a${at}`, at])),
        map(["a", bytes(128)]),
        map(["a", bytes(129)]),
        map(["a", "门".repeat(43)]),
        map(["a", "门".repeat(129)]),
        map(["a", "😀".repeat(65)]),
        map(["", 1]),
        map(["x".repeat(128), 1]),
        map(["x".repeat(129), 1]),
        map([1, 1]),
        map(["a", null]),
        map(["a", true]),
        map(["a", [1]]),
        map(["a", -5]),
      ],
    ],
  ],
  "LK1-REQ": [[2, ["x".repeat(128), "x".repeat(129), "门".repeat(100)]]],
  "LK1-OFFER": [
    [1, [2]],
    [2, ["x".repeat(32), "x".repeat(33), "门".repeat(32)]],
    [3, [bytes(1536), bytes(1537)]],
  ],
};

const READERS = {
  "LK1-EKEY": (raw) => lk1.readCredential(raw, [own]),
  "LK1-DOOR": (raw) => lk1.readDoor(raw, [own]),
  "LK1-RL": (raw) => lk1.readRevocationList(raw, [own], bytes(16)),
  "LK1-TIME": (raw) => lk1.readTime(raw, [own], bytes(16), bytes(8)),
  "LK1-STATE": (raw) => lk1.readAccessState(raw, [own], bytes(16)),
  "LK1-KEYS": (raw) => lk1.readKeySet(raw, own),
  "LK1-WISH": (raw) => lk1.readWish(raw, own),
  "LK1-RELEASE": (raw) => lk1.readRelease(raw, [own], bytes(16)),
  "LK1-REQ": (raw) => lk1.readRequest(raw, own),
  "LK1-OFFER": (raw) => lk1.readOffer(raw, own),
};

const print = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);

async function tell(kind, name, raw) {
  let said = "ok";
  try {
    await READERS[kind](raw);
  } catch (error) {
    said = error.code ?? String(error.stack);
  }
  print({ kind, name, hex: toHex(raw), said });
}

const signed = (kind, entries, by = signer, as = kind) => lk1.signDocument(as, new Map(entries), by, 9999);
const setting = (entries, number, value) => [...new Map(entries).set(number, value)];

async function withHeader(kind, name, header, unprotected = map()) {
  const payload = encode(new Map(SOUND[kind]));
  const signature = await lk1.sign(signer.privateKey, encode(["Signature1", header, utf8(kind), payload]));
  await tell(kind, name, encode([header, unprotected, payload, signature]));
}

print({ signer: toHex(own) });
for (const [kind, entries] of Object.entries(SOUND)) {
  const good = await signed(kind, entries);
  await tell(kind, "sound", good);
  await tell(kind, "a stranger's", await signed(kind, entries, stranger));
  await tell(kind, "another kind", await signed(kind, entries, signer, "LK1-XX"));
  await tell(kind, "signature of zeros", join(good.slice(0, -64), bytes(64, 0)));
  await tell(kind, "trailing byte", join(good, bytes(1)));
  await tell(kind, "nothing", bytes(0));
  for (const [number] of entries) {
    await tell(
      kind,
      `without ${number}`,
      await signed(
        kind,
        entries.filter(([each]) => each !== number),
      ),
    );
    for (const [at, value] of ANY.entries())
      await tell(kind, `${number} is ANY[${at}]`, await signed(kind, setting(entries, number, value)));
  }
  for (const [number, values] of EDGES[kind]) {
    for (const [at, value] of values.entries())
      await tell(kind, `${number} is EDGES[${at}]`, await signed(kind, setting(entries, number, value)));
  }
  for (const extra of [255, 256, 2 ** 32, -100, "x", ""])
    await tell(kind, `also ${extra}`, await signed(kind, setting(entries, extra, null)));
  for (const size of [32, 33]) {
    const more = times(size - entries.length, (at) => [300 + at, 1]);
    await tell(kind, `${size} fields`, await signed(kind, [...entries, ...more]));
  }
  for (const size of [512, 640, 4096]) {
    for (const more of [0, 1]) {
      const pad = size + more - (await signed(kind, [...entries, [300, bytes(300)]])).length + 300;
      if (pad > 300) await tell(kind, `${size} + ${more} bytes`, await signed(kind, [...entries, [300, bytes(pad)]]));
    }
  }
  const kid = await lk1.keyId(own);
  await withHeader(kind, "header", encode(map([1, -7], [4, kid])));
  await withHeader(kind, "header with more", encode(map([1, -7], [4, kid], [300, 0])));
  await withHeader(kind, "other algorithm", encode(map([1, -8], [4, kid])));
  await withHeader(kind, "no kid", encode(map([1, -7])));
  await withHeader(kind, "short kid", encode(map([1, -7], [4, kid.slice(1)])));
  await withHeader(kind, "header trailing", join(encode(map([1, -7], [4, kid])), bytes(1)));
  await withHeader(kind, "unprotected", encode(map([1, -7], [4, kid])), map([4, kid]));
}

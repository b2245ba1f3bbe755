/**
 * The golden vectors against the wire of the browser: `node vectors.mjs FOLDER [--mutants | --broken NAME]`.
 *
 * Prints one JSON line a file: `{"file", "checks", "failed": [...]}`. With `--mutants` instead: one digit of one value
 * changed, each in turn: `{"file", "mutants", "unnoticed": [paths whose change made no check fail]}`. With `--broken`:
 * as without, on an implementation with that one fault (`BROKEN`).
 */

import { readFileSync } from "node:fs";
import { webcrypto } from "node:crypto";
import { join as path } from "node:path";

globalThis.crypto ??= webcrypto; // Node 18 has no global one
const real = await import("../../../mobile_api/pwa/protocol.js");
const { checksOf } = await import("./vector_checks.mjs");

const FILES = [
  "access",
  "codec",
  "documents",
  "enrolment",
  "envelopes",
  "firmware",
  "framing",
  "gateway",
  "hand",
  "handshake",
  "journal",
  "pins",
  "sealed",
  "topics",
];

/** Faults that somebody could write. */
const BROKEN = {
  closed_window: {
    decide: (claims, operation, clock, door) => real.decide({ ...claims, exp: claims.exp + 1 }, operation, clock, door),
  },
  open_from: {
    decide: (claims, operation, clock, door) => real.decide({ ...claims, nbf: claims.nbf + 1 }, operation, clock, door),
  },
  week_in_utc: { minuteOfWeek: (now) => real.minuteOfWeek(now, 0) },
  unchecked_points: { checkedPoint: (point) => point },
  pin_closed_window: {
    pinWorks: (code, start, now, inUse) =>
      real.pinWorks(code, start, now, inUse) || real.pinWorks(code, start, now - 1, inUse),
  },
  pins_without_dates: {
    weakness: (digits) => (real.weakness(digits) === "date" ? null : real.weakness(digits)),
  },
  cut_without_length: { fragments: (message, mtu) => real.fragments(message, mtu).slice(1) },
};

/** Values whose neighbour is as good: another refused input, another second of the same minute, another MTU. */
const TOLERANT =
  /^refuse|\.mtu$|^week\.\d+\.now$|^minute_of_week\.\d+\.now$|^decide\.\d+\.(claims|clock|door|operation|pin|held|cleared)|^slots\.\d+\.(slot|clock|door)|^searched\.\d+\.(shared|now|epoch|owner_epoch)|^rules\.\d+\.digits|^lockout\.\d+\.failures|\.manifests\.\d+\.image$/;

const [folder, mode, broken] = process.argv.slice(2);
const lk1 = mode === "--broken" ? { ...real, ...BROKEN[broken] } : real;
const load = (file) => JSON.parse(readFileSync(path(folder, `${file}.json`), "utf8"));

/** How many checks ran, and those that failed; `first`: only until one fails, those named after `about` before others. */
async function run(file, data, { first = false, about = null } = {}) {
  const checksByFile = checksOf(lk1, (other) => (other === file ? data : load(other)));
  const failed = [];
  let checks = 0;
  try {
    for (const [name, check] of inOrder(checksByFile[file](data), about)) {
      checks += 1;
      try {
        await check();
      } catch (error) {
        failed.push(`${name}: ${error.message}`);
        if (first) break;
      }
    }
  } catch (error) {
    failed.push(`cannot be read: ${error.message}`);
  }
  return { checks, failed };
}

function inOrder(checks, about) {
  if (about === null) return checks;
  const all = [...checks];
  const near = ([name]) => name.includes(about);
  return [...all.filter(near), ...all.filter((each) => !near(each))];
}

/** Paths of all values that a check must hang on. */
function leaves(value, at = []) {
  if (value !== null && typeof value === "object") {
    return Object.entries(value).flatMap(([key, item]) => leaves(item, [...at, key]));
  }
  const says = ["name", "source", "about"].includes(at.at(-1)) && !at.includes("fields");
  return says || value === "" || value === null || TOLERANT.test(at.join(".")) ? [] : [at];
}

function changed(value) {
  if (typeof value === "number") return value + 1;
  if (typeof value === "boolean") return !value;
  return value.slice(0, -1) + (value.at(-1) === "0" ? "1" : "0");
}

async function mutants(file) {
  const unnoticed = [];
  const all = leaves(load(file));
  for (const leaf of all) {
    const data = load(file);
    const holder = leaf.slice(0, -1).reduce((value, key) => value[key], data);
    holder[leaf.at(-1)] = changed(holder[leaf.at(-1)]);
    const about = data[leaf[0]]?.[leaf[1]]?.name ?? null;
    if ((await run(file, data, { first: true, about })).failed.length === 0) unnoticed.push(leaf.join("."));
  }
  return { mutants: all.length, unnoticed };
}

for (const file of FILES) {
  const result = mode === "--mutants" ? await mutants(file) : await run(file, load(file));
  process.stdout.write(`${JSON.stringify({ file, ...result })}\n`);
}

// The agent, as far as a filter sees it, in JavaScript: runs a `suiro_v1` module over records, for tests.
//
//   import { run } from "suiro-filter/testing";
//   const { records, log } = await run("build/filter.wasm", ['{"level":"info"}'], { config: { keep: "info" } });
//
// Or from the command line: node host.mjs filter.wasm [config.json] < in.jsonl > out.jsonl
//
// Poorer than the agent: a repeated key counts once, numbers are those of JavaScript unless nobody touches them, there are
// no bytes and no limits, and of header and scope there are `@tag` and what `resource` gives.
import { readFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const ABSENT = -1, WRONG_TYPE = -2, INVALID = -3, DENIED = -4, BAD_TEXT = -6;
const AT = 0x7fffffff;
const NULL = 0, BOOL = 1, INT = 2, FLOAT = 3, STR = 4, LIST = 6, MAP = 7;

/** A number as it was written. */
class Num {
  constructor(text) { this.text = text; }
  get integer() { return /^-?\d+$/.test(this.text); }
}

/** Parses JSON: maps as Map, numbers as Num. Throws where it is none. */
export function parse(text) {
  JSON.parse(text);
  let at = 0;
  const blank = () => { while (" \t\r\n".includes(text[at]) && at < text.length) at++; };
  const value = () => {
    blank();
    const start = at;
    if (text[at] === '"') {
      for (at++; text[at] !== '"'; at++) if (text[at] === "\\") at++;
      at++;
      return JSON.parse(text.slice(start, at));
    }
    if (text[at] === "[" || text[at] === "{") {
      const list = text[at] === "[", out = list ? [] : new Map();
      for (at++, blank(); text[at] !== "]" && text[at] !== "}"; blank()) {
        if (text[at] === ",") at++;
        if (list) { out.push(value()); continue; }
        const key = value();
        blank();
        at++;
        out.set(key, value());
      }
      at++;
      return out;
    }
    while (at < text.length && !",]} \t\r\n".includes(text[at])) at++;
    const word = text.slice(start, at);
    return { true: true, false: false, null: null }[word] ?? (word === "null" ? null : new Num(word));
  };
  return value();
}

/** Writes what `parse` reads. */
export function write(value) {
  if (value instanceof Num) return value.text;
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  if (value instanceof Map) return `{${[...value].map(([k, v]) => `${JSON.stringify(k)}:${write(v)}`).join(",")}}`;
  return JSON.stringify(value);
}

function kindOf(value) {
  if (value === null) return NULL;
  if (typeof value === "boolean") return BOOL;
  if (value instanceof Num) return value.integer ? INT : FLOAT;
  if (typeof value === "string") return STR;
  return Array.isArray(value) ? LIST : MAP;
}

/** A path as { special, parts }; undefined where it is none. */
function parsePath(text) {
  const special = text[0] === "@", parts = [];
  let rest = special ? text.slice(1) : text;
  for (;;) {
    const quoted = /^"((?:[^"\\]|\\.)*)"/s.exec(rest), bare = /^[^\s\x00-\x1f@.[\]"'{}()|,=!<>~:]+/.exec(rest);
    const found = quoted ?? bare;
    if (!found) return undefined;
    parts.push(quoted ? quoted[1].replace(/\\(.)/gs, "$1") : bare[0]);
    rest = rest.slice(found[0].length);
    for (let index; (index = /^\[(-?\d+)\]/.exec(rest)); rest = rest.slice(index[0].length)) parts.push(Number(index[1]));
    if (rest === "") return parts.length <= 16 ? { special, parts } : undefined;
    if (rest[0] !== ".") return undefined;
    rest = rest.slice(1);
  }
}

/** The steps to a value that is there: at each map the longest literal key first. */
function find(value, parts) {
  if (parts.length === 0) return [];
  if (Array.isArray(value) && typeof parts[0] === "number") {
    const index = parts[0] < 0 ? parts[0] + value.length : parts[0];
    const rest = index in value ? find(value[index], parts.slice(1)) : undefined;
    return rest && [index, ...rest];
  }
  if (!(value instanceof Map)) return undefined;
  let keys = 0;
  while (keys < parts.length && typeof parts[keys] === "string") keys++;
  for (let taken = keys; taken > 0; taken--) {
    const key = parts.slice(0, taken).join(".");
    const rest = value.has(key) ? find(value.get(key), parts.slice(taken)) : undefined;
    if (rest) return [key, ...rest];
  }
  return undefined;
}

const child = (value, step) => (value instanceof Map ? value.get(step) : value?.[step]);
const at = (root, steps) => steps.reduce(child, root);
const isBare = (key) => /^[^\s\x00-\x1f@.[\]"'{}()|,=!<>~:]+$/.test(key);
const quote = (key) => (isBare(key) ? key : `"${key.replace(/["\\]/g, "\\$&")}"`);
const pathText = (steps) => steps.map((s, i) => (typeof s === "number" ? `[${s}]` : (i ? "." : "") + quote(s))).join("");

function put(root, parts, value) {
  let steps = find(root, parts), missing = [];
  for (let there = parts.length - 1; !steps && there >= 0; there--) {
    const head = find(root, parts.slice(0, there));
    if (head && at(root, head) instanceof Map && parts.slice(there).every((p) => typeof p === "string")) {
      missing = parts.slice(there);
      steps = [...head, missing[0]];
    } else if (head) return false;
  }
  if (!steps) return false;
  for (const key of missing.slice(1).reverse()) value = new Map([[key, value]]);
  replace(root, steps, value);
  return true;
}

function replace(root, steps, value) {
  const last = steps.at(-1), above = at(root, steps.slice(0, -1));
  if (above instanceof Map) above.set(last, value);
  else above[last] = value;
}

function take(root, steps) {
  const last = steps.at(-1), above = at(root, steps.slice(0, -1));
  if (above instanceof Map) return above.delete(last);
  above.splice(last, 1);
  return true;
}

function places(value, steps, kinds, out) {
  if (steps.length > 0 && kinds & (1 << kindOf(value))) out.push(steps);
  const children = value instanceof Map ? value : Array.isArray(value) ? value.entries() : [];
  for (const [step, inner] of children) places(inner, [...steps, step], kinds, out);
  return out;
}

const startsWith = (steps, head) => head.every((step, i) => steps[i] === step);

/**
 * Runs a module over JSON lines, as one batch.
 * @param {string | Uint8Array} module a file, or its bytes
 * @param {string[]} lines records as JSON
 * @param {{config?: object, tag?: string, timestamp?: bigint, resource?: object, imports?: object}} options
 * @returns records that go on, as JSON, their tags and times; how many were dropped; why others failed; log; counters
 */
export async function run(module, lines, options = {}) {
  const bytes = typeof module === "string" ? await readFile(module) : module;
  const row = (value, from) => ({
    value, tag: options.tag ?? "test", timestamp: options.timestamp ?? 1767225600000000000n, state: "kept", ...from,
  });
  const rows = lines.map((line) => row(parse(line)));
  const order = rows.map((_, i) => i);
  const fields = [], log = [], counters = {}, gauges = {};
  const config = parse(JSON.stringify(options.config ?? {}));
  const resource = parse(JSON.stringify(options.resource ?? {}));
  let exports, walk;

  const decoder = new TextDecoder("utf-8", { fatal: true }), encoder = new TextEncoder();
  const memory = () => new Uint8Array(exports.memory.buffer);
  const text = (ptr, len) => decoder.decode(memory().subarray(ptr >>> 0, (ptr >>> 0) + (len >>> 0)));
  const give = (said, buf, cap) => {
    if (typeof said === "number") return said;
    const encoded = encoder.encode(said);
    if (encoded.length <= cap >>> 0) memory().set(encoded, buf >>> 0);
    return encoded.length;
  };
  const said = (value) => (typeof value === "number" || typeof value === "string" ? value : write(value));
  const json = (ptr, len) => { try { return parse(text(ptr, len)); } catch { return undefined; } };
  const guard = (rec, then) => (!rows[rec] ? INVALID : rows[rec].state !== "kept" ? DENIED : then(rows[rec]));

  /** The value of a field; a number is an error. */
  const value = (rec, field) => guard(rec, (r) => {
    if (field === AT) {
      if (walk?.rec !== rec) return ABSENT;
      return walk.current ? at(r.value, walk.current) ?? null : ABSENT;
    }
    const path = fields[field]?.path;
    if (!path) return INVALID;
    if (path.special && path.parts[0] === "tag") return r.tag;
    const root = path.special ? resource : r.value;
    const parts = path.special && path.parts[0] === "resource" ? path.parts.slice(1) : path.parts;
    const steps = find(root, parts);
    return steps ? at(root, steps) : ABSENT;
  });
  const set = (rec, field, to) => guard(rec, (r) => {
    if (to === undefined) return BAD_TEXT;
    if (field === AT) {
      if (walk?.rec !== rec) return ABSENT;
      if (!walk.current) return ABSENT;
      const current = walk.current;
      walk.places = walk.places.filter((steps) => !startsWith(steps, current));
      replace(r.value, current, to);
      return 0;
    }
    const path = fields[field]?.path;
    if (!path) return INVALID;
    if (path.special || !put(r.value, path.parts, to)) return DENIED;
    if (walk?.rec === rec) walk = undefined;
    return 0;
  });
  const store = (rec, field, read, write) => {
    const found = value(rec, field);
    if (typeof found === "number") return found;
    const number = read(found);
    if (number === undefined) return WRONG_TYPE;
    write(new DataView(exports.memory.buffer), number);
    return 0;
  };
  const isMetric = (ptr, len) => /^[a-z0-9_]{1,64}$/.test(text(ptr, len));

  const suiro_v1 = {
    field(ptr, len) {
      const said = text(ptr, len), known = fields.findIndex((f) => f.text === said);
      if (known >= 0) return known;
      const path = parsePath(said);
      return path ? fields.push({ text: said, path }) - 1 : BAD_TEXT;
    },
    kind(rec, field) { const v = value(rec, field); return typeof v === "number" ? v : kindOf(v); },
    get: (rec, field, buf, cap) => give(said(value(rec, field)), buf, cap),
    get_i64: (rec, field, out) => store(rec, field,
      (v) => (v instanceof Num && v.integer && BigInt.asIntN(64, BigInt(v.text)) === BigInt(v.text) ? BigInt(v.text) : undefined),
      (view, n) => view.setBigInt64(out, n, true)),
    get_f64: (rec, field, out) => store(rec, field,
      (v) => (v instanceof Num ? Number(v.text) : undefined), (view, n) => view.setFloat64(out, n, true)),
    get_bool(rec, field) { const v = value(rec, field); return typeof v === "boolean" ? Number(v) : typeof v === "number" ? v : WRONG_TYPE; },
    set_str: (rec, field, ptr, len) => set(rec, field, text(ptr, len)),
    set_i64: (rec, field, n) => set(rec, field, new Num(String(n))),
    set_f64: (rec, field, n) => (Number.isFinite(n) ? set(rec, field, new Num(Number.isInteger(n) ? n.toFixed(1) : String(n))) : INVALID),
    set_bool: (rec, field, b) => set(rec, field, b !== 0),
    set_null: (rec, field) => set(rec, field, null),
    set_json: (rec, field, ptr, len) => set(rec, field, json(ptr, len)),
    remove: (rec, field) => guard(rec, (r) => {
      if (field === AT) {
        if (walk?.rec !== rec) return ABSENT;
        const current = walk.current;
        if (!current) return 0;
        walk.current = undefined;
        walk.places = walk.places.filter((steps) => !startsWith(steps, current));
        const list = current.slice(0, -1), gone = current.at(-1);
        for (const steps of walk.places) {
          if (typeof gone === "number" && startsWith(steps, list) && steps[list.length] > gone) steps[list.length]--;
        }
        return Number(take(r.value, current));
      }
      const path = fields[field]?.path;
      if (!path) return INVALID;
      const steps = path.special ? undefined : find(r.value, path.parts);
      if (!steps) return 0;
      if (walk?.rec === rec) walk = undefined;
      return Number(take(r.value, steps));
    }),
    each: (rec, kinds) => guard(rec, (r) => {
      walk = { rec, places: places(r.value, [], kinds, []) };
      return 0;
    }),
    next(buf, cap) {
      if (!walk) return ABSENT;
      walk.current = walk.places.shift();
      return walk.current ? give(said(at(rows[walk.rec].value, walk.current)), buf, cap) : ABSENT;
    },
    path: (buf, cap) => (walk?.current ? give(pathText(walk.current), buf, cap) : ABSENT),
    timestamp: (rec) => BigInt(guard(rec, (r) => r.timestamp) < 0 ? -1 : rows[rec].timestamp),
    set_timestamp: (rec, ns) => guard(rec, (r) => ((r.timestamp = ns), 0)),
    tag: (rec, buf, cap) => give(guard(rec, (r) => r.tag), buf, cap),
    set_tag: (rec, ptr, len) => guard(rec, (r) => {
      const tag = text(ptr, len);
      if (len < 1 || len > 256 || /[\x00-\x1f\x7f]/.test(tag)) return BAD_TEXT;
      r.tag = tag;
      return 0;
    }),
    drop: (rec) => guard(rec, (r) => ((r.state = "dropped"), 0)),
    fail: (rec, ptr, len) => guard(rec, (r) => ((r.state = "failed"), (r.why = text(ptr, len)), 0)),
    emit(rec, ptr, len) {
      if (!rows[rec]) return INVALID;
      const map = json(ptr, len);
      if (!(map instanceof Map)) return BAD_TEXT;
      const descends = (i) => i !== undefined && (i === rec || descends(rows[i].parent));
      let place = order.indexOf(rec) + 1;
      while (place < order.length && descends(order[place])) place++;
      rows.push(row(map, { tag: rows[rec].tag, timestamp: rows[rec].timestamp, parent: rec }));
      order.splice(place, 0, rows.length - 1);
      return rows.length - 1;
    },
    json: (rec, buf, cap) => give(guard(rec, (r) => write(r.value)), buf, cap),
    replace_json: (rec, ptr, len) => guard(rec, (r) => {
      const map = json(ptr, len);
      if (!(map instanceof Map)) return BAD_TEXT;
      if (walk?.rec === rec) walk = undefined;
      r.value = map;
      return 0;
    }),
    config(ptr, len, buf, cap) {
      if (len === 0) return give(write(config), buf, cap);
      const path = parsePath(text(ptr, len));
      const steps = path && find(config, path.parts);
      return path ? (steps ? give(said(at(config, steps)), buf, cap) : ABSENT) : BAD_TEXT;
    },
    log(level, ptr, len) {
      if (level < 0 || level > 3) return INVALID;
      log.push([["error", "warn", "info", "debug"][level], text(ptr, len)]);
      return 0;
    },
    counter(ptr, len, add) {
      if (!isMetric(ptr, len)) return BAD_TEXT;
      if (add < 0n) return INVALID;
      counters[text(ptr, len)] = (counters[text(ptr, len)] ?? 0) + Number(add);
      return 0;
    },
    gauge(ptr, len, to) {
      if (!isMetric(ptr, len)) return BAD_TEXT;
      gauges[text(ptr, len)] = to;
      return 0;
    },
    now_ns: () => 1767225600000000000n,
    random: () => crypto.getRandomValues(new BigInt64Array(1))[0],
  };

  const compiled = await WebAssembly.compile(bytes);
  const imports = { suiro_v1, ...options.imports };
  const wasi = WebAssembly.Module.imports(compiled).some((i) => i.module === "wasi_snapshot_preview1");
  let start = (instance) => instance.exports._initialize?.();
  if (wasi) {
    const { WASI } = await import("node:wasi");
    const system = new WASI({ version: "preview1" });
    imports.wasi_snapshot_preview1 = system.wasiImport;
    if (WebAssembly.Module.exports(compiled).some((e) => e.name === "_initialize")) start = (instance) => system.initialize(instance);
    else start = (instance) => system.finalizeBindings?.(instance);
  }
  const instance = await WebAssembly.instantiate(compiled, imports);
  exports = instance.exports;
  start(instance);
  if (exports.suiro_version?.() !== 1) throw new Error("the module does not export suiro_version() = 1");
  if (exports.init && exports.init() !== 0) {
    throw new Error(`init: not ready: ${log.map(([, line]) => line).join("\n") || "it did not say why"}`);
  }
  try {
    exports.process(lines.length);
  } catch (trap) {
    throw new Error(`${trap.message}\n${log.map(([, line]) => line).join("\n")}`, { cause: trap });
  }
  exports.flush?.();
  const kept = order.map((i) => rows[i]).filter((r) => r.state === "kept");
  return {
    records: kept.map((r) => write(r.value)),
    tags: kept.map((r) => r.tag),
    timestamps: kept.map((r) => r.timestamp),
    dropped: rows.filter((r) => r.state === "dropped").length,
    failures: rows.filter((r) => r.state === "failed").map((r) => r.why),
    log, counters, gauges,
  };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [module, config] = process.argv.slice(2);
  const lines = readFileSync(0, "utf8").split("\n").filter((line) => line.trim() !== "");
  const options = config ? { config: JSON.parse(readFileSync(config, "utf8")) } : {};
  const outcome = await run(module, lines, options);
  for (const line of outcome.records) console.log(line);
  for (const [level, line] of outcome.log) console.error(`${level}: ${line}`);
  for (const why of outcome.failures) console.error(`failed: ${why}`);
}

// `route-by-level` in AssemblyScript: the twin of the Rust filter beside it, with its settings and its output.
import { Field, Record, Verdict, config, log, run } from "../../../assemblyscript/assembly";
export { suiro_version } from "../../../assemblyscript/assembly";

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"];
const NAMES = [
  ["trace", "trc", "verbose", "finest", "10"],
  ["debug", "dbg", "fine", "20"],
  ["info", "inf", "information", "informational", "notice", "30"],
  ["warn", "wrn", "warning", "40"],
  ["error", "err", "eror", "severe", "50"],
  ["fatal", "ftl", "critical", "crit", "alert", "emerg", "emergency", "panic", "60"],
];

let field = new Field("level");
let otherwise: string | null = null;
const tags = new Map<string, string>();

export function init(): i32 {
  const all = config.text("");
  const table = config.text("tags");
  if (all === null || table === null || !table.startsWith("{")) {
    log.error("`tags` is missing: config = { tags = { error = \"app.errors\" } }");
    return 1;
  }
  const known = keys(all, ["tags", "field", "default"], "unknown setting `") && keys(table, LEVELS, "`tags`: no level is called `");
  if (!known) return 1;
  const path = config.text("field");
  if (path !== null) field = new Field(path);
  if (!field.valid()) return 1;
  otherwise = config.text("default");
  if (otherwise !== null && !isTag(otherwise!)) return 1;
  for (let i = 0; i < LEVELS.length; i++) {
    const tag = config.text("tags." + LEVELS[i]);
    if (tag === null) continue;
    if (!isTag(tag)) return 1;
    for (let k = 0; k < NAMES[i].length; k++) tags.set(NAMES[i][k], tag);
  }
  return 0;
}

function isTag(tag: string): bool {
  const len = String.UTF8.byteLength(tag);
  let good = len >= 1 && len <= 256;
  for (let i = 0; i < tag.length; i++) good = good && tag.charCodeAt(i) >= 32 && tag.charCodeAt(i) != 127;
  if (!good) log.error("a tag has 1 to 256 bytes and no control characters");
  return good;
}

/** Whether a map has no other keys than these; says so where it has. */
function keys(map: string, known: string[], what: string): bool {
  let depth = 0;
  for (let i = 0; i < map.length; i++) {
    const sign = map.charCodeAt(i);
    if (sign == 0x7b || sign == 0x5b) depth++;
    if (sign == 0x7d || sign == 0x5d) depth--;
    if (sign != 0x22) continue;
    const start = i + 1;
    for (i++; map.charCodeAt(i) != 0x22; i++) if (map.charCodeAt(i) == 0x5c) i++;
    let behind = i + 1;
    while (map.charCodeAt(behind) == 0x20) behind++;
    const key = map.substring(start, i);
    if (depth == 1 && map.charCodeAt(behind) == 0x3a && !known.includes(key)) {
      log.error(what + key + "`; there are: " + known.join(", "));
      return false;
    }
  }
  return true;
}

/** In lower case, as far as ASCII goes: levels do not go further, and the tables for the rest have 20 KB. */
function lower(text: string): string {
  const codes = new Array<i32>(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    codes[i] = code >= 0x41 && code <= 0x5a ? code + 32 : code;
  }
  return String.fromCharCodes(codes);
}

function route(record: Record): Verdict {
  const level = record.text(field);
  let tag: string | null = null;
  if (level !== null && level.length <= 13) {
    const name = lower(level);
    if (tags.has(name)) tag = tags.get(name);
  }
  if (tag === null) tag = otherwise;
  if (tag !== null) record.setTag(tag);
  return Verdict.KEEP;
}

export function process(count: i32): void {
  run(count, route);
}

// Uses all of the SDK, and tells in the record what it found. See everything.test.mjs.
import { Field, Kind, Record, Result, Verdict, Walked, config, counter, gauge, log, now, random, run } from "../assembly";
export { suiro_version } from "../assembly";

const S = new Field("s"), I = new Field("i"), F = new Field("f"), B = new Field("b"), M = new Field("m.deep"), NONE = new Field("none");
let prefix = "";

export function init(): i32 {
  const text = config.text("prefix");
  if (text === null) {
    log.error("`prefix` is missing");
    return 1;
  }
  prefix = text;
  return 0;
}

function check(holds: bool, what: string): void {
  if (!holds) throw new Error(what);
}

function everything(record: Record): Verdict {
  if (record.bool(new Field("drop"), false)) return Verdict.DROP;
  const why = record.str(new Field("fail"));
  if (why !== null) {
    record.fail(why);
    return Verdict.KEEP;
  }
  check(!record.bool(new Field("trap"), false), "asked to");
  check(record.kind(NONE) == Kind.ABSENT && !record.has(NONE) && record.text(NONE) === null, "absent");
  const text = record.str(S);
  check(text !== null && record.is(I, "7") && record.str(I) === null, "texts");
  check(record.i64(I, -1) == 7 && record.i64(F, -1) == -1 && record.f64(F) == 1.5 && isNaN(record.f64(S)), "numbers");
  check(record.tag() == "test" && record.timestamp() > 0 && now() > 0, "header");
  const seed = random();
  check(seed == seed, "random");
  check(record.setStr(S, prefix + text!) == Result.OK, "setStr");
  check(record.setI64(I, record.i64(I, 0) * 2) == Result.OK, "setI64");
  check(record.setF64(F, 0.25) == Result.OK && record.setF64(F, NaN) == Result.INVALID, "setF64");
  check(record.setBool(B, true) == Result.OK && record.setNull(new Field("n")) == Result.OK, "setBool");
  check(record.setJson(M, "[1,{\"x\":\"水\"}]") == Result.OK && record.setJson(M, "[") == Result.BAD_TEXT, "setJson");
  check(record.remove(new Field("gone")) == 1 && record.remove(NONE) == 0, "remove");
  record.strings((at: Walked, text: string) => {
    if (at.path() == "long") at.setStr(text.length.toString());
    if (text == "out") at.remove();
    if (text == "json") at.setJson("{\"was\":\"json\"}");
  });
  const emitted = record.emit("{\"emitted\":1}");
  check(emitted !== null && record.emit("[]") === null, "emit");
  emitted!.setStr(S, "set");
  emitted!.replaceJson("{\"was\":" + emitted!.json() + "}");
  check(record.setTag("other") == Result.OK && record.setTag("") == Result.BAD_TEXT, "setTag");
  check(record.setTimestamp(5) == Result.OK, "setTimestamp");
  check(counter("seen", 2) == Result.OK && counter("No", 1) < 0 && gauge("level", 0.5) == Result.OK, "metrics");
  log.info("done");
  return Verdict.KEEP;
}

export function process(count: i32): void {
  run(count, everything);
}

// Drops records of level `debug`, and notes in the others that it saw them.
import { Field, Record, Verdict, run } from "../assembly";
export { suiro_version } from "../assembly";

const LEVEL = new Field("level");
const SEEN = new Field("seen");

function noDebug(record: Record): Verdict {
  if (record.is(LEVEL, "debug")) return Verdict.DROP;
  record.setBool(SEEN, true);
  return Verdict.KEEP;
}

export function process(count: i32): void {
  run(count, noDebug);
}

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { run } from "../../assemblyscript/testing/host.mjs";

const lines = (file) => readFileSync(new URL(file, import.meta.url), "utf8").trimEnd().split("\n");
const everything = `${process.env.BUILT}/everything.wasm`;

test("the example gives what it should", async () => {
  const outcome = await run(`${process.env.BUILT}/no_debug.wasm`, lines("../example/sample.jsonl"));
  assert.deepEqual(outcome.records, lines("../example/expected.jsonl"));
});

test("every function", async () => {
  const long = "x".repeat(100);
  const record = `{"s":"水","i":7,"f":1.5,"gone":0,"m":{},"l":["out","json","in"],"long":"${long}"}`;
  const outcome = await run(everything, ['{"drop":true}', record, '{"fail":"too bad"}'], { config: { prefix: "p-" } });
  assert.deepEqual(outcome.records, [
    '{"s":"p-水","i":14,"f":0.25,"m":{"deep":[1]},"l":[{"was":"json"},"in"],"long":100,"b":true,"null":null}',
    '{"replaced":2}',
  ]);
  assert.deepEqual(outcome.tags, ["other", "other"]);
  assert.equal(outcome.dropped, 1);
  assert.deepEqual(outcome.failures, ["too bad"]);
  assert.deepEqual(outcome.log, [["info", "flushed"]]);
  assert.deepEqual(outcome.counters, { seen: 2 });
});

test("init says what is missing", async () => {
  await assert.rejects(run(everything, []), /`prefix` is missing/);
});

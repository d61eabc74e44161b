import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { run } from "../testing/host.mjs";

const lines = (file) => readFileSync(new URL(file, import.meta.url), "utf8").trimEnd().split("\n");
const everything = new URL("../build/everything.wasm", import.meta.url).pathname;
const config = { prefix: "p-" };

test("the example gives what it should", async () => {
  const outcome = await run(new URL("../build/no_debug.wasm", import.meta.url).pathname, lines("../example/sample.jsonl"));
  assert.deepEqual(outcome.records, lines("../example/expected.jsonl"));
});

test("all of the SDK", async () => {
  const long = "x".repeat(100_000);
  const record = `{"s":"水","i":7,"f":1.5,"gone":0,"l":["out","json","in"],"long":"${long}"}`;
  const outcome = await run(everything, ['{"drop":true}', record, '{"fail":"too bad"}'], { config });
  assert.deepEqual(outcome.records, [
    '{"s":"p-水","i":14,"f":0.25,"l":[{"was":"json"},"in"],"long":"100000","b":true,"n":null,"m":{"deep":[1,{"x":"水"}]}}',
    '{"was":{"emitted":1,"s":"set"}}',
  ]);
  assert.deepEqual(outcome.tags, ["other", "test"]);
  assert.equal(outcome.timestamps[0], 5n);
  assert.equal(outcome.dropped, 1);
  assert.deepEqual(outcome.failures, ["too bad"]);
  assert.deepEqual(outcome.log, [["info", "done"]]);
  assert.deepEqual(outcome.counters, { seen: 2 });
});

test("init says what is missing, and an error says where it was thrown", async () => {
  await assert.rejects(run(everything, []), /`prefix` is missing/);
  await assert.rejects(run(everything, ['{"trap":true}'], { config }), /asked to at .*everything\.ts:\d+/);
});

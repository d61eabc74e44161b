import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { run } from "suiro-filter/testing";

const here = (file) => fileURLToPath(new URL(file, import.meta.url));
const lines = (file) => readFileSync(here(file), "utf8").trimEnd().split("\n");

test("the sample gives what is expected", async () => {
  const outcome = await run(here("{{snake}}.wasm"), lines("sample.jsonl"));
  assert.deepEqual(outcome.records, lines("expected.jsonl"));
});

test("one record", async () => {
  const outcome = await run(here("{{snake}}.wasm"), ['{"level":"debug"}', '{"level":"info"}']);
  assert.deepEqual(outcome.records, ['{"level":"info","seen":true}']);
  assert.equal(outcome.dropped, 1);
});

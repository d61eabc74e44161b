// Filters for suiro, in AssemblyScript. See ../README.md.
//
// A text that crosses is UTF-8, a string here is UTF-16: each text that is read or set is converted. Where a text is only
// compared, `Record.is` does without.
import * as host from "./host";

/** What functions that change something return. */
export namespace Result {
  export const OK: i32 = 0;
  /** There is no such field, key, or next value. */
  export const ABSENT: i32 = -1;
  /** It is there, and is of another type. */
  export const WRONG_TYPE: i32 = -2;
  /** A record, field or number that does not exist. */
  export const INVALID: i32 = -3;
  /** It exists and can't be changed. */
  export const DENIED: i32 = -4;
  /** A limit. */
  export const FULL: i32 = -5;
  /** The text is no path, JSON, tag or name, whatever was asked for. */
  export const BAD_TEXT: i32 = -6;
}

export enum Kind { ABSENT = -1, NULL, BOOL, INT, FLOAT, STR, BYTES, LIST, MAP }

export enum Verdict { KEEP, DROP }

/** The value the walk is at. */
const AT: i32 = 0x7fffffff;

/** Where texts that the agent gives are written. Grown, never given back. */
let buffer: usize = 0;
let capacity: i32 = 0;

function grow(len: i32): void {
  if (buffer) heap.free(buffer);
  capacity = len > 2 * capacity ? len : 2 * capacity;
  if (capacity < 4096) capacity = 4096;
  buffer = heap.alloc(capacity);
}

function room(): void {
  if (!buffer) grow(4096);
}

@inline function said(len: i32): string {
  return String.UTF8.decodeUnsafe(buffer, len);
}

/** A path, resolved at first use: `const LEVEL = new Field("level")`. Make it once, not once per record. */
export class Field {
  private id: i32 = i32.MIN_VALUE;

  constructor(readonly path: string) {}

  /** Whether it is a path. Worth a look where it comes from the configuration. */
  valid(): bool {
    return this.resolve() >= 0;
  }

  @inline resolve(): i32 {
    return this.id != i32.MIN_VALUE ? this.id : this.ask();
  }

  private ask(): i32 {
    const text = String.UTF8.encode(this.path);
    this.id = host.field(changetype<usize>(text), text.byteLength);
    if (this.id < 0) log.error("field `" + this.path + "`: it is not a path, or there are too many");
    return this.id;
  }
}

/** A record of the batch: a handle to what stays in the agent. */
export class Record {
  constructor(private handle: i32) {}

  /** Becomes another record of the batch. For `run`. */
  @inline turnTo(handle: i32): void {
    this.handle = handle;
  }

  @inline kind(field: Field): Kind {
    return host.kind(this.handle, field.resolve()) as Kind;
  }

  @inline has(field: Field): bool {
    return host.kind(this.handle, field.resolve()) >= 0;
  }

  /** The value as text: a string as what it says, anything else as JSON; null where there is none. */
  text(field: Field): string | null {
    return this.read(field.resolve());
  }

  /** A string; null where there is none, or something else. */
  str(field: Field): string | null {
    return this.kind(field) == Kind.STR ? this.read(field.resolve()) : null;
  }

  private read(id: i32): string | null {
    room();
    let len = host.get(this.handle, id, buffer, capacity);
    if (len > capacity) {
      grow(len);
      len = host.get(this.handle, id, buffer, capacity);
    }
    return len < 0 ? null : said(len);
  }

  /** Whether the value as text is this ASCII text. Makes no string. */
  is(field: Field, ascii: string): bool {
    room();
    const len = host.get(this.handle, field.resolve(), buffer, capacity);
    if (len != ascii.length || len > capacity) return false;
    for (let i = 0; i < len; i++) {
      if (<i32>load<u8>(buffer + i) != ascii.charCodeAt(i)) return false;
    }
    return true;
  }

  /** An integer, or `otherwise`. */
  i64(field: Field, otherwise: i64): i64 {
    room();
    return host.get_i64(this.handle, field.resolve(), buffer) == 0 ? load<i64>(buffer) : otherwise;
  }

  /** A number, or NaN. */
  f64(field: Field): f64 {
    room();
    return host.get_f64(this.handle, field.resolve(), buffer) == 0 ? load<f64>(buffer) : NaN;
  }

  /** A boolean, or `otherwise`. */
  bool(field: Field, otherwise: bool): bool {
    const value = host.get_bool(this.handle, field.resolve());
    return value < 0 ? otherwise : value == 1;
  }

  setStr(field: Field, text: string): i32 {
    const encoded = String.UTF8.encode(text);
    return host.set_str(this.handle, field.resolve(), changetype<usize>(encoded), encoded.byteLength);
  }

  @inline setI64(field: Field, value: i64): i32 {
    return host.set_i64(this.handle, field.resolve(), value);
  }

  @inline setF64(field: Field, value: f64): i32 {
    return host.set_f64(this.handle, field.resolve(), value);
  }

  @inline setBool(field: Field, value: bool): i32 {
    return host.set_bool(this.handle, field.resolve(), value ? 1 : 0);
  }

  @inline setNull(field: Field): i32 {
    return host.set_null(this.handle, field.resolve());
  }

  /** Sets a field to any JSON value. */
  setJson(field: Field, json: string): i32 {
    const encoded = String.UTF8.encode(json);
    return host.set_json(this.handle, field.resolve(), changetype<usize>(encoded), encoded.byteLength);
  }

  /** 1 where it was there, 0 where not. */
  @inline remove(field: Field): i32 {
    return host.remove(this.handle, field.resolve());
  }

  /** Gives `look` every string. It may set or remove that one, and no other field. */
  strings(look: (at: Walked, text: string) => void): void {
    if (host.each(this.handle, 1 << Kind.STR) != 0) return;
    room();
    const at = new Walked(this.handle);
    for (;;) {
      const len = host.next(buffer, capacity);
      if (len < 0) return;
      if (len > capacity) {
        grow(len);
        // The walk has moved: the text is asked for by itself.
        host.get(this.handle, AT, buffer, capacity);
      }
      look(at, said(len));
    }
  }

  /** Nanoseconds since 1970. */
  @inline timestamp(): i64 {
    return host.timestamp(this.handle);
  }

  @inline setTimestamp(ns: i64): i32 {
    return host.set_timestamp(this.handle, ns);
  }

  tag(): string {
    room();
    let len = host.tag(this.handle, buffer, capacity);
    return len < 0 ? "" : said(len);
  }

  /** 1 to 256 bytes, without control characters. */
  setTag(tag: string): i32 {
    const encoded = String.UTF8.encode(tag);
    return host.set_tag(this.handle, changetype<usize>(encoded), encoded.byteLength);
  }

  /** The record goes by the filter's `on_error`, with this reason. */
  fail(why: string): void {
    const encoded = String.UTF8.encode(why);
    host.fail(this.handle, changetype<usize>(encoded), encoded.byteLength);
  }

  /** A new record behind this one, of a JSON map; null where that is none, or there are too many. */
  emit(json: string): Record | null {
    const encoded = String.UTF8.encode(json);
    const handle = host.emit(this.handle, changetype<usize>(encoded), encoded.byteLength);
    return handle < 0 ? null : new Record(handle);
  }

  /** The whole record as JSON. */
  json(): string {
    room();
    let len = host.json(this.handle, buffer, capacity);
    if (len > capacity) {
      grow(len);
      len = host.json(this.handle, buffer, capacity);
    }
    return len < 0 ? "{}" : said(len);
  }

  /** Replaces all fields by those of a JSON map. */
  replaceJson(json: string): i32 {
    const encoded = String.UTF8.encode(json);
    return host.replace_json(this.handle, changetype<usize>(encoded), encoded.byteLength);
  }
}

/** The value that a walk is at. */
export class Walked {
  constructor(private handle: i32) {}

  path(): string {
    room();
    let len = host.path(buffer, capacity);
    if (len > capacity) {
      grow(len);
      len = host.path(buffer, capacity);
    }
    return len < 0 ? "" : said(len);
  }

  setStr(text: string): i32 {
    const encoded = String.UTF8.encode(text);
    return host.set_str(this.handle, AT, changetype<usize>(encoded), encoded.byteLength);
  }

  setJson(json: string): i32 {
    const encoded = String.UTF8.encode(json);
    return host.set_json(this.handle, AT, changetype<usize>(encoded), encoded.byteLength);
  }

  @inline remove(): i32 {
    return host.remove(this.handle, AT);
  }
}

export namespace config {
  /** A setting by its path: a text as what it says, anything else as JSON; null where there is none. "" is all of it. */
  export function text(path: string): string | null {
    room();
    const key = String.UTF8.encode(path);
    let len = host.config(changetype<usize>(key), key.byteLength, buffer, capacity);
    if (len > capacity) {
      grow(len);
      len = host.config(changetype<usize>(key), key.byteLength, buffer, capacity);
    }
    return len < 0 ? null : said(len);
  }
}

export namespace log {
  function write(level: i32, text: string): void {
    const encoded = String.UTF8.encode(text);
    host.log(level, changetype<usize>(encoded), encoded.byteLength);
  }

  export function error(text: string): void { write(0, text); }
  export function warn(text: string): void { write(1, text); }
  export function info(text: string): void { write(2, text); }
  export function debug(text: string): void { write(3, text); }
}

/** Adds to `suiro_wasm_custom_total{filter, name}`. Names: 1 to 64 of [a-z0-9_]. */
export function counter(name: string, add: i64): i32 {
  const encoded = String.UTF8.encode(name);
  return host.counter(changetype<usize>(encoded), encoded.byteLength, add);
}

/** Sets `suiro_wasm_custom{filter, name}`. */
export function gauge(name: string, value: f64): i32 {
  const encoded = String.UTF8.encode(name);
  return host.gauge(changetype<usize>(encoded), encoded.byteLength, value);
}

/** The wall clock, nanoseconds since 1970; the same during one call. */
export function now(): i64 {
  return host.now_ns();
}

/** 64 random bits. */
export function random(): u64 {
  return <u64>host.random();
}

/** What `process` does: calls the filter for each record. */
export function run(count: i32, filter: (record: Record) => Verdict): void {
  const record = new Record(0);
  for (let handle = 0; handle < count; handle++) {
    record.turnTo(handle);
    if (filter(record) == Verdict.DROP) host.drop(handle);
  }
}

/** An export of every filter: `export { suiro_version } from "suiro-filter/assembly"`. */
export function suiro_version(): i32 {
  return 1;
}

/** What an uncaught error does: says so, and traps. Used by `--use abort=..`. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  let where = file ? file + ":" + line.toString() + ":" + column.toString() : "?";
  log.error((message ? message : "abort") + " at " + where);
  unreachable();
}

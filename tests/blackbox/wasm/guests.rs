//! Guests, as text.

/// A guest of `suiro_v1` whose `process` calls `$record` for each handle. It imports what the bodies of these tests use;
/// `parts` are further parts of the module, `$record` among them, and may read the texts at the offsets of [`DATA`].
pub(crate) fn each(parts: &str) -> String {
    guest(&format!(
        "(func (export \"process\") (param $count i32) (local $rec i32)
           (block $done (loop $next
             (br_if $done (i32.ge_u (local.get $rec) (local.get $count)))
             (call $record (local.get $rec))
             (local.set $rec (i32.add (local.get $rec) (i32.const 1)))
             (br $next))))
         {parts}"
    ))
}

/// A guest with whatever `process` is among its `parts`.
pub(crate) fn guest(parts: &str) -> String {
    format!(
        "(module
           (import \"suiro_v1\" \"field\" (func $field (param i32 i32) (result i32)))
           (import \"suiro_v1\" \"get\" (func $get (param i32 i32 i32 i32) (result i32)))
           (import \"suiro_v1\" \"get_i64\" (func $get_i64 (param i32 i32 i32) (result i32)))
           (import \"suiro_v1\" \"set_str\" (func $set_str (param i32 i32 i32 i32) (result i32)))
           (import \"suiro_v1\" \"set_i64\" (func $set_i64 (param i32 i32 i64) (result i32)))
           (import \"suiro_v1\" \"set_tag\" (func $set_tag (param i32 i32 i32) (result i32)))
           (import \"suiro_v1\" \"drop\" (func $drop (param i32) (result i32)))
           (import \"suiro_v1\" \"fail\" (func $fail (param i32 i32 i32) (result i32)))
           (import \"suiro_v1\" \"emit\" (func $emit (param i32 i32 i32) (result i32)))
           (import \"suiro_v1\" \"json\" (func $json (param i32 i32 i32) (result i32)))
           (import \"suiro_v1\" \"config\" (func $config (param i32 i32 i32 i32) (result i32)))
           (import \"suiro_v1\" \"log\" (func $log (param i32 i32 i32) (result i32)))
           (import \"suiro_v1\" \"counter\" (func $counter (param i32 i32 i64) (result i32)))
           (memory (export \"memory\") 1)
           (data (i32.const 0) \"{DATA}\")
           (func (export \"suiro_version\") (result i32) (i32.const 1))
           (func $n (param $rec i32) (result i64)
             (if (i32.ne (call $get_i64 (local.get $rec) (call $field (i32.const 0) (i32.const 1)) (i32.const 256))
                         (i32.const 0))
               (then (return (i64.const -1))))
             (i64.load (i32.const 256)))
           {parts})"
    )
}

/// Texts in the guests' memory: `n` at 0, `seen` at 8, `{{\"n\":-1}}` at 16 (8 bytes), `other` at 32, `who` at 40, `why` at 48.
const DATA: &str = "n\\00\\00\\00\\00\\00\\00\\00seen\\00\\00\\00\\00{\\22n\\22:-1}\\00\\00\\00\\00\\00\\00\\00\\00other\\00\\00\\00who\\00\\00\\00\\00\\00why";

/// Runs into a wall at the record whose `n` is this.
pub(crate) fn traps_at(n: i64) -> String {
    each(&format!(
        "(func $record (param $rec i32)
           (if (i64.eq (call $n (local.get $rec)) (i64.const {n})) (then unreachable))
           (drop (call $set_i64 (local.get $rec) (call $field (i32.const 8) (i32.const 4)) (i64.const 1)))
           (drop (call $counter (i32.const 8) (i32.const 4) (i64.const 1))))"
    ))
}

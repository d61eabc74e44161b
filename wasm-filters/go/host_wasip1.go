//go:build wasip1

package suiro

import "unsafe"

// The functions of suiro_v1, as the contract has them. A string crosses as its pointer and its length.

//go:wasmimport suiro_v1 field
func hostField(path string) int32

//go:wasmimport suiro_v1 kind
func hostKind(rec, field int32) int32

//go:wasmimport suiro_v1 get
func hostGet(rec, field int32, buf unsafe.Pointer, size int32) int32

//go:wasmimport suiro_v1 get_i64
func hostGetI64(rec, field int32, out unsafe.Pointer) int32

//go:wasmimport suiro_v1 get_f64
func hostGetF64(rec, field int32, out unsafe.Pointer) int32

//go:wasmimport suiro_v1 get_bool
func hostGetBool(rec, field int32) int32

//go:wasmimport suiro_v1 set_str
func hostSetStr(rec, field int32, text string) int32

//go:wasmimport suiro_v1 set_i64
func hostSetI64(rec, field int32, value int64) int32

//go:wasmimport suiro_v1 set_f64
func hostSetF64(rec, field int32, value float64) int32

//go:wasmimport suiro_v1 set_bool
func hostSetBool(rec, field, value int32) int32

//go:wasmimport suiro_v1 set_null
func hostSetNull(rec, field int32) int32

//go:wasmimport suiro_v1 set_json
func hostSetJSON(rec, field int32, json string) int32

//go:wasmimport suiro_v1 remove
func hostRemove(rec, field int32) int32

//go:wasmimport suiro_v1 each
func hostEach(rec, kinds int32) int32

//go:wasmimport suiro_v1 next
func hostNext(buf unsafe.Pointer, size int32) int32

//go:wasmimport suiro_v1 path
func hostPath(buf unsafe.Pointer, size int32) int32

//go:wasmimport suiro_v1 timestamp
func hostTimestamp(rec int32) int64

//go:wasmimport suiro_v1 set_timestamp
func hostSetTimestamp(rec int32, ns int64) int32

//go:wasmimport suiro_v1 tag
func hostTag(rec int32, buf unsafe.Pointer, size int32) int32

//go:wasmimport suiro_v1 set_tag
func hostSetTag(rec int32, tag string) int32

//go:wasmimport suiro_v1 drop
func hostDrop(rec int32) int32

//go:wasmimport suiro_v1 fail
func hostFail(rec int32, why string) int32

//go:wasmimport suiro_v1 emit
func hostEmit(rec int32, json string) int32

//go:wasmimport suiro_v1 json
func hostJSON(rec int32, buf unsafe.Pointer, size int32) int32

//go:wasmimport suiro_v1 replace_json
func hostReplaceJSON(rec int32, json string) int32

//go:wasmimport suiro_v1 config
func hostConfig(key string, buf unsafe.Pointer, size int32) int32

//go:wasmimport suiro_v1 log
func hostLog(level int32, text string) int32

//go:wasmimport suiro_v1 counter
func hostCounter(name string, add int64) int32

//go:wasmimport suiro_v1 gauge
func hostGauge(name string, value float64) int32

//go:wasmimport suiro_v1 now_ns
func hostNow() int64

//go:wasmimport suiro_v1 random
func hostRandom() int64

// The exports of the module.

//go:wasmexport suiro_version
func exportVersion() int32 { return 1 }

//go:wasmexport init
func exportInit() int32 { return runSetup() }

//go:wasmexport process
func exportProcess(count int32) { runFilter(count) }

//go:wasmexport flush
func exportFlush() { runFlush() }

// Package suiro is for writing suiro's WASM filters in Go.
//
//	package main
//
//	import suiro "github.com/suiro-rs/suiro/wasm-filters/go"
//
//	var level = suiro.NewField("level")
//
//	func init() {
//		suiro.Filter(func(r suiro.Record) suiro.Verdict {
//			if text, _ := r.Text(level); text == "debug" {
//				return suiro.Drop
//			}
//			return suiro.Keep
//		})
//	}
//
//	func main() {}
//
// Built with GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared. Records stay in the agent: each method of a [Record] is one
// call of it. Elsewhere than on wasip1 the agent is that of [Test], so that go test runs the same code.
package suiro

import (
	"errors"
	"math"
	"strconv"
	"unsafe"
)

// What the agent answers where it can't do what it is asked.
var (
	// ErrAbsent: there is no such field, key, or next value.
	ErrAbsent = errors.New("there is no such field")
	// ErrWrongType: it is there, and is of another type.
	ErrWrongType = errors.New("the field is of another type")
	// ErrInvalid: a record, field or number that does not exist.
	ErrInvalid = errors.New("no such record, field or number")
	// ErrDenied: it exists and can't be changed.
	ErrDenied = errors.New("it can't be changed")
	// ErrFull: a limit.
	ErrFull = errors.New("a limit of the agent is reached")
	// ErrBadText: the text is not UTF-8, or not what is asked for.
	ErrBadText = errors.New("the text is not what is asked for: a path, JSON, a tag, a name")
)

func check(code int32) error {
	if code >= 0 {
		return nil
	}
	switch code {
	case -1:
		return ErrAbsent
	case -2:
		return ErrWrongType
	case -4:
		return ErrDenied
	case -5:
		return ErrFull
	case -6:
		return ErrBadText
	}
	return ErrInvalid
}

// Verdict is what becomes of a record.
type Verdict int

const (
	// Keep: it goes on, as the filter left it.
	Keep Verdict = iota
	// Drop: it ends here.
	Drop
)

// Kind is what a value is.
type Kind int32

// Kinds. Absent is that of a value that is not there.
const (
	Absent Kind = iota - 1
	Null
	Bool
	Int
	Float
	Str
	Bytes
	List
	Map
)

// at stands for the value the walk is at.
const at = 0x7fffffff

// Field is a path, resolved at first use. Make it once, as a package's variable or in [Setup], not once per record.
type Field struct {
	path     string
	id       int32
	resolved bool
}

// NewField makes a field of a path that is known to be one. Where it is not, the agent's log says so, and the field is absent.
func NewField(path string) *Field {
	return &Field{path: path}
}

// ParseField makes a field of a path that comes from outside. It can be called from [Setup] on, not before.
func ParseField(path string) (*Field, error) {
	id := hostField(path)
	return &Field{path, id, true}, check(id)
}

func (f *Field) resolve() int32 {
	if !f.resolved {
		f.id = hostField(f.path)
		f.resolved = true
		if err := check(f.id); err != nil {
			LogError("field `" + f.path + "`: " + err.Error())
		}
	}
	return f.id
}

// buffer is where texts that the agent gives are written.
var buffer = make([]byte, 4096)

// ask gets a text: get is asked again with a larger buffer where the first was too small.
func ask(get func(buf unsafe.Pointer, size int32) int32) ([]byte, error) {
	for {
		n := get(unsafe.Pointer(unsafe.SliceData(buffer)), int32(len(buffer)))
		if err := check(n); err != nil {
			return nil, err
		}
		if int(n) <= len(buffer) {
			return buffer[:n], nil
		}
		buffer = make([]byte, max(int(n), 2*len(buffer)))
	}
}

// Record is a handle to a record of the batch. It is good until the filter returns.
type Record struct {
	handle int32
}

// Kind is what kind of value there is; Absent where there is none.
func (r Record) Kind(f *Field) Kind {
	return max(Kind(hostKind(r.handle, f.resolve())), Absent)
}

// Text is the value as text, a string as what it says, anything else as JSON; and whether there is one.
func (r Record) Text(f *Field) (string, bool) {
	id := f.resolve()
	text, err := ask(func(buf unsafe.Pointer, size int32) int32 { return hostGet(r.handle, id, buf, size) })
	return string(text), err == nil
}

// Str is a string; false where there is none, or something else.
func (r Record) Str(f *Field) (string, bool) {
	if r.Kind(f) != Str {
		return "", false
	}
	return r.Text(f)
}

// Int64 is an integer; false where there is none, or another number.
func (r Record) Int64(f *Field) (int64, bool) {
	var out int64
	ok := hostGetI64(r.handle, f.resolve(), unsafe.Pointer(&out)) == 0
	return out, ok
}

// Float64 is a number.
func (r Record) Float64(f *Field) (float64, bool) {
	var out float64
	ok := hostGetF64(r.handle, f.resolve(), unsafe.Pointer(&out)) == 0
	return out, ok
}

// Bool is a boolean.
func (r Record) Bool(f *Field) (value, ok bool) {
	code := hostGetBool(r.handle, f.resolve())
	return code == 1, code >= 0
}

// Set sets a field: to a string, an integer, a float64, a bool, or nil for null. Maps on the way are made.
func (r Record) Set(f *Field, value any) error {
	return set(r.handle, f.resolve(), value)
}

func set(rec, field int32, value any) error {
	switch v := value.(type) {
	case string:
		return check(hostSetStr(rec, field, v))
	case int:
		return check(hostSetI64(rec, field, int64(v)))
	case int64:
		return check(hostSetI64(rec, field, v))
	case int32:
		return check(hostSetI64(rec, field, int64(v)))
	case float64:
		return check(hostSetF64(rec, field, v))
	case bool:
		n := int32(0)
		if v {
			n = 1
		}
		return check(hostSetBool(rec, field, n))
	case nil:
		return check(hostSetNull(rec, field))
	case uint64:
		if v <= math.MaxInt64 {
			return check(hostSetI64(rec, field, int64(v)))
		}
		return check(hostSetJSON(rec, field, strconv.FormatUint(v, 10)))
	}
	return errors.New("no value of a field: strings, integers, float64, bool and nil are; SetJSON takes lists and maps")
}

// SetJSON sets a field to any JSON value.
func (r Record) SetJSON(f *Field, json string) error {
	return check(hostSetJSON(r.handle, f.resolve(), json))
}

// Remove removes a field; whether there was one.
func (r Record) Remove(f *Field) (bool, error) {
	code := hostRemove(r.handle, f.resolve())
	return code == 1, check(code)
}

// Walked is the value that [Record.Strings] is at.
type Walked struct {
	// Text is what the string says.
	Text   string
	handle int32
}

// Strings gives look every string, depth first. Changing other fields of the record than the one it is at ends the walk.
func (r Record) Strings(look func(w Walked)) {
	if hostEach(r.handle, 1<<Str) != 0 {
		return
	}
	for {
		moved := false
		text, err := ask(func(buf unsafe.Pointer, size int32) int32 {
			// A text that did not fit is asked for by itself: the walk has moved.
			if moved {
				return hostGet(r.handle, at, buf, size)
			}
			moved = true
			return hostNext(buf, size)
		})
		if err != nil {
			return
		}
		look(Walked{string(text), r.handle})
	}
}

// Path is where the value is.
func (w Walked) Path() string {
	text, _ := ask(func(buf unsafe.Pointer, size int32) int32 { return hostPath(buf, size) })
	return string(text)
}

// Set sets it, as [Record.Set] does.
func (w Walked) Set(value any) error { return set(w.handle, at, value) }

// SetJSON sets it to any JSON value.
func (w Walked) SetJSON(json string) error { return check(hostSetJSON(w.handle, at, json)) }

// Remove removes it.
func (w Walked) Remove() error { return check(hostRemove(w.handle, at)) }

// Timestamp is when it happened, nanoseconds since 1970.
func (r Record) Timestamp() int64 { return hostTimestamp(r.handle) }

// SetTimestamp sets when it happened.
func (r Record) SetTimestamp(ns int64) error { return check(hostSetTimestamp(r.handle, ns)) }

// Tag is its tag.
func (r Record) Tag() string {
	text, _ := ask(func(buf unsafe.Pointer, size int32) int32 { return hostTag(r.handle, buf, size) })
	return string(text)
}

// SetTag gives it another tag: 1 to 256 bytes, without control characters.
func (r Record) SetTag(tag string) error { return check(hostSetTag(r.handle, tag)) }

// Fail hands the record to the filter's on_error, with this reason.
func (r Record) Fail(why string) { hostFail(r.handle, why) }

// Emit makes a new record of a JSON map, behind this one.
func (r Record) Emit(json string) (Record, error) {
	handle := hostEmit(r.handle, json)
	return Record{handle}, check(handle)
}

// JSON is the whole record.
func (r Record) JSON() string {
	text, _ := ask(func(buf unsafe.Pointer, size int32) int32 { return hostJSON(r.handle, buf, size) })
	return string(text)
}

// ReplaceJSON replaces all its fields by those of a JSON map.
func (r Record) ReplaceJSON(json string) error { return check(hostReplaceJSON(r.handle, json)) }

// ConfigJSON is the filter's settings, or one of them by its name, as JSON; false where there is none.
func ConfigJSON(name string) (string, bool) {
	all, err := ask(func(buf unsafe.Pointer, size int32) int32 { return hostConfig("", buf, size) })
	if err != nil {
		return "", false
	}
	if name == "" {
		return string(all), true
	}
	value, ok := "", false
	for _, member := range Members(string(all)) {
		if member.Key == name {
			value, ok = member.Value, true
		}
	}
	return value, ok
}

// LogError writes a line to the agent's log, at the level of an error. It takes no format: package fmt makes a module a
// third larger.
func LogError(line string) { hostLog(0, line) }

// LogWarn writes a line at the level of a warning.
func LogWarn(line string) { hostLog(1, line) }

// LogInfo writes a line at the level of an information.
func LogInfo(line string) { hostLog(2, line) }

// LogDebug writes a line for whoever writes the filter.
func LogDebug(line string) { hostLog(3, line) }

// Count adds to suiro_wasm_custom_total{filter, name}. Names: 1 to 64 of [a-z0-9_].
func Count(name string, add int64) error { return check(hostCounter(name, add)) }

// Gauge sets suiro_wasm_custom{filter, name}.
func Gauge(name string, value float64) error { return check(hostGauge(name, value)) }

// Now is the wall clock, nanoseconds since 1970; the same during one call.
func Now() int64 { return hostNow() }

// Random is 64 random bits.
func Random() uint64 { return uint64(hostRandom()) }

var (
	filter  func(Record) Verdict
	setup   func() error
	flushed func()
)

// Filter makes a function the filter of this module. Call it from an init function.
func Filter(f func(Record) Verdict) { filter = f }

// Setup makes a function what is called once before the first record, to read the settings. Its error is in the agent's log,
// and the agent does not start with this filter.
func Setup(f func() error) { setup = f }

// Flush makes a function what is called when this instance ends.
func Flush(f func()) { flushed = f }

func runSetup() int32 {
	if filter == nil {
		LogError("no filter: call suiro.Filter from an init function")
		return 1
	}
	if setup != nil {
		if err := setup(); err != nil {
			LogError(err.Error())
			return 1
		}
	}
	return 0
}

func runFilter(count int32) {
	for handle := range count {
		if filter(Record{handle}) == Drop {
			hostDrop(handle)
		}
	}
}

func runFlush() {
	if flushed != nil {
		flushed()
	}
}

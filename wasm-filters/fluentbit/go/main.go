// A filter in Fluent Bit's interface, in Go, JSON: appends the tag and the time to a record, and drops records that hold
// `"drop":true`. It knows nothing of suiro.
package main

import (
	"bytes"
	"strconv"
	"unsafe"
)

// last is what was given back last: it is good until the next call.
var last []byte

//go:wasmexport stamp
func stamp(tag unsafe.Pointer, tagLen, sec, nsec uint32, record unsafe.Pointer, recordLen uint32) unsafe.Pointer {
	text := unsafe.Slice((*byte)(record), recordLen)
	if bytes.Contains(text, []byte(`"drop":true`)) {
		return nil
	}
	end := len(text)
	for text[end-1] != '}' {
		end--
	}
	last = append(last[:0], text[:end-1]...)
	if end > 2 {
		last = append(last, ',')
	}
	last = append(append(last, `"fb_tag":"`...), unsafe.Slice((*byte)(tag), tagLen)...)
	last = strconv.AppendUint(append(last, `","fb_sec":`...), uint64(sec), 10)
	last = strconv.AppendUint(append(last, `,"fb_nsec":`...), uint64(nsec), 10)
	last = append(last, '}', 0)
	return unsafe.Pointer(unsafe.SliceData(last))
}

func main() {}

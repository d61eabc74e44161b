//go:build !wasip1

package suiro

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unsafe"
)

// TestHost is the agent in a test: what a filter finds there. It knows bare paths of keys and indices, keeps numbers as they
// are written, and has no limits.
type TestHost struct {
	// Config is the filter's settings, as JSON.
	Config string
	// Tag is the records' tag; "test" if empty.
	Tag string
}

// Outcome is what a filter did.
type Outcome struct {
	// Records that go on, as JSON, and their Tags.
	Records, Tags []string
	// Dropped is how many were.
	Dropped int
	// Failures are why others failed.
	Failures []string
	// Log has the lines of the log.
	Log []string
	// Counters by name.
	Counters map[string]int64
}

type row struct {
	value   *object
	tag     string
	time    int64
	dropped bool
	failed  *string
	parent  int
}

// object is a JSON map that keeps its order. Values are *object, []any, json.Number, string, bool, nil.
type object struct {
	keys   []string
	values map[string]any
}

type place struct {
	container any
	key       any
}

var world struct {
	config   string
	fields   []string
	rows     []*row
	order    []int
	walk     []place
	walkRow  int32
	current  *place
	outcome  *Outcome
	clock    int64
	sequence int64
}

// Run sets the filter up and hands it these records, as one batch. The error is what it logged where it could not be set up.
func (h TestHost) Run(records ...string) (*Outcome, error) {
	world.config, world.outcome = h.Config, &Outcome{Counters: map[string]int64{}}
	world.rows, world.order, world.walk, world.current = nil, nil, nil, nil
	world.clock = 1767225600000000000
	if h.Config == "" {
		world.config = "{}"
	}
	tag := h.Tag
	if tag == "" {
		tag = "test"
	}
	for i, record := range records {
		value, err := parse(record)
		fields, ok := value.(*object)
		if err != nil || !ok {
			return nil, fmt.Errorf("record %d is no JSON map: %s", i, record)
		}
		world.rows = append(world.rows, &row{value: fields, tag: tag, time: world.clock, parent: -1})
		world.order = append(world.order, i)
	}
	if runSetup() != 0 {
		return nil, fmt.Errorf("%s", strings.Join(world.outcome.Log, "\n"))
	}
	runFilter(int32(len(records)))
	runFlush()
	for _, i := range world.order {
		switch r := world.rows[i]; {
		case r.failed != nil:
			world.outcome.Failures = append(world.outcome.Failures, *r.failed)
		case r.dropped:
			world.outcome.Dropped++
		default:
			world.outcome.Records = append(world.outcome.Records, write(r.value))
			world.outcome.Tags = append(world.outcome.Tags, r.tag)
		}
	}
	return world.outcome, nil
}

func parse(text string) (any, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	value, err := parseValue(decoder)
	if err == nil && decoder.More() {
		err = fmt.Errorf("more than one value")
	}
	return value, err
}

func parseValue(decoder *json.Decoder) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		out := &object{values: map[string]any{}}
		for decoder.More() {
			key, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			value, err := parseValue(decoder)
			if err != nil {
				return nil, err
			}
			out.set(key.(string), value)
		}
		_, err = decoder.Token()
		return out, err
	case json.Delim('['):
		out := []any{}
		for decoder.More() {
			value, err := parseValue(decoder)
			if err != nil {
				return nil, err
			}
			out = append(out, value)
		}
		_, err = decoder.Token()
		// A list is changed in place, hence by reference.
		return &out, err
	}
	return token, nil
}

func write(value any) string {
	switch v := value.(type) {
	case *object:
		parts := make([]string, len(v.keys))
		for i, key := range v.keys {
			parts[i] = Quote(key) + ":" + write(v.values[key])
		}
		return "{" + strings.Join(parts, ",") + "}"
	case *[]any:
		parts := make([]string, len(*v))
		for i, item := range *v {
			parts[i] = write(item)
		}
		return "[" + strings.Join(parts, ",") + "]"
	case string:
		return Quote(v)
	case json.Number:
		return v.String()
	}
	out, _ := json.Marshal(value)
	return string(out)
}

func (o *object) set(key string, value any) {
	if _, ok := o.values[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.values[key] = value
}

func (p place) get() (any, bool) {
	switch c := p.container.(type) {
	case *object:
		value, ok := c.values[p.key.(string)]
		return value, ok
	case *[]any:
		if i := p.key.(int); i >= 0 && i < len(*c) {
			return (*c)[i], true
		}
	}
	return nil, false
}

func (p place) set(value any) {
	switch c := p.container.(type) {
	case *object:
		c.set(p.key.(string), value)
	case *[]any:
		(*c)[p.key.(int)] = value
	}
}

func (p place) remove() {
	switch c := p.container.(type) {
	case *object:
		key := p.key.(string)
		delete(c.values, key)
		for i, other := range c.keys {
			if other == key {
				c.keys = append(c.keys[:i], c.keys[i+1:]...)
				break
			}
		}
	case *[]any:
		i := p.key.(int)
		*c = append((*c)[:i], (*c)[i+1:]...)
		for k := range world.walk {
			if other := &world.walk[k]; other.container == c && other.key.(int) > i {
				other.key = other.key.(int) - 1
			}
		}
	}
}

// parts of a path: strings and ints; nil where it is none.
func parts(path string) []any {
	var out []any
	for _, word := range strings.Split(path, ".") {
		name, indices, _ := strings.Cut(word, "[")
		if name == "" || strings.ContainsAny(name, " \"'{}()|,=!<>~:]") {
			return nil
		}
		out = append(out, name)
		for _, index := range strings.FieldsFunc(indices, func(r rune) bool { return r == '[' || r == ']' }) {
			i, err := strconv.Atoi(index)
			if err != nil {
				return nil
			}
			out = append(out, i)
		}
	}
	return out
}

func find(value any, parts []any) (place, bool) {
	switch c := value.(type) {
	case *[]any:
		i, ok := parts[0].(int)
		if !ok {
			return place{}, false
		}
		if i < 0 {
			i += len(*c)
		}
		return descend(place{c, i}, parts[1:])
	case *object:
		for taken := len(parts); taken > 0; taken-- {
			words := make([]string, 0, taken)
			for _, part := range parts[:taken] {
				if word, ok := part.(string); ok {
					words = append(words, word)
				}
			}
			if len(words) < taken {
				continue
			}
			if found, ok := descend(place{c, strings.Join(words, ".")}, parts[taken:]); ok {
				return found, true
			}
		}
	}
	return place{}, false
}

func descend(p place, rest []any) (place, bool) {
	value, ok := p.get()
	if !ok || len(rest) == 0 {
		return p, ok
	}
	return find(value, rest)
}

func rowOf(rec int32) (*row, int32) {
	if rec < 0 || int(rec) >= len(world.rows) {
		return nil, -3
	}
	r := world.rows[rec]
	if r.dropped || r.failed != nil {
		return nil, -4
	}
	return r, 0
}

func placeOf(rec, field int32) (place, int32) {
	r, code := rowOf(rec)
	if code < 0 {
		return place{}, code
	}
	if field == at {
		if world.current == nil || world.walkRow != rec {
			return place{}, -1
		}
		return *world.current, 0
	}
	if field < 0 || int(field) >= len(world.fields) {
		return place{}, -3
	}
	if path := world.fields[field]; path == "@tag" {
		return place{&object{values: map[string]any{"tag": r.tag}}, "tag"}, 0
	} else if found, ok := find(r.value, parts(path)); ok {
		return found, 0
	}
	return place{}, -1
}

func valueOf(rec, field int32) (any, int32) {
	p, code := placeOf(rec, field)
	if code < 0 {
		return nil, code
	}
	value, _ := p.get()
	return value, 0
}

func give(text string, buf unsafe.Pointer, size int32) int32 {
	if len(text) <= int(size) {
		copy(unsafe.Slice((*byte)(buf), size), text)
	}
	return int32(len(text))
}

func said(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	return write(value)
}

func put(rec, field int32, value any) int32 {
	r, code := rowOf(rec)
	if code < 0 {
		return code
	}
	p, code := placeOf(rec, field)
	if code == 0 && field != at && strings.HasPrefix(world.fields[field], "@") {
		return -4
	}
	if code == 0 {
		if field != at {
			world.walk, world.current = nil, nil
		}
		p.set(value)
		return 0
	}
	if field == at || code != -1 {
		return code
	}
	world.walk, world.current = nil, nil
	into, path := r.value, parts(world.fields[field])
	for i, part := range path {
		key, ok := part.(string)
		if !ok {
			return -4
		}
		if i == len(path)-1 {
			into.set(key, value)
			return 0
		}
		inner, there := into.values[key]
		next, ok := inner.(*object)
		if there && !ok {
			return -4
		}
		if !there {
			next = &object{values: map[string]any{}}
			into.set(key, next)
		}
		into = next
	}
	return 0
}

func hostField(path string) int32 {
	for i, known := range world.fields {
		if known == path {
			return int32(i)
		}
	}
	if path != "@tag" && parts(path) == nil {
		return -6
	}
	world.fields = append(world.fields, path)
	return int32(len(world.fields) - 1)
}

func hostKind(rec, field int32) int32 {
	value, code := valueOf(rec, field)
	if code < 0 {
		return code
	}
	switch v := value.(type) {
	case nil:
		return int32(Null)
	case bool:
		return int32(Bool)
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return int32(Float)
		}
		return int32(Int)
	case string:
		return int32(Str)
	case *[]any:
		return int32(List)
	}
	return int32(Map)
}

func hostGet(rec, field int32, buf unsafe.Pointer, size int32) int32 {
	value, code := valueOf(rec, field)
	if code < 0 {
		return code
	}
	return give(said(value), buf, size)
}

func hostGetI64(rec, field int32, out unsafe.Pointer) int32 {
	value, code := valueOf(rec, field)
	if code < 0 {
		return code
	}
	number, ok := value.(json.Number)
	n, err := number.Int64()
	if !ok || err != nil {
		return -2
	}
	*(*int64)(out) = n
	return 0
}

func hostGetF64(rec, field int32, out unsafe.Pointer) int32 {
	value, code := valueOf(rec, field)
	if code < 0 {
		return code
	}
	number, ok := value.(json.Number)
	n, err := number.Float64()
	if !ok || err != nil {
		return -2
	}
	*(*float64)(out) = n
	return 0
}

func hostGetBool(rec, field int32) int32 {
	value, code := valueOf(rec, field)
	if code < 0 {
		return code
	}
	switch value {
	case true:
		return 1
	case false:
		return 0
	}
	return -2
}

func hostSetStr(rec, field int32, text string) int32 { return put(rec, field, text) }

func hostSetI64(rec, field int32, value int64) int32 {
	return put(rec, field, json.Number(strconv.FormatInt(value, 10)))
}

func hostSetF64(rec, field int32, value float64) int32 {
	text, err := json.Marshal(value)
	if err != nil {
		return -3
	}
	if !bytes.ContainsAny(text, ".e") {
		text = append(text, ".0"...)
	}
	return put(rec, field, json.Number(text))
}

func hostSetBool(rec, field, value int32) int32 { return put(rec, field, value != 0) }

func hostSetNull(rec, field int32) int32 { return put(rec, field, nil) }

func hostSetJSON(rec, field int32, text string) int32 {
	value, err := parse(text)
	if err != nil {
		return -6
	}
	return put(rec, field, value)
}

func hostRemove(rec, field int32) int32 {
	p, code := placeOf(rec, field)
	if code == -1 {
		return 0
	}
	if code < 0 {
		return code
	}
	if field != at {
		world.walk = nil
	}
	world.current = nil
	p.remove()
	return 1
}

func hostEach(rec, kinds int32) int32 {
	r, code := rowOf(rec)
	if code < 0 {
		return code
	}
	world.walk, world.current, world.walkRow = nil, nil, rec
	listPlaces(rec, r.value, kinds)
	return 0
}

func listPlaces(rec int32, value any, kinds int32) {
	visit := func(p place) {
		world.current = &p
		if kinds&(1<<hostKind(rec, at)) != 0 {
			world.walk = append(world.walk, p)
		}
		inner, _ := p.get()
		listPlaces(rec, inner, kinds)
	}
	switch c := value.(type) {
	case *object:
		for _, key := range c.keys {
			visit(place{c, key})
		}
	case *[]any:
		for i := range *c {
			visit(place{c, i})
		}
	}
	world.current = nil
}

func hostNext(buf unsafe.Pointer, size int32) int32 {
	if len(world.walk) == 0 {
		world.current = nil
		return -1
	}
	p := world.walk[0]
	world.walk, world.current = world.walk[1:], &p
	value, _ := p.get()
	return give(said(value), buf, size)
}

func hostPath(buf unsafe.Pointer, size int32) int32 {
	if world.current == nil {
		return -1
	}
	text, _ := pathTo(world.rows[world.walkRow].value, *world.current)
	return give(strings.TrimPrefix(text, "."), buf, size)
}

func pathTo(value any, wanted place) (string, bool) {
	try := func(p place, name string) (string, bool) {
		if p == wanted {
			return name, true
		}
		inner, _ := p.get()
		rest, ok := pathTo(inner, wanted)
		return name + rest, ok
	}
	switch c := value.(type) {
	case *object:
		for _, key := range c.keys {
			if text, ok := try(place{c, key}, "."+key); ok {
				return text, true
			}
		}
	case *[]any:
		for i := range *c {
			if text, ok := try(place{c, i}, "["+strconv.Itoa(i)+"]"); ok {
				return text, true
			}
		}
	}
	return "", false
}

func hostTimestamp(rec int32) int64 {
	r, code := rowOf(rec)
	if code < 0 {
		return -1
	}
	return r.time
}

func hostSetTimestamp(rec int32, ns int64) int32 {
	r, code := rowOf(rec)
	if code == 0 {
		r.time = ns
	}
	return code
}

func hostTag(rec int32, buf unsafe.Pointer, size int32) int32 {
	r, code := rowOf(rec)
	if code < 0 {
		return code
	}
	return give(r.tag, buf, size)
}

func hostSetTag(rec int32, tag string) int32 {
	r, code := rowOf(rec)
	if code < 0 {
		return code
	}
	if tag == "" || len(tag) > 256 || strings.ContainsFunc(tag, func(c rune) bool { return c < ' ' || c == 127 }) {
		return -6
	}
	r.tag = tag
	return 0
}

func hostDrop(rec int32) int32 {
	r, code := rowOf(rec)
	if code == 0 {
		r.dropped = true
	}
	return code
}

func hostFail(rec int32, why string) int32 {
	r, code := rowOf(rec)
	if code == 0 {
		r.failed = &why
	}
	return code
}

func hostEmit(rec int32, text string) int32 {
	if rec < 0 || int(rec) >= len(world.rows) {
		return -3
	}
	value, err := parse(text)
	fields, ok := value.(*object)
	if err != nil || !ok {
		return -6
	}
	from := world.rows[rec]
	new := len(world.rows)
	world.rows = append(world.rows, &row{value: fields, tag: from.tag, time: from.time, parent: int(rec)})
	at := 0
	for world.order[at] != int(rec) {
		at++
	}
	for at++; at < len(world.order) && descends(world.order[at], int(rec)); at++ {
	}
	world.order = append(world.order[:at], append([]int{new}, world.order[at:]...)...)
	return int32(new)
}

func descends(i, from int) bool {
	for i >= 0 {
		if i = world.rows[i].parent; i == from {
			return true
		}
	}
	return false
}

func hostJSON(rec int32, buf unsafe.Pointer, size int32) int32 {
	r, code := rowOf(rec)
	if code < 0 {
		return code
	}
	return give(write(r.value), buf, size)
}

func hostReplaceJSON(rec int32, text string) int32 {
	r, code := rowOf(rec)
	if code < 0 {
		return code
	}
	value, err := parse(text)
	fields, ok := value.(*object)
	if err != nil || !ok {
		return -6
	}
	world.walk, world.current = nil, nil
	r.value = fields
	return 0
}

func hostConfig(key string, buf unsafe.Pointer, size int32) int32 {
	value, err := parse(world.config)
	if err != nil {
		return -6
	}
	if key != "" {
		path := parts(key)
		if path == nil {
			return -6
		}
		p, ok := find(value, path)
		if !ok {
			return -1
		}
		value, _ = p.get()
	}
	return give(said(value), buf, size)
}

func hostLog(_ int32, text string) int32 {
	if world.outcome != nil {
		world.outcome.Log = append(world.outcome.Log, text)
	}
	return 0
}

func hostCounter(name string, add int64) int32 {
	isName := name != "" && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
	if !isName {
		return -6
	}
	if add < 0 {
		return -3
	}
	world.outcome.Counters[name] += add
	return 0
}

func hostGauge(name string, _ float64) int32 { return hostCounter(name, 0) }

func hostNow() int64 { return world.clock }

func hostRandom() int64 {
	world.sequence = world.sequence*6364136223846793005 + 1442695040888963407
	return world.sequence
}

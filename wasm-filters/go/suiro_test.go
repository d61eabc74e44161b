package suiro

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

var (
	s, i, f, b = NewField("s"), NewField("i"), NewField("f"), NewField("b")
	deep, none = NewField("m.deep"), NewField("none")
)

// on runs a filter that is this function over records.
func on(t *testing.T, look func(r Record) Verdict, records ...string) *Outcome {
	t.Helper()
	Filter(look)
	Setup(nil)
	outcome, err := TestHost{}.Run(records...)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

func same(t *testing.T, what string, have, want any) {
	t.Helper()
	if have != want {
		t.Errorf("%s: %v, and should be %v", what, have, want)
	}
}

func TestGettersAndSetters(t *testing.T) {
	outcome := on(t, func(r Record) Verdict {
		if drop, _ := r.Bool(b); drop {
			return Drop
		}
		text, ok := r.Str(s)
		same(t, "Str", text+"!", "水!")
		same(t, "Str", ok, true)
		_, ok = r.Str(i)
		same(t, "Str of a number", ok, false)
		text, _ = r.Text(i)
		same(t, "Text of a number", text, "7")
		n, ok := r.Int64(i)
		same(t, "Int64", n, int64(7))
		_, ok = r.Int64(f)
		same(t, "Int64 of 1.5", ok, false)
		x, _ := r.Float64(f)
		same(t, "Float64", x, 1.5)
		same(t, "Kind", r.Kind(none), Absent)
		same(t, "Kind", r.Kind(f), Float)
		same(t, "Tag", r.Tag(), "test")
		same(t, "Set", r.Set(s, "p-"+text), nil)
		same(t, "Set", r.Set(i, n*2), nil)
		same(t, "Set", r.Set(b, true), nil)
		same(t, "Set", r.Set(NewField("null"), nil), nil)
		same(t, "Set", r.Set(NewField("big"), uint64(1<<63)), nil)
		if r.Set(f, []int{1}) == nil {
			t.Error("a list is no value")
		}
		same(t, "SetJSON", r.SetJSON(deep, `[1,{"x":"水"}]`), nil)
		same(t, "SetJSON", r.SetJSON(deep, `[`), ErrBadText)
		same(t, "Set", r.Set(NewField("s.x"), 1), ErrDenied)
		gone, err := r.Remove(NewField("gone"))
		same(t, "Remove", gone && err == nil, true)
		gone, err = r.Remove(none)
		same(t, "Remove", !gone && err == nil, true)
		same(t, "SetTag", r.SetTag("other"), nil)
		same(t, "SetTag", r.SetTag(""), ErrBadText)
		same(t, "Count", Count("seen", 2), nil)
		same(t, "Count", Count("No", 1), ErrBadText)
		if _, err := ParseField("a..b"); !errors.Is(err, ErrBadText) {
			t.Error(err)
		}
		return Keep
	}, `{"s":"水","i":7,"f":1.5,"gone":0}`, `{"b":true}`)
	want := `{"s":"p-7","i":14,"f":1.5,"b":true,"null":null,"big":9223372036854775808,"m":{"deep":[1,{"x":"水"}]}}`
	same(t, "record", strings.Join(outcome.Records, "\n"), want)
	same(t, "tag", outcome.Tags[0], "other")
	same(t, "dropped", outcome.Dropped, 1)
	same(t, "counter", outcome.Counters["seen"], int64(2))
}

func TestWalkAndEmit(t *testing.T) {
	var seen []string
	long := strings.Repeat("x", 100_000)
	outcome := on(t, func(r Record) Verdict {
		r.Strings(func(w Walked) {
			switch w.Text {
			case "out":
				_ = w.Remove()
			case "json":
				_ = w.SetJSON(`{"was":"json"}`)
			case long:
				_ = w.Set("long")
			default:
				seen = append(seen, w.Path()+"="+w.Text)
			}
		})
		first, err := r.Emit(`{"n":1}`)
		same(t, "Emit", err, nil)
		_, err = r.Emit(`[]`)
		same(t, "Emit", err, ErrBadText)
		_, _ = r.Emit(`{"n":3}`)
		_, _ = first.Emit(`{"n":2}`)
		same(t, "JSON", first.JSON(), `{"n":1}`)
		same(t, "ReplaceJSON", first.ReplaceJSON(`{"n":1.0}`), nil)
		return Keep
	}, `{"a":"x","l":["out","json","y"],"long":"`+long+`","z":"end"}`, `{}`)
	if !slices.Equal(seen, []string{"a=x", "l[1]=y", "z=end"}) {
		t.Error(seen)
	}
	same(t, "records", strings.Join(outcome.Records, " "),
		`{"a":"x","l":[{"was":"json"},"y"],"long":"long","z":"end"} {"n":1.0} {"n":2} {"n":3} {} {"n":1.0} {"n":2} {"n":3}`)
}

func TestFailuresAndSetup(t *testing.T) {
	outcome := on(t, func(r Record) Verdict {
		r.Fail("too bad")
		return Keep
	}, `{}`)
	same(t, "failures", outcome.Failures[0], "too bad")
	Setup(func() error {
		if _, ok := ConfigJSON("prefix"); !ok {
			return errors.New("`prefix` is missing")
		}
		return nil
	})
	_, err := TestHost{}.Run()
	same(t, "error", err.Error(), "`prefix` is missing")
	_, err = TestHost{Config: `{"prefix":"x"}`}.Run()
	same(t, "error", err, nil)
}

func TestJSON(t *testing.T) {
	members := Members(` {"a" : 1,"b:\u0041":{"c":"}"},"\ud83d\udeb0":[ ] } `)
	same(t, "members", len(members), 3)
	same(t, "member", members[1], Member{"b:A", `{"c":"}"}`})
	same(t, "member", members[2], Member{"🚰", `[ ]`})
	same(t, "elements", strings.Join(Elements(`[1, "a,]\"", {"b":[2,3]}, null]`), " "), `1 "a,]\"" {"b":[2,3]} null`)
	for _, text := range []string{"", "plain", "\"\\\n\t\r\x08\x1f/ 水🚰"} {
		same(t, "quoted", Unquote(Quote(text)), text)
	}
	for _, broken := range []string{"", "{", "{}", "[", "{1]", `{"`, `{"a"`, `{"a\`, `"\u12"`} {
		_, _, _ = Members(broken), Elements(broken), Unquote(broken)
	}
}

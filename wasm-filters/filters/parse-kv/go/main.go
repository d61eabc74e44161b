// parse-kv in Go: the twin of the Rust filter beside it, with its settings and its output.
package main

import (
	"errors"
	"slices"
	"strings"

	suiro "github.com/suiro-rs/suiro/wasm-filters/go"
)

// maxPairs keeps a text of a million pairs from taking their square in time.
const maxPairs = 256

var (
	field, into              *suiro.Field
	types, remove, overwrite = true, false, false
)

type pair struct {
	key, value string
}

func init() {
	suiro.Setup(setup)
	suiro.Filter(parseKV)
}

func setup() error {
	all, _ := suiro.ConfigJSON("")
	names := []string{"field", "into", "types", "remove", "overwrite"}
	settings := map[string]string{"field": `"log"`}
	for _, member := range suiro.Members(all) {
		if !slices.Contains(names, member.Key) {
			return errors.New("unknown setting `" + member.Key + "`; there are: " + strings.Join(names, ", "))
		}
		settings[member.Key] = member.Value
	}
	for name, flag := range map[string]*bool{"types": &types, "remove": &remove, "overwrite": &overwrite} {
		json, ok := settings[name]
		if ok && json != "true" && json != "false" {
			return errors.New("`" + name + "` must be true or false, and is " + json)
		}
		if ok {
			*flag = json == "true"
		}
	}
	for name, target := range map[string]**suiro.Field{"field": &field, "into": &into} {
		json, ok := settings[name]
		if !ok {
			continue
		}
		if !strings.HasPrefix(json, `"`) {
			return errors.New("`" + name + "` must be a text, and is " + json)
		}
		parsed, err := suiro.ParseField(suiro.Unquote(json))
		if err != nil {
			return errors.New("`" + name + "`: " + err.Error())
		}
		*target = parsed
	}
	if _, ok := settings["overwrite"]; ok && into != nil {
		return errors.New("`overwrite` needs pairs in the record itself: leave out `into`")
	}
	return nil
}

func parseKV(r suiro.Record) suiro.Verdict {
	text, ok := r.Str(field)
	if !ok {
		return suiro.Keep
	}
	found := pairs(text)
	if len(found) == 0 {
		_ = suiro.Count("without_pairs", 1)
		return suiro.Keep
	}
	if err := apply(r, found); err != nil {
		r.Fail(err.Error())
	}
	return suiro.Keep
}

func apply(r suiro.Record, found []pair) error {
	if remove {
		if _, err := r.Remove(field); err != nil {
			return err
		}
	}
	var out strings.Builder
	add := func(key, json string) {
		if out.Len() > 0 {
			out.WriteByte(',')
		}
		out.WriteString(suiro.Quote(key))
		out.WriteByte(':')
		out.WriteString(json)
	}
	var own []suiro.Member
	if into == nil {
		own = suiro.Members(r.JSON())
	}
	for _, member := range own {
		if !overwrite || !slices.ContainsFunc(found, func(p pair) bool { return p.key == member.Key }) {
			add(member.Key, member.Value)
		}
	}
	for _, p := range found {
		if !overwrite && slices.ContainsFunc(own, func(m suiro.Member) bool { return m.Key == p.key }) {
			continue
		}
		if types && isLiteral(p.value) {
			add(p.key, p.value)
		} else {
			add(p.key, suiro.Quote(p.value))
		}
	}
	json := "{" + out.String() + "}"
	if into != nil {
		return r.SetJSON(into, json)
	}
	return r.ReplaceJSON(json)
}

const blanks = " \t\n\r\f"

func pairs(text string) []pair {
	var found []pair
	rest := text
	for {
		rest = strings.TrimLeft(rest, blanks)
		end := strings.IndexAny(rest, "="+blanks)
		if end < 0 {
			return found
		}
		if rest[end] != '=' {
			// A word.
			rest = rest[end:]
			continue
		}
		key := rest[:end]
		var value string
		value, rest = valueOf(rest[end+1:])
		if key == "" {
			continue
		}
		known := slices.IndexFunc(found, func(p pair) bool { return p.key == key })
		switch {
		case known >= 0:
			found[known].value = value
		case len(found) == maxPairs:
			return found
		default:
			found = append(found, pair{key, value})
		}
	}
}

func valueOf(text string) (value, rest string) {
	if strings.HasPrefix(text, `"`) {
		if value, rest, ok := quoted(text[1:]); ok {
			return value, rest
		}
	}
	// A quote that is never closed is a sign like any other.
	end := strings.IndexAny(text, blanks)
	if end < 0 {
		end = len(text)
	}
	return text[:end], text[end:]
}

func quoted(text string) (value, rest string, ok bool) {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return out.String(), text[i+1:], true
		case '\\':
			i++
			if i == len(text) {
				return "", "", false
			}
			switch text[i] {
			case 'n':
				out.WriteByte('\n')
			case 't':
				out.WriteByte('\t')
			case 'r':
				out.WriteByte('\r')
			default:
				out.WriteByte(text[i])
			}
		default:
			out.WriteByte(text[i])
		}
	}
	return "", "", false
}

// isLiteral is whether a text is true, false, null, or a JSON number.
func isLiteral(text string) bool {
	if text == "true" || text == "false" || text == "null" {
		return true
	}
	digits := func(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }
	text = strings.TrimPrefix(text, "-")
	mantissa, exponent := text, "0"
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		mantissa, exponent = text[:at], text[at+1:]
	}
	whole, fraction, dotted := strings.Cut(mantissa, ".")
	if !dotted {
		fraction = "0"
	}
	if exponent != "" && (exponent[0] == '+' || exponent[0] == '-') {
		exponent = exponent[1:]
	}
	return digits(whole) && digits(fraction) && digits(exponent) && (whole == "0" || whole[0] != '0')
}

func main() {}

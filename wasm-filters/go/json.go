package suiro

import (
	"strings"
	"unicode/utf16"
)

// Member is one of a JSON map: what the key says, and the value as JSON.
type Member struct {
	Key   string
	Value string
}

// Members takes a JSON map apart. Anything that is no map has none.
func Members(json string) []Member {
	var members []Member
	rest := inside(json, '{', '}')
	for {
		key, after := value(rest)
		value, behind := value(after)
		if key == "" || value == "" {
			return members
		}
		members = append(members, Member{Unquote(key), value})
		rest = behind
	}
}

// Elements takes a JSON list apart: each value as JSON. Anything that is no list has none.
func Elements(json string) []string {
	var elements []string
	rest := inside(json, '[', ']')
	for {
		element, behind := value(rest)
		if element == "" {
			return elements
		}
		elements = append(elements, element)
		rest = behind
	}
}

const blanks = " \t\r\n"

func inside(json string, open, closing byte) string {
	json = strings.Trim(json, blanks)
	if len(json) < 2 || json[0] != open || json[len(json)-1] != closing {
		return ""
	}
	return json[1 : len(json)-1]
}

// value is the first value of a list or map, and what is behind it and the sign that follows; "" where there is none.
func value(text string) (string, string) {
	text = strings.TrimLeft(text, blanks)
	depth, i := 0, 0
scan:
	for ; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case ',', ':':
			if depth == 0 {
				break scan
			}
		}
	}
	i = min(i, len(text))
	return strings.TrimRight(text[:i], blanks), text[min(i+1, len(text)):]
}

// Unquote is what a JSON string says. What is no string it leaves as it is.
func Unquote(json string) string {
	if len(json) < 2 || json[0] != '"' || json[len(json)-1] != '"' {
		return json
	}
	text := json[1 : len(json)-1]
	if !strings.Contains(text, `\`) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		i++
		switch text[i] {
		case 'n':
			out.WriteByte('\n')
		case 't':
			out.WriteByte('\t')
		case 'r':
			out.WriteByte('\r')
		case 'b':
			out.WriteByte('\b')
		case 'f':
			out.WriteByte('\f')
		case 'u':
			unit := hex(text, i+1)
			i += 4
			if utf16.IsSurrogate(unit) && strings.HasPrefix(text[min(i+1, len(text)):], `\u`) {
				unit = utf16.DecodeRune(unit, hex(text, i+3))
				i += 6
			}
			out.WriteRune(unit)
		default:
			out.WriteByte(text[i])
		}
	}
	return out.String()
}

func hex(text string, from int) rune {
	unit := rune(0)
	for i := from; i < from+4 && i < len(text); i++ {
		digit := rune(text[i])
		switch {
		case digit <= '9':
			digit -= '0'
		default:
			digit = digit | 0x20 - 'a' + 10
		}
		unit = unit<<4 | digit&15
	}
	return unit
}

// Quote is a text as a JSON string.
func Quote(text string) string {
	var out strings.Builder
	out.Grow(len(text) + 2)
	out.WriteByte('"')
	for i := 0; i < len(text); i++ {
		switch sign := text[i]; {
		case sign == '"' || sign == '\\':
			out.WriteByte('\\')
			out.WriteByte(sign)
		case sign == '\n':
			out.WriteString(`\n`)
		case sign == '\t':
			out.WriteString(`\t`)
		case sign == '\r':
			out.WriteString(`\r`)
		case sign < 0x20:
			out.WriteString(`\u00`)
			out.WriteByte('0' + sign>>4)
			out.WriteByte("0123456789abcdef"[sign&15])
		default:
			out.WriteByte(sign)
		}
	}
	out.WriteByte('"')
	return out.String()
}

// Drops records of level `debug`, and notes in the others that it saw them.
package main

import suiro "github.com/suiro-rs/suiro/wasm-filters/go"

var (
	level = suiro.NewField("level")
	seen  = suiro.NewField("seen")
)

func init() {
	suiro.Filter(noDebug)
}

func noDebug(r suiro.Record) suiro.Verdict {
	if text, _ := r.Text(level); text == "debug" {
		return suiro.Drop
	}
	if err := r.Set(seen, true); err != nil {
		r.Fail(err.Error())
	}
	return suiro.Keep
}

func main() {}

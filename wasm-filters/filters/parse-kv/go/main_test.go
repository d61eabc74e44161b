package main

import (
	"os"
	"strings"
	"testing"

	suiro "github.com/suiro-rs/suiro/wasm-filters/go"
)

func TestSample(t *testing.T) {
	sample, _ := os.ReadFile("../sample.jsonl")
	expected, _ := os.ReadFile("../expected.jsonl")
	outcome, err := suiro.TestHost{}.Run(strings.Split(strings.TrimSpace(string(sample)), "\n")...)
	if err != nil {
		t.Fatal(err)
	}
	have, want := outcome.Records, strings.Split(strings.TrimSpace(string(expected)), "\n")
	for i := range max(len(have), len(want)) {
		if i >= len(have) || i >= len(want) || have[i] != want[i] {
			t.Fatalf("line %d differs:\n%v\n%v", i+1, have[min(i, len(have)):], want[min(i, len(want)):])
		}
	}
}

func TestSettings(t *testing.T) {
	for config, why := range map[string]string{
		`{"fild":"x"}`:                  "unknown setting `fild`",
		`{"types":1}`:                   "`types` must be true or false",
		`{"field":""}`:                  "`field`",
		`{"into":"a","overwrite":true}`: "leave out `into`",
	} {
		if _, err := (suiro.TestHost{Config: config}).Run(); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", config, err)
		}
		types, into = true, nil
	}
}

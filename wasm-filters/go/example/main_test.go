package main

import (
	"os"
	"strings"
	"testing"

	suiro "github.com/suiro-rs/suiro/wasm-filters/go"
)

func TestSample(t *testing.T) {
	sample, _ := os.ReadFile("sample.jsonl")
	expected, _ := os.ReadFile("expected.jsonl")
	outcome, err := suiro.TestHost{}.Run(strings.Split(strings.TrimSpace(string(sample)), "\n")...)
	if err != nil {
		t.Fatal(err)
	}
	if have := strings.Join(outcome.Records, "\n") + "\n"; have != string(expected) {
		t.Errorf("came:\n%sexpected:\n%s", have, expected)
	}
}

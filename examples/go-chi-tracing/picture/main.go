// Draws the trace in a file of spans, as suiro's output `file` with `format = "full"` writes them, as SVG.
//
//	go run ./picture trace.jsonl > trace.svg
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"html"
	"log"
	"os"
	"sort"
	"time"
)

type span struct {
	TraceID string `json:"@trace_id"`
	SpanID  string `json:"@span_id"`
	Parent  string `json:"parent_span_id"`
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Start   int64  `json:"start"`
	End     int64  `json:"end"`
	Status  struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"status"`
	Events   []json.RawMessage `json:"events"`
	Resource map[string]any    `json:"@resource"`
	depth    int
}

const (
	width  = 960
	left   = 300
	right  = 100
	row    = 22
	header = 46
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: picture trace.jsonl > trace.svg")
	}
	spans, err := read(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if len(spans) == 0 {
		log.Fatal("there is no span in ", os.Args[1])
	}
	draw(order(spans))
}

// read gives the spans of the first trace of a file.
func read(path string) ([]span, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var spans []span
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one span
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, err
		}
		if len(spans) == 0 || one.TraceID == spans[0].TraceID {
			spans = append(spans, one)
		}
	}
	return spans, lines.Err()
}

// order puts children behind their parents.
func order(spans []span) []span {
	sort.SliceStable(spans, func(a, b int) bool { return spans[a].Start < spans[b].Start })
	known := map[string]bool{}
	children := map[string][]span{}
	for _, one := range spans {
		known[one.SpanID] = true
	}
	for _, one := range spans {
		parent := one.Parent
		if !known[parent] {
			parent = ""
		}
		children[parent] = append(children[parent], one)
	}
	var ordered []span
	var walk func(parent string, depth int)
	walk = func(parent string, depth int) {
		for _, one := range children[parent] {
			one.depth = depth
			ordered = append(ordered, one)
			walk(one.SpanID, depth+1)
		}
	}
	walk("", 0)
	return ordered
}

func draw(spans []span) {
	begin, end := spans[0].Start, spans[0].End
	for _, one := range spans {
		begin, end = min(begin, one.Start), max(end, one.End)
	}
	scale := float64(width-left-right) / float64(max(end-begin, 1))
	height := header + row*len(spans) + 12
	fmt.Printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n", width, height)
	fmt.Printf("<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", width, height)
	fmt.Printf("<text x=\"12\" y=\"18\" font-weight=\"600\">%s · trace %s · %d spans · %s</text>\n",
		text(spans[0].Resource["service.name"]), html.EscapeString(spans[0].TraceID), len(spans), took(end-begin))
	for n := 0; n <= 4; n++ {
		x := left + (width-left-right)*n/4
		fmt.Printf("<path d=\"M%d %d V%d\" stroke=\"#ddd\"/><text x=\"%d\" y=\"%d\" fill=\"#777\" text-anchor=\"middle\" font-size=\"10\">%s</text>\n",
			x, header-6, height-8, x, header-10, took((end-begin)*int64(n)/4))
	}
	for n, one := range spans {
		y := header + row*n
		x := float64(left) + float64(one.Start-begin)*scale
		w := max(float64(one.End-one.Start)*scale, 1.5)
		fmt.Printf("<g><title>%s %s</title>", html.EscapeString(one.Name), html.EscapeString(one.Status.Message))
		fmt.Printf("<text x=\"%d\" y=\"%d\">%s</text>", 12+14*one.depth, y+15, html.EscapeString(one.Name))
		fmt.Printf("<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"14\" rx=\"2\" fill=\"%s\"/>", x, y+4, w, color(one))
		fmt.Printf("<text x=\"%.1f\" y=\"%d\" fill=\"#555\" font-size=\"10\">%s</text></g>\n", x+w+5, y+15, took(one.End-one.Start)+mark(one))
	}
	fmt.Println("</svg>")
}

func color(one span) string {
	switch {
	case one.Status.Code == "error":
		return "#d64545"
	case one.Kind == "server":
		return "#3b7dd8"
	case one.Kind == "client":
		return "#7fb069"
	default:
		return "#a58bd0"
	}
}

func mark(one span) string {
	words := ""
	if one.Kind != "" {
		words += " " + one.Kind
	}
	if one.Status.Code == "error" {
		words += " error"
	}
	return words
}

func text(value any) string { return html.EscapeString(fmt.Sprint(value)) }

func took(nanoseconds int64) string {
	return time.Duration(nanoseconds).Round(10 * time.Microsecond).String()
}

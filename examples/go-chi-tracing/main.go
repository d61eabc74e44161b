// A small shop: a go-chi service whose requests are traced with OpenTelemetry and sent by its Jaeger exporter (Thrift over
// HTTP). With -once it asks itself for one checkout, sends what was traced, and ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/go-chi/chi/v5"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/jaeger"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.21.0"
	oteltrace "go.opentelemetry.io/otel/trace"
)

var tracer = otel.Tracer("example.com/shop")

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "where the shop listens")
	collector := flag.String("collector", "http://localhost:14268/api/traces", "where spans go")
	once := flag.Bool("once", false, "ask for one checkout, then end")
	flag.Parse()
	if err := run(*listen, *collector, *once); err != nil {
		log.Fatal(err)
	}
}

func run(listen, collector string, once bool) error {
	exporter, err := jaeger.New(jaeger.WithCollectorEndpoint(jaeger.WithEndpoint(collector)))
	if err != nil {
		return err
	}
	provider := trace.NewTracerProvider(
		trace.WithBatcher(exporter, trace.WithBatchTimeout(time.Second)),
		trace.WithResource(resource.NewWithAttributes(semconv.SchemaURL,
			semconv.ServiceName("shop"), semconv.ServiceVersion("1.0.0"), attribute.String("deployment.environment", "demo"))),
	)
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})

	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	shop := shop{self: "http://" + listener.Addr().String(), client: http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}}
	server := http.Server{Handler: shop.routes()}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	log.Printf("the shop is open at %s, spans go to %s", shop.self, collector)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if once {
		if err := shop.visit(ctx); err != nil {
			return err
		}
	} else {
		select {
		case <-ctx.Done():
		case err := <-failed:
			return err
		}
	}
	last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(server.Shutdown(last), provider.Shutdown(last))
}

type shop struct {
	self   string
	client http.Client
}

func (s *shop) routes() http.Handler {
	router := chi.NewRouter()
	router.Use(traced)
	router.Get("/checkout/{cart}", s.checkout)
	router.Get("/stock/{item}", s.stock)
	router.Get("/pay/{cart}", s.pay)
	return router
}

// traced gives every request a span with the name of its route.
func traced(next http.Handler) http.Handler {
	named := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		if pattern := chi.RouteContext(r.Context()).RoutePattern(); pattern != "" {
			span := oteltrace.SpanFromContext(r.Context())
			span.SetName(r.Method + " " + pattern)
			span.SetAttributes(semconv.HTTPRoute(pattern))
		}
	})
	return otelhttp.NewHandler(named, "request")
}

// visit is a customer.
func (s *shop) visit(ctx context.Context) error {
	ctx, span := tracer.Start(ctx, "visit", oteltrace.WithAttributes(attribute.String("customer", "ada"), attribute.Bool("returning", true)))
	defer span.End()
	body, err := s.get(ctx, "/checkout/42")
	if err != nil {
		span.RecordError(err)
		return err
	}
	log.Printf("the shop says: %s", body)
	return nil
}

// checkout looks after the stock, counts, and has a payment that fails the first time.
func (s *shop) checkout(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	cart := chi.URLParam(r, "cart")
	for _, item := range []string{"lamp", "chair"} {
		if _, err := s.get(ctx, "/stock/"+item); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
	}
	total := s.count(ctx, cart)
	var err error
	for attempt := 1; attempt <= 2; attempt++ {
		if _, err = s.get(ctx, fmt.Sprintf("/pay/%s?attempt=%d", cart, attempt)); err == nil {
			break
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprintf(w, "cart %s: %.2f paid", cart, total)
}

func (s *shop) stock(w http.ResponseWriter, r *http.Request) {
	_, span := tracer.Start(r.Context(), "SELECT stock", oteltrace.WithSpanKind(oteltrace.SpanKindClient),
		oteltrace.WithAttributes(semconv.DBSystemPostgreSQL, semconv.PeerService("stock-db"), attribute.String("item", chi.URLParam(r, "item"))))
	defer span.End()
	time.Sleep(4 * time.Millisecond)
	span.AddEvent("rows", oteltrace.WithAttributes(attribute.Int("count", 3)))
	fmt.Fprint(w, "3")
}

func (s *shop) count(ctx context.Context, cart string) float64 {
	_, span := tracer.Start(ctx, "count", oteltrace.WithAttributes(attribute.StringSlice("items", []string{"lamp", "chair"})))
	defer span.End()
	time.Sleep(2 * time.Millisecond)
	total := 129.9
	span.SetAttributes(attribute.String("cart", cart), attribute.Float64("total", total))
	span.SetStatus(codes.Ok, "")
	return total
}

func (s *shop) pay(w http.ResponseWriter, r *http.Request) {
	_, span := tracer.Start(r.Context(), "charge", oteltrace.WithSpanKind(oteltrace.SpanKindClient),
		oteltrace.WithAttributes(semconv.PeerService("bank"), attribute.String("attempt", r.URL.Query().Get("attempt"))))
	defer span.End()
	time.Sleep(6 * time.Millisecond)
	if r.URL.Query().Get("attempt") == "1" {
		span.RecordError(errors.New("the bank did not answer"))
		span.SetStatus(codes.Error, "the bank did not answer")
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(w, "paid")
}

// get asks the shop itself.
func (s *shop) get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.self+path, nil)
	if err != nil {
		return "", err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, response.Status)
	}
	return string(body), err
}

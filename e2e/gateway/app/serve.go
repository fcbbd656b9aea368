package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Once told to stop, the server is not ready but goes on answering for DRAIN_MS: until then gateways may not yet know.
// It then takes no new connections and ends what it has begun.
const (
	defaultDrain    = 5 * time.Second
	shutdownTimeout = 10 * time.Second
)

// Server answers requests as its settings say.
type Server struct {
	settings atomic.Pointer[Settings]
	metrics  *Metrics
	recent   Recent
	draining atomic.Bool
}

func serve() error {
	first, err := settingsOfEnvironment()
	if err != nil {
		return err
	}
	drain := defaultDrain
	if text := os.Getenv("DRAIN_MS"); text != "" {
		if drain, err = time.ParseDuration(text + "ms"); err != nil {
			return fmt.Errorf("DRAIN_MS=%s: whole milliseconds", text)
		}
	}
	address := os.Getenv("LISTEN")
	if address == "" {
		address = ":8080"
	}
	s := &Server{metrics: newMetrics()}
	s.settings.Store(&first)
	if file := os.Getenv("SETTINGS"); file != "" {
		go watchSettings(file, first, &s.settings)
	}
	// gRPC comes as HTTP/2 without TLS.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Addr: address, Handler: s.handler(), Protocols: protocols, ReadHeaderTimeout: 10 * time.Second}

	stopped := make(chan error, 1)
	go func() { stopped <- s.stop(server, drain) }()
	log.Printf("version %s listens on %s", first.Version, address)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// stop waits for a signal, lets the gateways take note of it, and ends the server.
func (s *Server) stop(server *http.Server, drain time.Duration) error {
	told, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	<-told.Done()
	s.draining.Store(true)
	log.Printf("told to stop: serves for another %s", drain)
	time.Sleep(drain)
	limit, end := context.WithTimeout(context.Background(), shutdownTimeout)
	defer end()
	return server.Shutdown(limit)
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/live", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/ready", s.ready)
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("content-type", "text/plain; version=0.0.4")
		s.metrics.write(w)
	})
	mux.Handle("/recent", &s.recent)
	mux.HandleFunc("/echo", s.counted(s.echo))
	mux.HandleFunc("/", s.counted(s.answer))
	return mux
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if s.draining.Load() || !s.settings.Load().Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintln(w, s.settings.Load().Version)
}

// counted sets the version and the latency, rolls the dice for an error, and counts what comes of it.
func (s *Server) counted(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		settings := s.settings.Load()
		w.Header().Set("x-version", settings.Version)
		w.Header().Set("x-pod", os.Getenv("HOSTNAME"))
		if settings.LatencyMs > 0 {
			time.Sleep(time.Duration(settings.LatencyMs) * time.Millisecond)
		}
		code := http.StatusOK
		switch {
		case isGRPC(r):
			code = answerGRPC(w, rand.Float64() < settings.Errors)
		case rand.Float64() < settings.Errors:
			code = http.StatusInternalServerError
			http.Error(w, "an error, as asked for", code)
		default:
			next(w, r)
		}
		s.metrics.observe(code, time.Since(start), copyOf(r))
		s.recent.observe(time.Now(), code)
	}
}

// copyOf tells a mirrored request: by a header that somebody set, by the host, to which some gateways add "-shadow", or by
// what Envoy adds to copies alone when its own host suffix is switched off, as under Envoy Gateway.
func copyOf(r *http.Request) mirrored {
	host, _, _ := strings.Cut(r.Host, ":")
	switch {
	case r.Header.Get("x-shadow") != "":
		return mirrored{by: "header", method: r.Method}
	case strings.HasSuffix(host, "-shadow"):
		return mirrored{by: "host", method: r.Method}
	case r.Header.Get("x-envoy-internal") == "true":
		return mirrored{by: "envoy", method: r.Method}
	default:
		return mirrored{}
	}
}

func (s *Server) answer(w http.ResponseWriter, _ *http.Request) {
	settings := s.settings.Load()
	fmt.Fprintf(w, "%s %s\n", settings.Version, settings.Greeting)
}

// echo says what came in, and logs it: the answer to a mirrored request reaches nobody.
func (s *Server) echo(w http.ResponseWriter, r *http.Request) {
	text, err := json.Marshal(map[string]any{
		"version": s.settings.Load().Version, "method": r.Method, "path": r.URL.RequestURI(), "host": r.Host,
		"protocol": r.Proto, "headers": r.Header,
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	log.Printf("echo %s", text)
	w.Header().Set("content-type", "application/json")
	fmt.Fprintf(w, "%s\n", text)
}

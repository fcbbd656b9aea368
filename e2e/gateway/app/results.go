package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Answer is what became of one request. Code is 0 when there was no answer; then Error says why.
type Answer struct {
	Sent    time.Time
	Came    time.Time
	Version string
	Code    int
	Error   string
}

// Counts are by "version/code"; the version is "-" where no server of ours answered, the code 0 where nobody did.
type Counts map[string]int

// Second is one line of output, and of /results. T is in seconds since 1970, by when the answers came.
type Second struct {
	Kind    string  `json:"kind"`
	T       int64   `json:"t"`
	Counts  Counts  `json:"counts"`
	SlowMs  float64 `json:"slowMs"`
	LeftOut int     `json:"leftOut,omitempty"`
}

// Failure is a line about one request that was answered with 5xx or not at all.
type Failure struct {
	Kind    string  `json:"kind"`
	T       float64 `json:"t"`
	Version string  `json:"version"`
	Code    int     `json:"code"`
	Error   string  `json:"error,omitempty"`
	TookMs  float64 `json:"tookMs"`
}

// Seen are times in seconds since 1970.
type Seen struct {
	First float64 `json:"first"`
	// Last is when the newest answer came, LastSent when a request that got one was last sent.
	Last     float64 `json:"last"`
	LastSent float64 `json:"lastSent"`
	Count    int     `json:"count"`
}

// Total is the last line of output; /results gives it at any time.
type Total struct {
	Kind    string           `json:"kind"`
	Ended   bool             `json:"ended"`
	Sent    int              `json:"sent"`
	Counts  Counts           `json:"counts"`
	Errors  map[string]int   `json:"errors"`
	LeftOut int              `json:"leftOut"`
	Seen    map[string]*Seen `json:"seen"`
}

// Failures that are told one by one; all are counted.
const toldFailures = 1000

// Results gathers answers.
type Results struct {
	mutex   sync.Mutex
	total   Total
	second  Second
	told    int
	encoder *json.Encoder
}

func newResults() *Results {
	return &Results{
		total:   Total{Kind: "total", Counts: Counts{}, Errors: map[string]int{}, Seen: map[string]*Seen{}},
		second:  Second{Kind: "second", Counts: Counts{}},
		encoder: json.NewEncoder(os.Stdout),
	}
}

func (r *Results) add(a Answer) {
	version := a.Version
	if version == "" {
		version = "-"
	}
	key := fmt.Sprintf("%s/%d", version, a.Code)
	tookMs := float64(a.Came.Sub(a.Sent).Microseconds()) / 1000
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.total.Sent++
	r.total.Counts[key]++
	r.second.Counts[key]++
	r.second.SlowMs = max(r.second.SlowMs, tookMs)
	if a.Error != "" {
		r.total.Errors[a.Error]++
	}
	seen := r.total.Seen[version]
	if seen == nil {
		seen = &Seen{First: unix(a.Came)}
		r.total.Seen[version] = seen
	}
	seen.Count++
	seen.Last = max(seen.Last, unix(a.Came))
	seen.LastSent = max(seen.LastSent, unix(a.Sent))
	if (a.Code == 0 || a.Code >= 500) && r.told < toldFailures {
		r.told++
		r.encoder.Encode(Failure{Kind: "failure", T: unix(a.Came), Version: version, Code: a.Code, Error: a.Error, TookMs: tookMs})
	}
}

func (r *Results) leftOut() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.total.LeftOut++
	r.second.LeftOut++
}

// print writes a line each second, and the total when everything has ended.
func (r *Results) print(ended <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			r.endSecond(now)
		case <-ended:
			r.endSecond(time.Now())
			r.mutex.Lock()
			defer r.mutex.Unlock()
			r.total.Ended = true
			r.encoder.Encode(r.total)
			return
		}
	}
}

func (r *Results) endSecond(now time.Time) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.second.T = now.Unix()
	r.encoder.Encode(r.second)
	r.second = Second{Kind: "second", Counts: Counts{}}
}

func (r *Results) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/results", func(w http.ResponseWriter, _ *http.Request) {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		w.Header().Set("content-type", "application/json")
		json.NewEncoder(w).Encode(r.total)
	})
	return mux
}

func unix(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// kindOfError is a word for what otherwise carries addresses, and would never be the same twice.
func kindOfError(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case strings.Contains(err.Error(), "no such host"):
		return "unknown host"
	default:
		return err.Error()
	}
}

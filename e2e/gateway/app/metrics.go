package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Upper bounds of the histogram's buckets, in seconds: those of the Prometheus client libraries.
var buckets = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// Metrics counts requests. Probes and scrapes are not requests.
type Metrics struct {
	mutex    sync.Mutex
	requests map[int]int
	mirrored map[mirrored]int
	// counts[i] is of requests of at most buckets[i]; the last one is of all others.
	counts []int
	sum    float64
}

// mirrored says how a request showed that it is a copy, and its method.
type mirrored struct {
	by     string
	method string
}

func newMetrics() *Metrics {
	return &Metrics{
		requests: map[int]int{}, mirrored: map[mirrored]int{}, counts: make([]int, len(buckets)+1),
	}
}

// observe counts one request; by is empty unless it is a copy.
func (m *Metrics) observe(code int, took time.Duration, copied mirrored) {
	seconds := took.Seconds()
	bucket, _ := slices.BinarySearch(buckets, seconds)
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.requests[code]++
	m.counts[bucket]++
	m.sum += seconds
	if copied.by != "" {
		m.mirrored[copied]++
	}
}

// write gives the Prometheus text format.
func (m *Metrics) write(w io.Writer) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	fmt.Fprintln(w, "# HELP http_requests_total Requests by status code, mirrored ones included.\n# TYPE http_requests_total counter")
	for _, code := range slices.Sorted(maps.Keys(m.requests)) {
		fmt.Fprintf(w, "http_requests_total{code=\"%d\"} %d\n", code, m.requests[code])
	}
	fmt.Fprintln(w, "# HELP http_mirrored_requests_total Requests that came as copies, by the mark that shows it and by method.\n# TYPE http_mirrored_requests_total counter")
	for key, count := range m.mirrored {
		fmt.Fprintf(w, "http_mirrored_requests_total{by=%q,method=%q} %d\n", key.by, key.method, count)
	}
	fmt.Fprintln(w, "# HELP http_request_duration_seconds Time to answer.\n# TYPE http_request_duration_seconds histogram")
	total := 0
	for i, count := range m.counts {
		total += count
		bound := "+Inf"
		if i < len(buckets) {
			bound = strconv.FormatFloat(buckets[i], 'g', -1, 64)
		}
		fmt.Fprintf(w, "http_request_duration_seconds_bucket{le=%q} %d\n", bound, total)
	}
	fmt.Fprintf(w, "http_request_duration_seconds_sum %g\nhttp_request_duration_seconds_count %d\n", m.sum, total)
}

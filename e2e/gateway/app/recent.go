package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// How long requests are remembered one span of time at a time.
const (
	recentSpan  = 100 * time.Millisecond
	recentSpans = 600
)

// Recent counts the requests of the last minute, for programs that ask for a share of the last seconds rather than for counters.
type Recent struct {
	mutex sync.Mutex
	spans [recentSpans]span
}

// span counts what was answered in one span of time; number is that of the span since 1970.
type span struct {
	number           int64
	requests, failed int
}

func spanNumber(t time.Time) int64 { return t.UnixNano() / int64(recentSpan) }

func (r *Recent) observe(now time.Time, code int) {
	number := spanNumber(now)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	s := &r.spans[number%recentSpans]
	if s.number != number {
		*s = span{number: number}
	}
	s.requests++
	if code >= http.StatusInternalServerError {
		s.failed++
	}
}

// last sums the spans that began in the last so many seconds.
func (r *Recent) last(now time.Time, seconds int) (requests, failed int) {
	newest := spanNumber(now)
	oldest := newest - int64(time.Duration(seconds)*time.Second/recentSpan)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, s := range r.spans {
		if s.number > oldest && s.number <= newest {
			requests += s.requests
			failed += s.failed
		}
	}
	return requests, failed
}

// ServeHTTP answers ?seconds=10, from 1 to 60, with the counts of this pod in JSON. Who asks again may mean another pod of the
// Service, so that the connection ends.
func (r *Recent) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	seconds, err := strconv.Atoi(request.URL.Query().Get("seconds"))
	if limit := int(recentSpans * recentSpan / time.Second); err != nil || seconds < 1 || seconds > limit {
		http.Error(w, "seconds: a whole number from 1 to 60", http.StatusBadRequest)
		return
	}
	requests, failed := r.last(time.Now(), seconds)
	w.Header().Set("content-type", "application/json")
	w.Header().Set("connection", "close")
	json.NewEncoder(w).Encode(map[string]int{"seconds": seconds, "requests": requests, "failed": failed})
}

package main

import (
	"net/http"
	"strings"
)

// One empty message in gRPC's framing: not compressed, zero bytes long.
var emptyMessage = []byte{0, 0, 0, 0, 0}

func isGRPC(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("content-type"), "application/grpc")
}

// answerGRPC answers any unary call with an empty message, or with UNAVAILABLE. It gives the HTTP status that stands for it.
func answerGRPC(w http.ResponseWriter, fail bool) int {
	w.Header().Set("content-type", "application/grpc")
	if fail {
		w.Header().Set("grpc-status", "14")
		w.Header().Set("grpc-message", "an error, as asked for")
		return http.StatusServiceUnavailable
	}
	w.Header().Set("trailer", "grpc-status")
	w.Write(emptyMessage)
	w.Header().Set("grpc-status", "0")
	return http.StatusOK
}

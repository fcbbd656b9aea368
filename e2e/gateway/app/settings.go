package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// Settings say how the server behaves. The environment gives the first values, the file SETTINGS (JSON, a key of a mounted
// ConfigMap) overrides them, also while the server runs.
type Settings struct {
	// Version is what the header x-version says.
	Version string `json:"version"`
	// Greeting is a text that the answer carries, for telling one configuration from another.
	Greeting string `json:"greeting"`
	// Errors is the share of requests that are answered with 500, from 0 to 1.
	Errors float64 `json:"errors"`
	// LatencyMs is added to each answer.
	LatencyMs int `json:"latency_ms"`
	// Ready false fails the readiness probe.
	Ready bool `json:"ready"`
}

// How often the file is looked at: the kubelet itself takes up to a minute to write a changed ConfigMap.
const settingsInterval = 200 * time.Millisecond

func settingsOfEnvironment() (Settings, error) {
	s := Settings{Version: os.Getenv("VERSION"), Greeting: os.Getenv("GREETING"), Ready: os.Getenv("READY") != "false"}
	var err error
	if text := os.Getenv("ERRORS"); text != "" {
		if s.Errors, err = strconv.ParseFloat(text, 64); err != nil || s.Errors < 0 || s.Errors > 1 {
			return s, fmt.Errorf("ERRORS=%s: a number from 0 to 1", text)
		}
	}
	if text := os.Getenv("LATENCY_MS"); text != "" {
		if s.LatencyMs, err = strconv.Atoi(text); err != nil || s.LatencyMs < 0 {
			return s, fmt.Errorf("LATENCY_MS=%s: whole milliseconds", text)
		}
	}
	return s, nil
}

// watchSettings keeps the pointer at what the file says. A file that is not there, or not JSON, leaves it as it was.
func watchSettings(file string, first Settings, now *atomic.Pointer[Settings]) {
	now.Store(&first)
	last := ""
	for {
		content, err := os.ReadFile(file)
		if err == nil && string(content) != last {
			last = string(content)
			next := first
			if err = json.Unmarshal(content, &next); err == nil {
				now.Store(&next)
				log.Printf("settings: %+v", next)
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Printf("settings stay as they are: %v", err)
		}
		time.Sleep(settingsInterval)
	}
}

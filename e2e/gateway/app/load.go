package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Requests that are under way at once. Above it the load is not open any more: what is then left out is counted.
const inFlightLimit = 2000

// headers collects a flag that may be given more than once: name=value.
type headers http.Header

func (h headers) String() string { return "" }

func (h headers) Set(text string) error {
	name, value, found := strings.Cut(text, "=")
	if !found {
		return fmt.Errorf("%q is not name=value", text)
	}
	http.Header(h).Add(name, value)
	return nil
}

// Client sends requests at a steady rate, whatever becomes of them.
type Client struct {
	target    *url.URL
	host      string
	method    string
	headers   http.Header
	grpc      bool
	rate      int
	duration  time.Duration
	transport *http.Transport
	http      *http.Client
	results   *Results
}

func load(args []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	c := &Client{headers: http.Header{}}
	flags.StringVar(&c.host, "host", "", "Host header; default that of the URL")
	flags.StringVar(&c.method, "method", http.MethodGet, "method")
	flags.IntVar(&c.rate, "rate", 100, "requests per second")
	flags.DurationVar(&c.duration, "duration", 10*time.Second, "how long")
	flags.BoolVar(&c.grpc, "grpc", false, "unary gRPC calls of the method that the URL's path names, over HTTP/2")
	flags.Var(headers(c.headers), "header", "name=value; may be repeated")
	connections := flags.Int("connections", 64, "connections that are kept open")
	timeout := flags.Duration("timeout", 5*time.Second, "time for one request")
	listen := flags.String("listen", ":9090", "where /results gives what is known so far; empty for nowhere")
	linger := flags.Duration("linger", 0, "how long /results stays after the end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || c.rate < 1 {
		return fmt.Errorf("one URL and a rate of at least 1 are needed; %s", usage)
	}
	var err error
	if c.target, err = url.Parse(flags.Arg(0)); err != nil {
		return err
	}
	c.transport = &http.Transport{MaxIdleConnsPerHost: *connections, DisableCompression: true, Protocols: new(http.Protocols)}
	c.transport.Protocols.SetHTTP1(!c.grpc)
	c.transport.Protocols.SetUnencryptedHTTP2(c.grpc)
	c.http = &http.Client{Transport: c.transport, Timeout: *timeout}
	c.results = newResults()
	if *listen != "" {
		go func() {
			fmt.Fprintln(os.Stderr, http.ListenAndServe(*listen, c.results.handler()))
			os.Exit(1)
		}()
	}
	told, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	c.run(told)
	select {
	case <-told.Done():
	case <-time.After(*linger):
	}
	return nil
}

// run sends request i at start + i/rate. A late timer makes it send several at once, so that the rate holds.
func (c *Client) run(told context.Context) {
	ended := make(chan struct{})
	printed := make(chan struct{})
	go func() {
		c.results.print(ended)
		close(printed)
	}()
	var waiting sync.WaitGroup
	slots := make(chan struct{}, inFlightLimit)
	start := time.Now()
	total := int(c.duration.Seconds() * float64(c.rate))
	for i := 0; i < total && told.Err() == nil; i++ {
		time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(c.rate))))
		select {
		case slots <- struct{}{}:
			waiting.Go(func() {
				c.send()
				<-slots
			})
		default:
			c.results.leftOut()
		}
	}
	waiting.Wait()
	close(ended)
	<-printed
}

func (c *Client) send() {
	var body io.Reader
	if c.grpc {
		body = strings.NewReader(string(emptyMessage))
	}
	method := c.method
	if c.grpc {
		method = http.MethodPost
	}
	request, err := http.NewRequest(method, c.target.String(), body)
	if err != nil {
		c.results.add(Answer{Sent: time.Now(), Error: err.Error()})
		return
	}
	request.Host = c.host
	for name, values := range c.headers {
		request.Header[name] = values
	}
	if c.grpc {
		request.Header.Set("content-type", "application/grpc")
		request.Header.Set("te", "trailers")
	}
	answer := Answer{Sent: time.Now()}
	response, err := c.http.Do(request)
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		answer.Version = response.Header.Get("x-version")
		answer.Code = response.StatusCode
		if c.grpc && response.StatusCode == http.StatusOK {
			answer.Code = codeOfGRPC(response)
		}
	}
	answer.Came = time.Now()
	if err != nil {
		answer.Code = 0
		answer.Error = kindOfError(err)
	}
	c.results.add(answer)
}

// codeOfGRPC is 200 for OK and 500 plus the gRPC status otherwise: 514 is UNAVAILABLE.
func codeOfGRPC(response *http.Response) int {
	status := response.Trailer.Get("grpc-status")
	if status == "" {
		status = response.Header.Get("grpc-status")
	}
	if status == "0" {
		return http.StatusOK
	}
	code := http.StatusInternalServerError
	fmt.Sscan(status, &code)
	return http.StatusInternalServerError + code
}

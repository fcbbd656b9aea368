// Command app is what releases are tried with: a server whose version, errors and latency are set from outside, and a client
// that sends it a steady load and counts what comes back.
package main

import (
	"fmt"
	"log"
	"os"
)

const usage = "usage: app serve | app load [FLAGS] URL"

func main() {
	log.SetFlags(log.LstdFlags | log.Lmicroseconds | log.LUTC)
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	var err error
	switch os.Args[1] {
	case "serve":
		err = serve()
	case "load":
		err = load(os.Args[2:])
	default:
		err = fmt.Errorf("%q is no command; %s", os.Args[1], usage)
	}
	if err != nil {
		log.Fatal(err)
	}
}

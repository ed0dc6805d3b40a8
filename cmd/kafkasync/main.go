// Command kafkasync keeps other stores in step with a database: it reads the
// database's log and publishes the id of every changed row to Kafka.
//
// It promises an exit status of 0 for success, 1 for failure and 2 for wrong
// usage, and prints an error once. It reads flags, asks, and prints: what moves
// data is in the packages that it calls.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal asks for an orderly end, a second one kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

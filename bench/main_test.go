package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// The program starts itself as the bare loop; under test, that is the test's.
func TestMain(m *testing.M) {
	if order, ok := relayAsked(os.Args[1:]); ok {
		if err := runRelay(order, os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	devtest.Main(m)
}

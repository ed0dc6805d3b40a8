package consumer_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(processVariable); text != "" {
		fmt.Fprintln(os.Stderr, runProcess(text)) // it is killed, and gets here only if something is wrong
		os.Exit(1)
	}
	devtest.Main(m)
}

package consumertest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
	"github.com/kafkasync/kafkasync/consumer/consumertest"
)

// variable makes of the test binary one in which an assertion is to fail.
const variable = "CONSUMERTEST_FAILS"

// What is asserted can fail: each of these does, in a process of its own.
func TestAssertionsFail(t *testing.T) {
	done := consumer.HandlerFunc(func(context.Context, []kafkasync.Message) error { return nil })
	deaf := consumer.HandlerFunc(func(context.Context, []kafkasync.Message) error {
		<-time.After(time.Hour)
		return nil
	})
	failing := map[string]struct {
		h      consumer.Handler
		script func(k *consumertest.Kafka)
		want   string
	}{
		"committed": {done, func(k *consumertest.Kafka) {
			k.Publish(inOne(1))
			k.Pass(time.Second)
			k.WantCommitted("products", 1, 0)
		}, "got offset 1 committed, want 0"},
		"not failing": {done, func(k *consumertest.Kafka) {
			k.Publish(inOne(1))
			k.WantFailing("products", 1, errAway)
		}, "got failure <nil>, want the index is away"},
		"no error":     {done, func(k *consumertest.Kafka) { _ = k.WantError() }, "want an error"},
		"ended before": {consumer.Sync[int64, string]{}, func(*consumertest.Kafka) {}, "want it to end in order"},
		"did not end":  {deaf, func(k *consumertest.Kafka) { k.Publish(inOne(1)) }, consumer.ErrDrain.Error()},
		"no such partition": {done, func(k *consumertest.Kafka) {
			k.Publish(kafkasync.Message{Topic: "orders"})
		}, "there is no partition 0 of topic orders"},
	}
	if name := os.Getenv(variable); name != "" {
		consumertest.Run(t, config(), failing[name].h, failing[name].script)
		return
	}
	for name, tt := range failing {
		t.Run(name, func(t *testing.T) {
			executable, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), executable, "-test.run=^TestAssertionsFail$")
			cmd.Env = append(os.Environ(), variable+"="+name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !strings.Contains(string(out), tt.want) {
				t.Errorf("got %v and this, want a failure that says %q:\n%s", err, tt.want, out)
			}
		})
	}
}

package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/sink/kafka"
	"github.com/kafkasync/kafkasync/sink/sinktest"
)

// These are failures that a broker must be made to have: an embedded Kafka is.

const secret = "hunter2-is-secret"

func fake(t *testing.T, opts ...kfake.Opt) (*kfake.Cluster, kafka.Config) {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster, kafka.Config{
		Brokers: cluster.ListenAddrs(), Topics: kafka.Topics{Create: true, Partitions: 1, Replication: 1},
	}
}

func login(cfg kafka.Config, password string) kafka.Config {
	cfg.Properties = map[string]string{
		"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "cdc", "sasl.password": password,
	}
	return cfg
}

// publishing runs Publish and gives what Notify hears, and in the end what Publish returns.
func publishing(t *testing.T, ctx context.Context, cfg kafka.Config, topic string) (heard <-chan error, returned <-chan error) {
	t.Helper()
	told, done := make(chan error, 100), make(chan error, 1)
	s := open(t, cfg, kafka.Options{Notify: func(err error) { told <- err }})
	go func() { done <- s.Publish(ctx, sinktest.Messages(topic, 1, 10)) }()
	return told, done
}

func next(t *testing.T, from <-chan error, what string) error {
	t.Helper()
	select {
	case err := <-from:
		return err
	case <-time.After(time.Minute):
		t.Fatalf("waited too long for %s", what)
		return nil
	}
}

func TestPublishWaitsWhileKafkaIsUnreachableAndSaysSo(t *testing.T) {
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := kafka.Config{
		Brokers:    []string{fmt.Sprintf("127.0.0.1:%d", port)},
		Properties: map[string]string{"reconnect.backoff.max.ms": "500"},
		Topics:     kafka.Topics{Create: true, Partitions: 1},
	}
	heard, returned := publishing(t, t.Context(), cfg, "products")
	told := next(t, heard, "a word about the silence")
	if kafkasync.ClassOf(told) != kafkasync.Wait || !strings.Contains(told.Error(), "is unreachable") ||
		!strings.Contains(told.Error(), "start Kafka, or correct kafka.brokers") {
		t.Errorf("got told %v, want that Kafka is unreachable, and what to look at", told)
	}
	fake(t, kfake.Ports(port))
	if err := next(t, returned, "Publish"); err != nil {
		t.Errorf("once Kafka is there: got %v, want nil", err)
	}
	var last error
	for len(heard) > 0 {
		last = <-heard
	}
	if last != nil {
		t.Errorf("got told %v last, want nil: it is over", last)
	}
}

func TestPublishWaitsWhileKafkaDoesNotAcknowledgeAndSaysSo(t *testing.T) {
	cluster, cfg := fake(t)
	release := make(chan struct{})
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.SleepControl(func() { <-release })
		return nil, nil, false
	})
	heard, returned := publishing(t, t.Context(), cfg, "products")
	told := next(t, heard, "a word about the silence")
	if !strings.Contains(told.Error(), "acknowledged nothing for 1s") || !strings.Contains(told.Error(), "under-min-isr") {
		t.Errorf("got told %v, want that nothing is acknowledged, and where to look", told)
	}
	close(release)
	if err := next(t, returned, "Publish"); err != nil {
		t.Errorf("once it acknowledges: got %v, want nil", err)
	}
}

func TestARefusedLoginIsShownWithoutThePassword(t *testing.T) {
	_, cfg := fake(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "cdc", "another"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	heard, returned := publishing(t, ctx, login(cfg, secret), "products")
	told := next(t, heard, "a word about the login")
	for !strings.Contains(told.Error(), "refuses the login") { // the first second may know only of the silence
		told = next(t, heard, "a word about the login")
	}
	if kafkasync.ClassOf(told) != kafkasync.Wait || !strings.Contains(told.Error(), "sasl.*") {
		t.Errorf("got told %v, want a fault of class wait that names sasl.*", told)
	}
	cancel()
	err := next(t, returned, "Publish")
	if strings.Contains(told.Error()+err.Error(), secret) {
		t.Error("the password is shown")
	}
}

func TestAMissingGrantWaitsAndNamesTheGrant(t *testing.T) {
	grant := func(resource kmsg.ACLResourceType, name string, operation kmsg.ACLOperation) kfake.ACL {
		return kfake.ACL{
			Resource: resource, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: operation, Allow: true,
		}
	}
	describe := grant(kmsg.ACLResourceTypeTopic, "*", kmsg.ACLOperationDescribe)
	idempotent := grant(kmsg.ACLResourceTypeCluster, "kafka-cluster", kmsg.ACLOperationIdempotentWrite)
	tests := []struct {
		name  string
		topic string
		acls  []kfake.ACL
		fix   string
	}{
		{"to write", "products", []kfake.ACL{describe, idempotent}, "--add --allow-principal 'User:cdc' --topic products --operation"},
		{"to create", "new", []kfake.ACL{describe, idempotent}, "--add --allow-principal 'User:cdc' --topic new --operation"},
		{"to be idempotent", "products", []kfake.ACL{describe}, "--add --allow-principal 'User:cdc' --cluster --operation IdempotentWrite"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, cfg := fake(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.SeedTopics(1, "products"),
				kfake.Superuser("PLAIN", "admin", "admin"), kfake.User("PLAIN", "cdc", secret, test.acls...))
			_, returned := publishing(t, t.Context(), login(cfg, secret), test.topic)
			err := next(t, returned, "Publish")
			var fault *kafkasync.Fault
			if !errors.As(err, &fault) || fault.Class != kafkasync.Wait {
				t.Fatalf("got %v, want a fault of class wait", err)
			}
			if !strings.Contains(fault.Fix, test.fix) {
				t.Errorf("got fix %q, want %q in it", fault.Fix, test.fix)
			}
		})
	}
}

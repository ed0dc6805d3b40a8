package consumer_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
)

func TestBadSettingsSayWhatWouldBeRight(t *testing.T) {
	tests := []struct {
		name string
		cfg  consumer.Config
		want []string
	}{
		{"nothing", consumer.Config{}, []string{"Name is empty", "Topics is []"}},
		{"no brokers", consumer.Config{Name: "a", Topics: []string{"b"}}, []string{`addresses such as "kafka1:9092"`}},
		{"a pattern", consumer.Config{Name: "a", Topics: []string{"^b.*"}}, []string{"is a pattern, want a name"}},
		{"sizes", consumer.Config{Name: "a", Topics: []string{"b"}, BatchSize: -1, Memory: 5}, []string{"BatchSize is -1", "Memory is 5 bytes, want at least 1048576"}},
		{"times", consumer.Config{Name: "a", Topics: []string{"b"}, RetryMin: 2, RetryMax: 1, Drain: -1}, []string{"RetryMin is 2ns and RetryMax 1ns", "Drain is -1ns"}},
		{
			"properties that are ours",
			consumer.Config{Name: "a", Topics: []string{"b"}, Kafka: map[string]string{
				"group.id": "x", "enable.auto.commit": "true", "client.id": "fine",
			}},
			[]string{"Kafka sets group.id, want it in Config.Name", "Kafka sets enable.auto.commit, which carries what this package promises"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := consumer.New(tt.cfg)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to say %q", err, want)
				}
			}
		})
	}
}

func TestAPropertyThatLibrdkafkaDoesNotKnowEndsRun(t *testing.T) {
	c, err := consumer.New(consumer.Config{
		Brokers: []string{"127.0.0.1:1"}, Topics: []string{"b"}, Name: "a", Kafka: map[string]string{"no.such.thing": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context(), &recorder{}); kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), "no.such.thing") {
		t.Errorf("got %v, want an error that names the property", err)
	}
}

// What an application gets that imports the library.
func TestTheLibraryBringsNoRaftAndNoDatabaseDriver(t *testing.T) {
	// Without consumer/metrics, which is for those that use Prometheus anyway.
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".", "./consumertest").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 50 {
		t.Fatalf("go list found %d packages, want all that the library needs", len(deps))
	}
	for _, d := range deps {
		for _, bad := range []string{
			"hashicorp", "bbolt", "jackc", "go-mysql", "database/sql", "prometheus", "spf13", "franz-go", "goccy",
			"kafkasync/kafkasync/raftstate", "kafkasync/kafkasync/source", "kafkasync/kafkasync/internal/node", "kafkasync/kafkasync/internal/devstack",
		} {
			if strings.Contains(d, bad) {
				t.Errorf("an application that imports consumer compiles %s", d)
			}
		}
	}
}

func TestKafkaMayBeAwayAtTheStart(t *testing.T) {
	cfg := consumer.Config{Brokers: []string{"127.0.0.1:1"}, Topics: []string{"b"}, Name: "a", Kafka: map[string]string{"socket.timeout.ms": "1000"}}
	c := run(t, cfg, &recorder{})
	eventually(t, "it says so", func() bool {
		err := c.Status().Err
		return err != nil && strings.Contains(err.Error(), "Kafka at 127.0.0.1:1 is unreachable")
	})
	began := time.Now()
	_ = c.end(t)
	if d := time.Since(began); d > 30*time.Second {
		t.Errorf("it took %s to end", d)
	}
}

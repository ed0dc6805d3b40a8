package rdkafka_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// mute is a listener whose connections stay open, and say and hear nothing any more, once it is silenced.
type mute struct {
	net.Listener

	silenced chan struct{}
}

type muteConn struct {
	net.Conn

	silenced, closed chan struct{}
	once             sync.Once
}

func (m *mute) Accept() (net.Conn, error) {
	conn, err := m.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &muteConn{Conn: conn, silenced: m.silenced, closed: make(chan struct{})}, nil
}

func (c *muteConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return c.pass(n, err)
}

func (c *muteConn) Write(b []byte) (int, error) {
	if n, err := c.pass(0, nil); err != nil {
		return n, err
	}
	return c.Conn.Write(b)
}

// pass waits for the end of the connection once it is silenced.
func (c *muteConn) pass(n int, err error) (int, error) {
	select {
	case <-c.silenced:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (c *muteConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// in fails the test when what it does does not end, which is what it is about.
func in(t *testing.T, what string, do func()) {
	t.Helper()
	began, done := time.Now(), make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
		t.Logf("%s took %s", what, time.Since(began).Round(time.Millisecond))
	case <-time.After(time.Minute):
		t.Fatalf("%s goes on", what)
	}
}

func TestAMemberEndsWithoutItsBroker(t *testing.T) {
	for _, how := range []string{"gone", "silent"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			silenced := make(chan struct{})
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "products"),
				kfake.ListenFn(func(network, address string) (net.Listener, error) {
					listener, err := new(net.ListenConfig).Listen(t.Context(), network, address)
					return &mute{listener, silenced}, err
				}))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			c, err := rdkafka.NewConsumer(map[string]string{
				"bootstrap.servers": strings.Join(cluster.ListenAddrs(), ","), "group.id": "g", "enable.auto.commit": "false",
				"partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": "6000",
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Subscribe([]string{"products"}); err != nil {
				t.Fatal(err)
			}
			places := await[rdkafka.Assigned](t, c).Places
			for i := range places {
				places[i].Offset = 0
			}
			partitions, err := c.Assign(places)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Commit(places, true); err != nil {
				t.Fatal(err)
			}
			if how == "gone" {
				cluster.Close()
			} else {
				close(silenced)
			}
			in(t, "a commit that waits", func() {
				if err := c.Commit(places, true); err == nil {
					t.Error("got no error from a commit that nobody heard of")
				}
			})
			in(t, "closing", func() {
				for _, p := range partitions {
					p.Close()
				}
				if err := c.Unassign(places); err != nil {
					t.Error(err)
				}
				c.Close()
			})
		})
	}
}

func TestAQuestionForWhatIsCommittedEndsWithItsContext(t *testing.T) {
	c := join(t, "127.0.0.1:1", nil) // where nobody is
	ctx, cancel := context.WithCancel(t.Context())
	in(t, "the question", func() {
		time.AfterFunc(50*time.Millisecond, cancel)
		if _, err := c.Committed(ctx, []rdkafka.Place{{Topic: "products"}}, time.Minute); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that it was cancelled", err)
		}
	})
}

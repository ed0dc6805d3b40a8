package kafka_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/sink/kafka"
)

// door is a listener that can be shut: then who is inside is thrown out, and who knocks is counted.
type door struct {
	net.Listener

	shut   atomic.Bool
	knocks atomic.Int64

	mu     sync.Mutex
	inside []net.Conn
}

func (d *door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if !d.shut.Load() {
			d.mu.Lock()
			d.inside = append(d.inside, conn)
			d.mu.Unlock()
			return conn, nil
		}
		d.knocks.Add(1)
		_ = conn.Close() // nothing was said
	}
}

func (d *door) close() {
	d.shut.Store(true)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, conn := range d.inside {
		_ = conn.Close() // as a broker that dies
	}
	d.inside = nil
}

func TestWhoAsksForATopicDoesNotStormABrokerThatIsAwayAndGoesOnWhenItIsBack(t *testing.T) {
	var broker *door
	_, cfg := fake(t, kfake.SeedTopics(3, "products", "orders"), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		listener, err := new(net.ListenConfig).Listen(t.Context(), network, address)
		broker = &door{Listener: listener}
		return broker, err
	}))
	heard, done := make(chan error, 100), make(chan error, 1)
	s := open(t, cfg, kafka.Options{Notify: func(err error) { heard <- err }})
	if _, err := s.Locate(t.Context(), "products", time.Minute); err != nil {
		t.Fatal(err)
	}
	broker.close()
	go func() {
		_, err := s.Locate(t.Context(), "orders", time.Minute)
		done <- err
	}()
	if told := next(t, heard, "a word about the outage"); kafkasync.ClassOf(told) != kafkasync.Wait {
		t.Errorf("got told %v, want a fault of class wait", told)
	}
	// The first question takes a second, and is the only one that librdkafka does not pause for.
	first := broker.knocks.Load()
	for range 2 {
		if told := next(t, heard, "a word about the outage"); told == nil {
			t.Error("got told that Kafka is back, which is not so")
		}
	}
	if more := broker.knocks.Load() - first; more > 100 {
		t.Errorf("got %d connections while Kafka was told to be away twice, want one or two a second", more)
	}
	broker.shut.Store(false)
	back := time.Now()
	if err := next(t, done, "Locate"); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	t.Logf("it went on %s after the return; %d connections in the first second", time.Since(back).Round(time.Millisecond), first)
	last := error(nil)
	for len(heard) > 0 {
		last = <-heard
	}
	if last != nil {
		t.Errorf("got told %v in the end, want that it goes on", last)
	}
}

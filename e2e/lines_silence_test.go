package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A network that loses or doubles anything would break more than it is to break.
func TestWhatASilentLineHoldsBackArrivesOnceAndInOrder(t *testing.T) {
	l := newLines(t)
	server, address, unharmed := listen(t, "127.0.0.1:0"), freeAddress(t), freeAddress(t)
	l.front(t, front{address: address, server: server.Addr().String(), to: "b", from: func(*net.TCPConn) string { return "a" }})
	l.front(t, front{address: unharmed, server: server.Addr().String(), to: toKafka, from: func(*net.TCPConn) string { return "a" }})
	client, served := connection(t, address, server)
	stop := make(chan struct{})
	forth, back := endless(t, client, served, stop), endless(t, served, client, stop)

	for range 5 {
		for _, flow := range []*flow{forth, back} {
			flow.moves(t, flow.got.Load()+1<<20)
		}
		l.isolate("a")
		l.rests(t, forth, back)
		before := forth.got.Load() + back.got.Load()
		waiting, err := dial(t, address) // what is new is as silent
		if err != nil {
			t.Fatal(err)
		}
		if _, err := waiting.Write([]byte("late")); err != nil {
			t.Fatal(err)
		}
		other, _ := connection(t, unharmed, server) // while others get through
		other.Close()
		if after := forth.got.Load() + back.got.Load(); after != before {
			t.Errorf("%d bytes came through while the line was silent", after-before)
		}
		l.heal()
		late, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		waiting.Close()
		if all, err := io.ReadAll(late); string(all) != "late" || err != nil {
			t.Errorf("got %q (%v), want what was said in the silence", all, err)
		}
		late.Close()
	}
	close(stop)
	forth.whole(t)
	back.whole(t)
}

// Who talks to a front hears of its server's end, in whichever way that was.
func TestAFrontIsAsAliveAsItsServer(t *testing.T) {
	l := newLines(t)
	behind, address := freeAddress(t), freeAddress(t)
	l.front(t, front{address: address, server: behind, to: "b", from: func(*net.TCPConn) string { return "a" }})
	refused := func() string {
		conn, err := dial(t, address)
		if err == nil {
			conn.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return "got " + errorText(err) + ", want the connection to be refused"
		}
		return ""
	}
	if problem := refused(); problem != "" {
		t.Error(problem)
	}
	for range 3 {
		server := listen(t, behind)
		client, served := connection(t, address, server)
		if _, err := client.Write([]byte("question")); err != nil {
			t.Fatal(err)
		}
		if err := client.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(served); string(got) != "question" || err != nil {
			t.Errorf("got %q (%v), want the question and its end", got, err)
		}
		if _, err := served.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		served.Close()
		if got, err := io.ReadAll(client); string(got) != "answer" || err != nil {
			t.Errorf("got %q (%v), want the answer after the end of the question", got, err)
		}
		client, served = connection(t, address, server)
		breakOff(served.(*net.TCPConn))
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want the connection to be reset", err)
		}
		server.Close()
		eventually(t, time.Minute, refused)
	}
}

func errorText(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	var config net.ListenConfig
	server, err := config.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() }) // which the test may have done
	return server
}

func dial(t *testing.T, address string) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(t.Context(), "tcp", address)
}

// connection connects, through a front, as soon as that is open.
func connection(t *testing.T, address string, server net.Listener) (client, served net.Conn) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		var err error
		if client, err = dial(t, address); err != nil {
			return err.Error()
		}
		return ""
	})
	t.Cleanup(func() { _ = client.Close() }) // which the test may have done
	for {
		var err error
		if served, err = server.Accept(); err != nil {
			t.Fatal(err)
		}
		// The front has looked whether the server is there.
		if err := served.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := served.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
			served.Close()
			continue
		}
		if err := served.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		return client, served
	}
}

// flow is a stream of random bytes.
type flow struct {
	got  atomic.Int64
	sent chan int64
	seen chan error
}

// endless sends until it is stopped, and compares what arrives.
func endless(t *testing.T, from, to net.Conn, stop chan struct{}) *flow {
	t.Helper()
	f := &flow{sent: make(chan int64, 1), seen: make(chan error, 1)}
	go func() {
		source, some, sent := rand.NewChaCha8([32]byte{}), make([]byte, 10_007), int64(0)
		for {
			select {
			case <-stop:
				_ = from.(*net.TCPConn).CloseWrite() // the other end sees it
				f.sent <- sent
				return
			default:
			}
			_, _ = source.Read(some) // never fails
			n, err := from.Write(some)
			if sent += int64(n); err != nil {
				f.sent <- sent
				return
			}
		}
	}()
	go func() {
		source, some := rand.NewChaCha8([32]byte{}), make([]byte, 8192)
		for {
			n, err := to.Read(some)
			want := make([]byte, n)
			_, _ = source.Read(want) // never fails
			if !bytes.Equal(some[:n], want) {
				err = errors.New("other bytes arrive than were sent")
			}
			f.got.Add(int64(n))
			if err != nil {
				f.seen <- err
				return
			}
		}
	}()
	return f
}

func (f *flow) moves(t *testing.T, to int64) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		if f.got.Load() < to {
			return "nothing arrives any more"
		}
		return ""
	})
}

// rests waits until the only connection that there is carries nothing any more, and what it had carried has arrived.
func (l *lines) rests(t *testing.T, forth, back *flow) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.held != 2 {
			return fmt.Sprintf("%d directions of it are held back, want both", l.held)
		}
		for one := range l.open {
			if one.to != toKafka && (one.forth.Load() != forth.got.Load() || one.back.Load() != back.got.Load()) {
				return fmt.Sprintf("%d bytes have arrived there and %d here, want %d and %d", forth.got.Load(), back.got.Load(), one.forth.Load(), one.back.Load())
			}
		}
		return ""
	})
}

// whole fails unless all that was sent has arrived.
func (f *flow) whole(t *testing.T) {
	t.Helper()
	if err := <-f.seen; !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if sent, got := <-f.sent, f.got.Load(); sent != got || got == 0 {
		t.Errorf("got %d bytes, want the %d that were sent", got, sent)
	}
}

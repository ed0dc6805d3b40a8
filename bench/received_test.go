package main

import (
	"context"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func TestReceivedIsWhatTheKernelCountsForOurProcess(t *testing.T) {
	r := &received{pid: 42, bytes: map[string]int64{}}
	const text = `ESTAB 0 0 127.0.0.1:42164 127.0.0.1:9092 users:(("kafkasync",pid=42,fd=7)) timer:(keepalive,1min,0) ino:11 sk:1 <-> ts bytes_sent:9 bytes_received:100 rcv_space:1
ESTAB 0 0 127.0.0.1:42165 127.0.0.1:9092 users:(("kafkasync",pid=421,fd=7)) ino:12 sk:2 <-> ts bytes_received:1000
SYN-SENT 0 1 127.0.0.1:42166 127.0.0.1:9092 users:(("kafkasync",pid=42,fd=8)) ino:13 sk:3 <-> ts
`
	if err := r.read(text); err != nil || r.bytes["11"] != 100 || r.bytes["13"] != 0 || len(r.bytes) != 2 {
		t.Errorf("got %v, %v, want 100 bytes of socket 11, and none of 13", r.bytes, err)
	}
	if err := r.read("ESTAB users:((\"kafkasync\",pid=42,fd=7)) bytes_received:100\n"); err == nil {
		t.Error("got no error for a line without an inode")
	}
}

func TestReceivedGrowsWithWhatArrives(t *testing.T) {
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const size = 123_456
	accepted := make(chan net.Conn, 1)
	go func() {
		defer close(accepted)
		conn, err := l.Accept()
		if err == nil {
			_, _ = conn.Write(make([]byte, size))
			accepted <- conn // held: were it collected, its end would count as another byte
		}
	}()
	defer func() {
		for conn := range accepted {
			conn.Close()
		}
	}()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := &received{pid: os.Getpid(), broker: l.Addr().String(), bytes: map[string]int64{}}
	if got, err := r.now(ctx); got != size || err != nil {
		t.Errorf("got %d, %v, want %d", got, err, size)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// received counts what a process gets from Kafka: the bytes that arrived on its
// TCP connections to the broker, as the kernel counts them for each
// (tcpi_bytes_received, which ss of iproute2 prints). Records come in the batches
// in which they lie in the log, so their bytes can be compared with the size of
// its segments.
//
// It is too much rather than too little: answers about groups and topics,
// and acknowledgements of what is sent, are in it as well. Only of a connection
// that ends between two looks the last second may be missing; clients keep theirs.
type received struct {
	pid    int
	broker string
	bytes  map[string]int64 // by the inode of the socket
	looked time.Time
}

func (b *bench) newReceived(pid int) *received {
	return &received{pid: pid, broker: b.kafka.Brokers(), bytes: map[string]int64{}}
}

// now looks and returns the sum so far.
func (r *received) now(ctx context.Context) (int64, error) {
	out, err := exec.CommandContext(ctx, "ss", "--tcp", "--numeric", "--info", "--extended", "--processes", "--oneline", "--no-header",
		"dst", r.broker).Output()
	if errors.Is(err, exec.ErrNotFound) {
		return 0, errors.New("counting what is received from Kafka: this machine has no ss: install iproute2, or leave this part out with -delay 0")
	}
	if err != nil {
		return 0, fmt.Errorf("asking ss for the connections to Kafka: %w", err)
	}
	if err := r.read(string(out)); err != nil {
		return 0, fmt.Errorf("reading what ss says of the connections to Kafka: %w", err)
	}
	r.looked = time.Now()
	var sum int64
	for _, n := range r.bytes {
		sum += n
	}
	return sum, nil
}

// sometimes looks if it has not done so for a second, so that connections that end are not forgotten.
func (r *received) sometimes(ctx context.Context) error {
	if time.Since(r.looked) < time.Second {
		return nil
	}
	_, err := r.now(ctx)
	return err
}

// read takes the lines of our process: `... users:(("kafkasync",pid=42,fd=7)) ino:4711 ... bytes_received:815 ...`.
func (r *received) read(text string) error {
	ours := fmt.Sprintf("pid=%d,", r.pid)
	for line := range strings.Lines(text) {
		if !strings.Contains(line, ours) {
			continue
		}
		var inode string
		var n int64 // stays 0 where nothing has come yet: then ss says nothing
		for field := range strings.FieldsSeq(line) {
			if value, ok := strings.CutPrefix(field, "ino:"); ok {
				inode = value
			}
			if value, ok := strings.CutPrefix(field, "bytes_received:"); ok {
				var err error
				if n, err = strconv.ParseInt(value, 10, 64); err != nil {
					return err
				}
			}
		}
		if inode == "" {
			return fmt.Errorf("there is no inode in %q", line)
		}
		r.bytes[inode] = n
	}
	return nil
}

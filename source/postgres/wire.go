package postgres

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5/pgproto3"
)

// wireSize is how much one read may bring. Reading in large chunks matters as
// much as decoding: one system call then returns thousands of rows.
const wireSize = 1 << 20

// maxFrame is beyond what Postgres itself can send (1 GB).
const maxFrame = 1 << 30

// wire reads whole protocol messages from a connection in large reads, and owns
// all buffering of it. While pgx talks to the server (start-up, queries), it
// reads through Read, which never goes past the end of a message; so nothing is left behind in
// pgx when the stream takes over with next and fill.
type wire struct {
	r        io.Reader
	buf      []byte
	from, to int // buf[from:to] is not read yet
	left     int // of the message that Read is handing out
}

// frontend makes the wire the reader of a pgx connection. Each address that is tried builds one.
func (w *wire) frontend(r io.Reader, to io.Writer) *pgproto3.Frontend {
	*w = wire{r: r, buf: make([]byte, wireSize)}
	return pgproto3.NewFrontend(w, to)
}

// Read hands out at most the rest of one message.
func (w *wire) Read(p []byte) (int, error) {
	for w.left == 0 {
		if w.to-w.from >= 5 {
			size, err := w.frame()
			if err != nil {
				return 0, err
			}
			w.left = size
			break
		}
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
	if w.from == w.to {
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.buf[w.from:min(w.to, w.from+w.left)])
	w.from += n
	w.left -= n
	return n, nil
}

// next returns the next message if all of it has arrived. body is valid until fill.
func (w *wire) next() (kind byte, body []byte, ok bool, err error) {
	if w.to-w.from < 5 {
		return 0, nil, false, nil
	}
	size, err := w.frame()
	if err != nil || w.to-w.from < size {
		return 0, nil, false, err
	}
	kind, body = w.buf[w.from], w.buf[w.from+5:w.from+size]
	w.from += size
	return kind, body, true, nil
}

// frame returns the size of the message at from, with its type byte.
func (w *wire) frame() (int, error) {
	size := int(binary.BigEndian.Uint32(w.buf[w.from+1:])) + 1
	if size < 5 || size > maxFrame {
		return 0, fmt.Errorf("reading from the server: a message of %d bytes makes no sense", size)
	}
	return size, nil
}

// fill reads once, after making room for the message that has begun.
func (w *wire) fill() error {
	need := 0
	if w.to-w.from >= 5 && w.left == 0 {
		size, err := w.frame()
		if err != nil {
			return err
		}
		need = size
	}
	switch {
	case need > len(w.buf): // one row larger than the buffer
		grown := make([]byte, need)
		w.to = copy(grown, w.buf[w.from:w.to])
		w.from, w.buf = 0, grown
	case len(w.buf) > wireSize && need <= wireSize && w.to-w.from <= wireSize:
		small := make([]byte, wireSize)
		w.to = copy(small, w.buf[w.from:w.to])
		w.from, w.buf = 0, small
	case w.from > 0:
		w.to = copy(w.buf, w.buf[w.from:w.to])
		w.from = 0
	}
	n, err := w.r.Read(w.buf[w.to:])
	w.to += n
	if n > 0 {
		return nil // an error comes again with the next read
	}
	return err
}

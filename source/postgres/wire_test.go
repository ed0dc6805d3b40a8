package postgres

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// frames is three messages, the second larger than the buffer.
func frames() (stream []byte, bodies [][]byte) {
	bodies = [][]byte{[]byte("one"), bytes.Repeat([]byte("2"), wireSize+100), []byte("three")}
	for _, body := range bodies {
		stream = append(stream, message('d', uint32(len(body)+4), body)...)
	}
	return stream, bodies
}

func TestMessagesArriveWholeHoweverTheyAreCut(t *testing.T) {
	stream, bodies := frames()
	for name, r := range map[string]io.Reader{
		"all at once":  bytes.NewReader(stream),
		"byte by byte": iotest.OneByteReader(bytes.NewReader(stream)),
		"in halves":    iotest.HalfReader(bytes.NewReader(stream)),
	} {
		t.Run(name, func(t *testing.T) {
			w := new(wire)
			w.frontend(r, io.Discard)
			for _, want := range bodies {
				if got := nextBody(t, w); !bytes.Equal(got, want) {
					t.Fatalf("got %d bytes, want %d", len(got), len(want))
				}
			}
			if err := w.fill(); !errors.Is(err, io.EOF) {
				t.Errorf("got %v after the last message, want EOF", err)
			}
			if len(w.buf) != wireSize {
				t.Errorf("the buffer stays at %d bytes after a large row, want %d", len(w.buf), wireSize)
			}
		})
	}
}

func TestPgxNeverReadsPastItsMessage(t *testing.T) {
	stream, bodies := frames()
	w := new(wire)
	w.frontend(bytes.NewReader(stream), io.Discard)
	first := make([]byte, 4096)
	n, err := io.ReadAtLeast(w, first, 8)
	if err != nil || n != 8 {
		t.Fatalf("got %d bytes %v, want the 8 of the first message", n, err)
	}
	if got := nextBody(t, w); !bytes.Equal(got, bodies[1]) {
		t.Errorf("got %d bytes behind what pgx has read, want %d", len(got), len(bodies[1]))
	}
}

func TestAMessageOfAnImpossibleSizeIsAnError(t *testing.T) {
	w := new(wire)
	w.frontend(bytes.NewReader(message('d', uint32(3), "xx")), io.Discard)
	if err := w.fill(); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := w.next(); err == nil {
		t.Error("got no error")
	}
}

func nextBody(t *testing.T, w *wire) []byte {
	t.Helper()
	for {
		_, body, ok, err := w.next()
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return body
		}
		if err := w.fill(); err != nil {
			t.Fatal(err)
		}
	}
}

package mysql

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/klauspost/compress/zstd"

	"github.com/kafkasync/kafkasync/source"
)

const (
	// maxWindow bounds what decompressing looks back to. MySQL's levels stay below it.
	maxWindow = 64 << 20
	// maxInner is what MySQL allows an event to be.
	maxInner = 1 << 30
)

// payload is a transaction that the server has compressed. It is read as a stream, so that it takes
// the memory of a piece of what came over the wire, a window, and one event.
type payload struct {
	wire *spool // what came over the wire
	zstd *zstd.Decoder
	next *event // read, and not taken yet
	buf  []byte // the next event's: garbage of many would take as much again as what came over the wire
}

// openPayload reads the fields before what is compressed: a type, a length and a value each.
func openPayload(e *event) (*payload, error) {
	const (
		endField, sizeField, kindField = 0, 1, 2
		zstdKind                       = 0
	)
	rest, kind := e.body(), uint64(zstdKind)
	for {
		field, r, err := packedInt(rest)
		if err != nil {
			return nil, err
		}
		if rest = r; field == endField {
			break
		}
		length, r, err := packedInt(rest)
		if err != nil || uint64(len(r)) < length {
			return nil, errors.New("decoding the log: a compressed transaction is cut short")
		}
		if field == kindField {
			if kind, _, err = packedInt(r[:length]); err != nil {
				return nil, err
			}
		}
		rest = r[length:]
	}
	if kind != zstdKind {
		return nil, fmt.Errorf("decoding the log: a transaction is compressed in the unknown way %d, want zstd", kind)
	}
	decoder, err := zstd.NewReader(io.MultiReader(bytes.NewReader(rest), e.more), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, fmt.Errorf("decompressing a transaction: %w", err)
	}
	return &payload{wire: e.more, zstd: decoder}, nil
}

// packedInt reads a number of MySQL's packed form.
func packedInt(p []byte) (n uint64, rest []byte, err error) {
	short := errors.New("decoding the log: a compressed transaction is cut short")
	if len(p) == 0 {
		return 0, nil, short
	}
	size := map[byte]int{0xfc: 2, 0xfd: 3, 0xfe: 8}[p[0]]
	if size == 0 {
		return uint64(p[0]), p[1:], nil
	}
	if len(p) < 1+size {
		return 0, nil, short
	}
	var wide [8]byte
	copy(wide[:], p[1:1+size])
	return binary.LittleEndian.Uint64(wide[:]), p[1+size:], nil
}

// peek returns the next event inside, nil at the end. It lives until the one after it.
func (p *payload) peek() (*event, error) {
	if p.next != nil {
		return p.next, nil
	}
	p.buf = slices.Grow(p.buf[:0], replication.EventHeaderSize)
	raw := p.buf[:replication.EventHeaderSize]
	if _, err := io.ReadFull(p.zstd, raw); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil //nolint:nilnil // the end, which is no error
		}
		return nil, fmt.Errorf("decompressing a transaction: %w", err)
	}
	size := binary.LittleEndian.Uint32(raw[9:])
	if size < replication.EventHeaderSize || size > maxInner {
		return nil, fmt.Errorf("decompressing a transaction: an event of %d bytes", size)
	}
	p.buf = slices.Grow(raw, int(size)-len(raw))
	raw = p.buf[:size]
	if _, err := io.ReadFull(p.zstd, raw[replication.EventHeaderSize:]); err != nil {
		return nil, fmt.Errorf("decompressing a transaction: %w", err)
	}
	e, err := newEvent(raw)
	if err != nil {
		return nil, err
	}
	e.header.LogPos = 0 // of a place before the server knew where it would be
	p.next = &e
	return p.next, nil
}

// compressed reads a whole transaction. If the batch is full, it goes on with the next one where it was.
func (j *journal) compressed(ctx context.Context, b *source.Batch, e *event) error {
	if !j.tx.open {
		return fmt.Errorf("decoding the log: %s outside of a transaction", e.header.EventType)
	}
	if j.payload == nil {
		var err error
		if j.payload, err = openPayload(e); err != nil {
			return err
		}
		j.tx.payload = true
		j.follow(e) // its end is theirs
	}
	for {
		inner, err := j.payload.peek()
		if err != nil {
			return err
		}
		if inner == nil {
			j.letGo()
			if j.tx.open {
				return errors.New("decoding the log: a compressed transaction without an end")
			}
			return nil
		}
		if err := j.event(ctx, b, inner); err != nil {
			return err
		}
		j.payload.next = nil
	}
}

// letGo frees what a compressed transaction holds.
func (j *journal) letGo() {
	if j.payload == nil {
		return
	}
	j.payload.zstd.Close()
	j.payload.wire.free()
	j.payload = nil
}

package mysql

import (
	"errors"
	"fmt"

	"github.com/go-mysql-org/go-mysql/replication"
)

// event is one event of the log, as the server sent it.
type event struct {
	header replication.EventHeader
	raw    []byte // with the header, without a checksum
	more   *spool // of a compressed transaction: what follows raw
}

// body is what stands behind the header.
func (e *event) body() []byte { return e.raw[replication.EventHeaderSize:] }

// size is how many bytes the event holds.
func (e *event) size() int { return len(e.raw) + e.more.size() }

// announced is the size that the event came with, which its checksum, or what was let go of, may be a part of.
func (e *event) announced() int { return int(e.header.EventSize) }

// newEvent takes an event without a checksum from its bytes, which it keeps.
func newEvent(raw []byte) (e event, err error) {
	e.raw = raw
	if err := e.header.Decode(raw); err != nil {
		return e, fmt.Errorf("reading the log: %w", err)
	}
	if int(e.header.EventSize) != len(raw) {
		return e, fmt.Errorf("reading the log: an event of %d bytes says that it has %d", len(raw), e.header.EventSize)
	}
	return e, nil
}

// artificial reports whether the server made the event up for us: it is in no file.
func (e *event) artificial() bool { return e.header.Flags&replication.LOG_EVENT_ARTIFICIAL_F != 0 }

// decodeInto has the library decode a body.
func decodeInto(into replication.Event, e *event) error {
	if err := guarded(func() error { return into.Decode(e.body()) }); err != nil {
		return fmt.Errorf("decoding the log: %s of %d bytes: %w", e.header.EventType, len(e.raw), err)
	}
	return nil
}

// guarded is for what the library decodes. It looks at lengths only as far as it needs them, so
// what is cut short ends in a panic, which is made an error here.
func guarded(decode func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("it is cut short")
		}
	}()
	return decode()
}

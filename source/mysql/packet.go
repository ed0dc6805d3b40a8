package mysql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

const (
	// maxEvent is what MySQL allows an event to be, and what comes around it.
	maxEvent  = 1<<30 + 1<<20
	maxAnswer = 64 << 10 // of the server, in place of an event
)

// packet takes what the server sends, a packet at a time, into memory that is as large as it has to be: the event at its
// beginning says its size.
type packet struct {
	room   func(size int) error           // waits until an event of that size may come
	memory func(size int) []byte          // for so many bytes of it, or more
	aside  func(size int) (*spool, error) // for so many bytes more of it, where it is larger than a piece
	status []byte                         // the first byte, and all of what is no event
	head   []byte                         // the event's header while it comes
	event  event
	left   int   // bytes of the event to come
	err    error // what Write has failed with: the library makes text of it
}

// Write takes the next bytes.
func (p *packet) Write(b []byte) (n int, err error) {
	if n, err = p.write(b); err != nil {
		p.err = err
	}
	return n, err
}

func (p *packet) write(b []byte) (int, error) {
	n := len(b)
	if len(p.status) == 0 && n > 0 {
		p.status, b = append(p.status, b[0]), b[1:]
	}
	if len(b) == 0 {
		return n, nil
	}
	if p.status[0] != mysql.OK_HEADER {
		if len(p.status)+len(b) > maxAnswer {
			return 0, fmt.Errorf("the server's answer is longer than %d bytes", maxAnswer)
		}
		p.status = append(p.status, b...)
		return n, nil
	}
	if b = p.begin(b); p.err != nil {
		return 0, p.err
	}
	for len(b) > 0 {
		if p.left == 0 {
			return 0, errors.New("a packet is longer than its event")
		}
		took, err := p.fill(b)
		if err != nil {
			return 0, err
		}
		b = b[took:]
	}
	return n, nil
}

// begin takes the header, and makes room for what it announces.
func (p *packet) begin(b []byte) []byte {
	if p.event.raw != nil {
		return b
	}
	took := min(replication.EventHeaderSize-len(p.head), len(b))
	p.head, b = append(p.head, b[:took]...), b[took:]
	if len(p.head) < replication.EventHeaderSize {
		return b
	}
	if p.err = p.event.header.Decode(p.head); p.err != nil {
		return nil
	}
	size := int(p.event.header.EventSize)
	if size > maxEvent {
		p.err = fmt.Errorf("the server sends an event of %d bytes, want at most %d", size, maxEvent)
		return nil
	}
	if p.err = p.room(size); p.err != nil {
		return nil
	}
	first := size
	if p.event.header.EventType == replication.TRANSACTION_PAYLOAD_EVENT {
		first = min(size, piece)
	}
	p.event.raw = append(p.memory(first), p.head...)
	p.left = size - len(p.head)
	return b
}

// fill takes what fits the piece that is open.
func (p *packet) fill(b []byte) (took int, err error) {
	b = b[:min(len(b), p.left)]
	if raw := &p.event.raw; len(*raw) < cap(*raw) {
		took = min(cap(*raw)-len(*raw), len(b))
		*raw = append(*raw, b[:took]...)
	} else {
		if p.event.more == nil {
			if p.event.more, err = p.aside(p.left); err != nil {
				return 0, err
			}
		}
		took, err = p.event.more.Write(b)
	}
	p.left -= took
	return took, err
}

// drop lets go of an event that did not come to its end.
func (p *packet) drop() { p.event.more.free() }

// take returns the event, without the checksum that it may have, and is ready for the next packet.
func (p *packet) take(checksum bool) (event, error) {
	e := p.event
	if p.left > 0 || e.raw == nil {
		return event{}, errors.New("an event is cut short")
	}
	p.status, p.head, p.event = p.status[:0], p.head[:0], event{}
	if !checksum || e.header.EventType == replication.FORMAT_DESCRIPTION_EVENT {
		return e, nil
	}
	if err := e.verify(); err != nil {
		e.more.free()
		return event{}, err
	}
	return e, nil
}

// verify compares the checksum, which is the last four bytes, and cuts it off.
func (e *event) verify() error {
	left := e.size() - replication.BinlogChecksumLength
	if left < replication.EventHeaderSize {
		return errors.New("an event is shorter than its header and its checksum")
	}
	here := min(left, len(e.raw))
	sum, rest, err := e.more.sum(crc32.ChecksumIEEE(e.raw[:here]), left-here)
	if err != nil {
		return err
	}
	said := append(e.raw[here:len(e.raw):len(e.raw)], rest...) // it may begin in the one and end in the other
	if sum != binary.LittleEndian.Uint32(said) {
		return fmt.Errorf("the checksum of %s of %d bytes does not fit: it was damaged on its way or in its file", e.header.EventType, e.size())
	}
	e.raw = e.raw[:len(e.raw)-e.more.cut(len(said))]
	return nil
}

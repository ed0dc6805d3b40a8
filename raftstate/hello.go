package raftstate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Between nodes there is one kind of connection. Its first byte says what it is
// for, the second the version of what follows. Everything after that is frames:
// four bytes with a length, big-endian, and as many bytes. On a connection for
// Raft, the caller sends one frame, the hello, and the rest is the library's.
const (
	forRaft     = 'R'
	forPeer     = 'P'
	wireVersion = 1
)

const (
	maxHello = 1 << 10
	maxFrame = 16 << 20 // a status of everything is a small part of it
)

// hello says for whom a connection of the Raft library is. It may reach another:
// a node that lost its folder, or one that took over the address.
type hello struct {
	cluster     string
	incarnation string // of who is called
	from        string // the member that calls
}

func (h hello) bytes() []byte {
	return putString(putString(putString(nil, h.cluster), h.incarnation), h.from)
}

func decodeHello(data []byte) (hello, error) {
	r := &reader{rest: data}
	h := hello{cluster: r.string(), incarnation: r.string(), from: r.string()}
	return h, r.end()
}

// putFrame appends a frame.
func putFrame(b, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(payload))), payload...)
}

// readFrame reads no byte more than the frame.
func readFrame(from io.Reader, limit uint32) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return nil, fmt.Errorf("reading a frame: %w", err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > limit {
		return nil, fmt.Errorf("reading a frame of %d bytes: at most %d are allowed", n, limit)
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(from, payload); err != nil {
		return nil, fmt.Errorf("reading a frame: %w", err)
	}
	return payload, nil
}

// readPurpose reads what a connection is for.
func readPurpose(from io.Reader) (byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return 0, fmt.Errorf("reading what a connection is for: %w", err)
	}
	if head[1] != wireVersion || head[0] != forRaft && head[0] != forPeer {
		return 0, errors.New("the connection is not from a node of this version")
	}
	return head[0], nil
}

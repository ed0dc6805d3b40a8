package raftstate

import (
	"errors"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// stream is the wire as the Raft library sees it.
type stream struct {
	wire   *wire
	from   func() (cluster string, member raft.ServerID)
	closed chan struct{}
}

// Accept returns the next connection that is for this very member.
func (s *stream) Accept() (net.Conn, error) {
	select {
	case conn := <-s.wire.accepted:
		return conn, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Dial connects to a member, and to nobody who only has its address. It tries as
// long as it may: the library waits twice as long after each failure, up to ten
// seconds, before it sends a node anything again. A node that was away for
// a minute, as in a rolling restart, would be left behind for that long.
func (s *stream) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	address, incarnation := placeOf(to)
	if incarnation == awaited {
		return nil, errors.New("the node has been added and has not come yet")
	}
	deadline := time.Now().Add(timeout)
	for {
		conn, err := s.wire.dial(address, time.Until(deadline))
		if err == nil {
			return s.greet(conn, incarnation, deadline)
		}
		if time.Until(deadline) < redialAfter {
			return nil, err
		}
		select {
		case <-time.After(redialAfter):
		case <-s.wire.cutOff:
			return nil, errors.Join(err, net.ErrClosed)
		}
	}
}

func (s *stream) greet(conn net.Conn, incarnation string, deadline time.Time) (net.Conn, error) {
	cluster, member := s.from()
	h := hello{cluster: cluster, incarnation: incarnation, from: string(member)}
	err := conn.SetDeadline(deadline)
	if err == nil {
		_, err = conn.Write(putFrame([]byte{forRaft, wireVersion}, h.bytes()))
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if !s.wire.keep(conn, true) {
		return nil, net.ErrClosed
	}
	return tracked{conn, func() { s.wire.drop(conn) }}, nil
}

// Close ends all that Raft sends and receives. The library calls it once.
func (s *stream) Close() error {
	s.wire.cut()
	close(s.closed)
	return nil
}

// Addr is the address by which the others know this member.
func (s *stream) Addr() net.Addr { return memberAddr(s.wire.self) }

type memberAddr raft.ServerAddress

func (memberAddr) Network() string  { return "tcp" }
func (a memberAddr) String() string { return string(a) }

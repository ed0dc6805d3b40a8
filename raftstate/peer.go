package raftstate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync"
)

// Beside Raft, a node asks another one request per connection: a frame with the
// kind of the request, the cluster that the caller belongs to ("" if none yet),
// the milliseconds that it waits, and what the kind needs; and gets one frame
// with a status byte and what that needs.

// question is the kind of a request. Its number never changes.
type question byte

const (
	askWho      question = 1 + iota // anybody: an answer, see who.go
	askJoin                         // the leader: a member wants in, or has moved
	askName                         // the leader: a command that names pairs
	askAdd                          // the leader: AddMember
	askRemove                       // the leader: RemoveMember
	askTransfer                     // the leader: Transfer
	askLeader                       // the leader: Config.Answer
	askMember                       // anybody: Config.Answer
)

// status is how a request ended.
type status byte

const (
	statusOK        status = iota // and the answer
	statusFailed                  // and a text
	statusNotLeader               // and a text
	statusFault                   // and a kafkasync.Fault
	statusNotMember               // and a text
)

const (
	peerDialTimeout = 2 * time.Second
	// peerTimeout bounds a request whose context has no deadline.
	peerTimeout = 10 * time.Second
	// peerLimit bounds every request: an operator's order may take 25 s on the leader.
	peerLimit = 28 * time.Second
)

// request is what a node asks another.
type request struct {
	question question
	cluster  string
	wait     time.Duration
	body     []byte
}

func (q request) bytes() []byte {
	b := putString([]byte{byte(q.question)}, q.cluster)
	return append(putInt(b, q.wait.Milliseconds()), q.body...)
}

func decodeRequest(data []byte) (request, error) {
	r := &reader{rest: data}
	q := request{question: question(r.byte()), cluster: r.string(), wait: time.Duration(r.int()) * time.Millisecond}
	if r.failed || q.wait <= 0 {
		return request{}, errMalformed
	}
	q.body = r.rest
	return q, nil
}

// call asks the node at an address and returns its answer.
func (n *Node) call(ctx context.Context, address string, kind question, body []byte) (_ []byte, err error) {
	limit := peerLimit
	if _, bounded := ctx.Deadline(); !bounded {
		limit = peerTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dialing, stop := context.WithTimeout(ctx, peerDialTimeout)
	defer stop()
	conn, err := dialNode(dialing, n.cfg, address)
	if err != nil {
		return nil, fmt.Errorf("asking the node at %s: %w", address, err)
	}
	defer func() { _ = conn.Close() }() // the answer is here, or never will be
	unhook := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer unhook()
	deadline, _ := ctx.Deadline()
	q := request{question: kind, cluster: n.clusterOf(), wait: max(time.Until(deadline), time.Millisecond), body: body}
	if _, err := conn.Write(putFrame([]byte{forPeer, wireVersion}, q.bytes())); err != nil {
		return nil, fmt.Errorf("asking the node at %s: %w", address, errors.Join(context.Cause(ctx), err))
	}
	data, err := readFrame(conn, maxFrame)
	if err != nil {
		return nil, fmt.Errorf("asking the node at %s: %w", address, errors.Join(context.Cause(ctx), err))
	}
	answer, err := decodeAnswer(data)
	if err != nil {
		return nil, fmt.Errorf("asking the node at %s: %w", address, err)
	}
	return answer, nil
}

// answer handles the one request of a connection.
func (n *Node) answer(ctx context.Context, conn net.Conn) {
	data, err := readFrame(conn, maxFrame)
	if err != nil {
		n.cfg.Logger.Debug("refusing a request", "err", err)
		return
	}
	q, err := decodeRequest(data)
	if err != nil {
		n.cfg.Logger.Debug("refusing a request", "err", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, min(q.wait, peerLimit))
	defer cancel()
	if err := conn.SetDeadline(time.Now().Add(min(q.wait, peerLimit))); err != nil {
		return
	}
	body, err := n.handle(ctx, q)
	out := encodeAnswer(body, err)
	if len(out) > maxFrame {
		out = encodeAnswer(nil, fmt.Errorf("the answer takes %d bytes: at most %d are allowed", len(out), maxFrame))
	}
	if _, err := conn.Write(putFrame(nil, out)); err != nil {
		n.cfg.Logger.Debug("answering a node", "err", err)
	}
}

func encodeAnswer(body []byte, err error) []byte {
	var fault *kafkasync.Fault
	switch {
	case err == nil:
		return append([]byte{byte(statusOK)}, body...)
	case errors.As(err, &fault):
		cause := ""
		if fault.Err != nil {
			cause = fault.Err.Error()
		}
		b := putString([]byte{byte(statusFault), byte(fault.Class)}, fault.What)
		return putString(putString(putString(b, fault.Risk), fault.Fix), cause)
	case errors.Is(err, ErrLeadershipLost):
		return putString([]byte{byte(statusNotLeader)}, err.Error())
	case errors.Is(err, ErrNotMember):
		return putString([]byte{byte(statusNotMember)}, err.Error())
	default:
		return putString([]byte{byte(statusFailed)}, err.Error())
	}
}

func decodeAnswer(data []byte) ([]byte, error) {
	r := &reader{rest: data}
	switch s := status(r.byte()); s {
	case statusOK:
		if r.failed {
			return nil, errMalformed
		}
		return r.rest, nil
	case statusFault:
		f := &kafkasync.Fault{Class: kafkasync.Class(r.byte()), What: r.string(), Risk: r.string(), Fix: r.string()}
		if cause := r.string(); cause != "" {
			f.Err = errors.New(cause)
		}
		return nil, errors.Join(r.end(), f)
	case statusNotLeader:
		return nil, remote(r, ErrLeadershipLost)
	case statusNotMember:
		return nil, remote(r, ErrNotMember)
	case statusFailed:
		text := r.string()
		return nil, errors.Join(r.end(), errors.New(text))
	default:
		return nil, fmt.Errorf("answer with status %d: %w", s, errMalformed)
	}
}

// remote is an error of the other node that a caller decides on.
func remote(r *reader, of error) error {
	text := strings.TrimPrefix(r.string(), of.Error())
	return errors.Join(r.end(), fmt.Errorf("%w%s", of, text))
}

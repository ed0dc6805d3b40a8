package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
)

const (
	vigilEvery = time.Second
	// A server that lives answers within half of this, on the stream or to the monitor.
	suspicious = 5 * time.Second
	// hopeless is the silence after which a server that does not answer a new connection either is given up.
	hopeless = 10 * time.Second
)

// vigil ends a stream whose server cannot be reached any more although no connection breaks, as when a network
// drops what is sent. A walsender that decodes a huge transaction is as silent, and must not be given up: its
// server answers the monitor, or a new connection.
type vigil struct {
	conn    *pgx.ConnConfig
	server  net.Addr
	node    string
	silence func() time.Duration // on all connections that there are
	leave   func(error)          // ends the stream
	done    chan struct{}
}

// wait returns when run has ended.
func (v *vigil) wait() { <-v.done }

// run keeps watch until ctx ends.
func (v *vigil) run(ctx context.Context) {
	defer close(v.done)
	for pause(ctx, vigilEvery) {
		if v.silence() < suspicious {
			continue
		}
		err := reach(ctx, v.conn)
		if silent := v.silence(); !answered(err) && silent >= hopeless && ctx.Err() == nil {
			v.leave(v.fault(silent, err))
			return
		}
	}
}

// answered reports whether somebody has, be it with a refusal. A standby that answers in place of a primary has not.
func answered(err error) bool {
	var refusal *pgconn.PgError
	return err == nil || errors.As(err, &refusal)
}

func (v *vigil) fault(silent time.Duration, err error) error {
	to := ""
	if v.node != "" {
		to = " node " + v.node
	}
	var known *kafkasync.Fault
	if errors.As(err, &known) {
		err = known.Err // what was tried; what to do is ours to say
	}
	return &kafkasync.Fault{
		Class: kafkasync.Wait, Unreachable: true, Err: err,
		What: fmt.Sprintf("the server at %s does not answer%s: it has been silent for %s, and takes no new connection", v.server, to, silent.Round(time.Second)),
		Fix:  "see what lies between this machine and the server; in a cluster, a node that reaches it takes over",
	}
}

// reach connects and asks the smallest question there is.
func reach(ctx context.Context, to *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := connect(ctx, to)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	return classify(conn.Ping(ctx), "asking the server for a sign of life")
}

// Reach returns nil if a server that can be read takes a new connection and answers before ctx ends. It connects to no other than a run
// would, and several servers share the time.
func (s *Source) Reach(ctx context.Context) error {
	to := s.conn.Copy()
	if until, ok := ctx.Deadline(); ok {
		shareTime(to, time.Until(until))
	}
	err := reach(ctx, to)
	var known *kafkasync.Fault
	if answered(err) || errors.As(err, &known) {
		return err
	}
	return &kafkasync.Fault{Class: kafkasync.Wait, What: "the server does not answer", Unreachable: true, Err: oneLine{err}}
}

package raftstate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// greetingTimeout is how long a caller may take to say what it wants.
	greetingTimeout = 5 * time.Second
	// redialAfter is the pause between two attempts to reach a node.
	redialAfter = 50 * time.Millisecond
	// maxGreeting bounds the connections that have not said yet what they want, and the requests under way.
	maxGreeting = 128
)

// wire is how a node and the others reach each other: one listener, and all
// connections. It carries the Raft library (as its StreamLayer) and the
// questions of peer.go.
type wire struct {
	listener net.Listener
	self     raft.ServerAddress
	dial     func(address string, timeout time.Duration) (net.Conn, error)
	greet    func(hello) error // whether a connection of the Raft library is for this node
	answer   func(net.Conn)    // handles a request
	cfg      Config

	accepted chan net.Conn
	done     chan struct{} // closed when everything is
	cutOff   chan struct{} // closed when Raft is
	group    sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]bool // open ones; true if they carry Raft
	closed   bool
	isCutOff bool
}

// listen opens the wire. Its dialing ends with ctx.
func (n *Node) listen(ctx context.Context, s *store) (*wire, error) {
	var listening net.ListenConfig
	l, err := listening.Listen(ctx, "tcp", n.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", n.cfg.Listen, err)
	}
	address := n.cfg.Address
	if _, port, err := net.SplitHostPort(address); err == nil && port == "0" {
		address = l.Addr().String()
	}
	w := &wire{
		listener: l, self: serverAddress(address, s.incarnation), cfg: n.cfg,
		accepted: make(chan net.Conn), done: make(chan struct{}), cutOff: make(chan struct{}), conns: map[net.Conn]bool{},
	}
	w.dial = func(address string, timeout time.Duration) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		cfg := n.cfg
		if own, _ := placeOf(w.self); address == own {
			// The library asks this node itself to stand for election when it is the only voter. The
			// others may reach it by an address that means nothing here, behind a proxy or NAT.
			cfg.Dial = func(ctx context.Context, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
			}
		}
		return dialNode(ctx, cfg, address)
	}
	w.greet = n.greet
	w.answer = func(c net.Conn) { n.answer(ctx, c) }
	return w, nil
}

// dialNode connects to a node, with TLS if the cluster has it.
func dialNode(ctx context.Context, cfg Config, address string) (net.Conn, error) {
	conn, err := cfg.Dial(ctx, address)
	if err != nil || cfg.TLS == nil {
		return conn, err
	}
	secure, err := cfg.TLS.client(conn, address)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// run accepts connections until the wire is closed.
func (w *wire) run() {
	slots := make(chan struct{}, maxGreeting)
	for {
		conn, err := w.listener.Accept()
		if err != nil {
			select {
			case <-w.done:
				return
			case <-time.After(redialAfter): // out of file descriptors, most likely
				continue
			}
		}
		if !w.keep(conn, false) {
			continue
		}
		slots <- struct{}{}
		w.group.Go(func() {
			defer func() { <-slots }()
			if err := w.receive(conn); err != nil {
				w.cfg.Logger.Debug("refusing a connection", "from", conn.RemoteAddr().String(), "err", err)
				w.drop(conn)
			}
		})
	}
}

// receive finds out what a connection is for, and passes it on.
func (w *wire) receive(raw net.Conn) error {
	conn := raw
	if w.cfg.TLS != nil {
		var err error
		if conn, err = w.cfg.TLS.server(raw); err != nil {
			return err
		}
	}
	if err := conn.SetDeadline(time.Now().Add(greetingTimeout)); err != nil {
		return fmt.Errorf("limiting a greeting: %w", err)
	}
	purpose, err := readPurpose(conn)
	if err != nil {
		return err
	}
	if purpose == forPeer {
		w.answer(conn)
		w.drop(raw)
		return nil
	}
	data, err := readFrame(conn, maxHello)
	if err != nil {
		return err
	}
	h, err := decodeHello(data)
	if err != nil {
		return fmt.Errorf("reading a greeting: %w", err)
	}
	if err := w.greet(h); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("accepting a connection: %w", err)
	}
	if !w.keep(raw, true) {
		return nil
	}
	select {
	case w.accepted <- inbound{tracked{conn, func() { w.drop(raw) }}}:
		return nil
	case <-w.cutOff:
		return errors.New("this node is cut off")
	}
}

// tracked is a connection that the wire forgets when it is closed.
type tracked struct {
	net.Conn

	forget func()
}

func (t tracked) Close() error {
	err := t.Conn.Close()
	t.forget()
	return err
}

// inbound is a connection that may end at any moment: the library takes every end but this one for an error.
type inbound struct{ tracked }

func (c inbound) Read(b []byte) (int, error) {
	n, err := c.tracked.Read(b)
	if err != nil {
		err = io.EOF
	}
	return n, err
}

// keep remembers a connection, so that it is closed with the wire. If that is closed, it is closed at once.
func (w *wire) keep(conn net.Conn, forRaft bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.isCutOff && forRaft {
		delete(w.conns, conn)
		_ = conn.Close() // nothing was sent on it
		return false
	}
	w.conns[conn] = forRaft
	return true
}

func (w *wire) drop(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, conn)
	_ = conn.Close() // whatever it carried has been answered, or never will be
}

// cut ends all that Raft sends and receives. Questions are still answered. No wire has nothing to cut.
func (w *wire) cut() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isCutOff {
		return
	}
	w.isCutOff = true
	close(w.cutOff)
	for conn, raft := range w.conns {
		if raft {
			_ = conn.Close() // to end it is the purpose
		}
	}
}

// close ends everything and waits for it.
func (w *wire) close() error {
	if w == nil {
		return nil
	}
	w.cut()
	w.mu.Lock()
	w.closed = true
	close(w.done)
	for conn := range w.conns {
		_ = conn.Close() // to end it is the purpose
	}
	w.mu.Unlock()
	err := w.listener.Close()
	w.group.Wait()
	if err != nil {
		return fmt.Errorf("closing the listener: %w", err)
	}
	return nil
}

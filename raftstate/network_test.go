package raftstate_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
)

// network is real TCP between the nodes of a test, of which any direction can be cut. A connection that
// is cut is closed, and no other is made.
type network struct {
	mu      sync.Mutex
	nodes   map[string]string // by address
	blocked map[way]bool
	open    map[net.Conn]way
}

// way is from who calls to who is called.
type way struct{ from, to string }

func newNetwork() *network {
	return &network{nodes: map[string]string{}, blocked: map[way]bool{}, open: map[net.Conn]way{}}
}

// join gives a node an address of its own, which no other test and no connection has.
func (n *network) join(id string) (address string) {
	var b [3]byte
	rand.Read(b[:])
	address = fmt.Sprintf("127.%d.%d.%d:7400", 1+b[0]%254, b[1], 1+b[2]%254)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes[address] = id
	return address
}

// dialer is the network as one node sees it.
func (n *network) dialer(from string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		n.mu.Lock()
		w := way{from, n.nodes[address]}
		cut := n.blocked[w]
		n.mu.Unlock()
		if cut {
			return nil, errors.New("the network is cut")
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.blocked[w] { // meanwhile
			return nil, errors.Join(errors.New("the network is cut"), conn.Close())
		}
		n.open[conn] = w
		return conn, nil
	}
}

// block cuts, or heals, calls from one node to another.
func (n *network) block(from, to string, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.blocked[way{from, to}] = cut
	for conn, w := range n.open {
		if cut && w == (way{from, to}) {
			conn.Close()
			delete(n.open, conn)
		}
	}
}

// isolate cuts a node off from all others, or heals it.
func (n *network) isolate(id string, cut bool) {
	n.mu.Lock()
	var others []string
	for _, other := range n.nodes {
		if other != id {
			others = append(others, other)
		}
	}
	n.mu.Unlock()
	for _, other := range others {
		n.block(id, other, cut)
		n.block(other, id, cut)
	}
}

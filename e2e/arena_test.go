package e2e_test

import (
	endian "encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// arena is a cluster under load to which everything may be done: its servers are its own, each node has a disk of its own, and
// what the nodes say to each other and to the servers can be cut off.
type arena struct {
	*trio

	t       testing.TB
	db      database
	load    *crew // of the database
	kafka   *devstack.Kafka
	brokers string
	lines   *lines
	disks   map[string]*disk // by node
	samples *watcher
	seen    *observer
	frozen  map[string]*node
}

// newArena starts Kafka and writes the files, and starts no node.
func newArena(t testing.TB, f flavour, db database) *arena {
	t.Helper()
	if err := devstack.Install(t.Context(), os.Stderr, devstack.ComponentKafka); err != nil {
		t.Fatal(err)
	}
	a := &arena{t: t, db: db, load: db.writers(), lines: newLines(t), disks: map[string]*disk{}, frozen: map[string]*node{}}
	fronts := a.startKafka(t)
	a.trio = newTrio(t, f, fmt.Sprintf("brokers: ['${KAFKA}']\ntopics: {partitions: %d}", partitions), "")
	for i, id := range trioIDs {
		a.disks[id] = newDisk(t, a.sites[id].dir)
		a.connect(t, id, fronts[i])
	}
	for _, id := range trioIDs {
		a.rule(id, 0)
	}
	return a
}

// rule gives a node a version of the file. All that differs from node to node is in its environment.
func (a *arena) rule(id string, version int) {
	a.t.Helper()
	a.rewrite(a.t, id, a.db.pipeline("${DATABASE}", version))
}

// startKafka returns through which addresses the nodes reach it, which it has to know.
func (a *arena) startKafka(t testing.TB) (fronts []string) {
	t.Helper()
	for range trioIDs {
		fronts = append(fronts, freeAddress(t))
	}
	var err error
	a.kafka, err = devstack.StartKafka(t.Context(), devstack.KafkaConfig{
		Java:   []string{"-XX:TieredStopAtLevel=1"},
		Fronts: fronts,
		// A broker that was killed may come back when the controller has given up the one before it.
		Settings: map[string]string{"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, a.kafka.Close()) })
	a.brokers = a.kafka.Brokers()
	return fronts
}

// connect puts a front before everything that a node reaches, and before the node.
func (a *arena) connect(t testing.TB, id, kafka string) {
	t.Helper()
	this := func(*net.TCPConn) string { return id }
	server := freeAddress(t)
	a.lines.front(t, front{address: server, server: a.db.addr(), to: toDatabase, from: this})
	a.lines.front(t, front{address: kafka, server: a.kafka.Behind(kafka), to: toKafka, from: this})
	a.sites[id].env = append(a.sites[id].env, "DATABASE="+server, "KAFKA="+kafka)

	listens, reached := a.raft[id], freeAddress(t)
	a.lines.front(t, front{address: reached, server: listens, to: id, from: func(c *net.TCPConn) string { return a.dialler(t, c) }})
	a.text = strings.Replace(a.text, fmt.Sprintf("raft: %q", listens), fmt.Sprintf("raft: %q, raft_listen: %q", reached, listens), 1)
	a.raft[id] = reached
}

// dialler finds out which node has opened a connection, or "" if it was another program. They all come from the
// same address; but the system knows which process has the other end.
func (a *arena) dialler(t testing.TB, conn *net.TCPConn) string {
	inode, err := otherEnd(conn)
	switch {
	case errors.Is(err, syscall.ENOENT): // closed again
		return ""
	case err != nil:
		t.Errorf("looking for the node that has opened a connection: %v", err)
		return ""
	}
	return a.owner(fmt.Sprintf("socket:[%d]", inode))
}

// otherEnd asks the system for the inode of a connection's other end, which is on this machine (sock_diag(7)). What
// /proc/net/tcp shows would take a fifth of a core here: it is written anew for each look.
func otherEnd(conn *net.TCPConn) (inode uint32, err error) {
	const (
		byFamily = 20 // SOCK_DIAG_BY_FAMILY
		inDiag   = 4  // NETLINK_SOCK_DIAG
		header   = 16
		inodeAt  = header + 4 + 48 + 16
	)
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, inDiag)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, syscall.Close(fd)) }()
	req := make([]byte, header+8+48)
	order := endian.NativeEndian
	order.PutUint32(req, uint32(len(req)))
	order.PutUint16(req[4:], byFamily)
	order.PutUint16(req[6:], syscall.NLM_F_REQUEST)
	req[header], req[header+1] = syscall.AF_INET, syscall.IPPROTO_TCP
	order.PutUint32(req[header+4:], math.MaxUint32) // in every state
	id := req[header+8:]
	client, here := conn.RemoteAddr().(*net.TCPAddr), conn.LocalAddr().(*net.TCPAddr)
	endian.BigEndian.PutUint16(id, uint16(client.Port))
	endian.BigEndian.PutUint16(id[2:], uint16(here.Port))
	copy(id[4:], client.IP.To4())
	copy(id[20:], here.IP.To4())
	order.PutUint64(id[40:], math.MaxUint64) // no cookie
	if err := syscall.Sendto(fd, req, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return 0, err
	}
	answer := make([]byte, 4096)
	n, _, err := syscall.Recvfrom(fd, answer, 0)
	switch {
	case err != nil:
		return 0, err
	case n >= header+4 && order.Uint16(answer[4:]) == syscall.NLMSG_ERROR:
		return 0, syscall.Errno(-int32(order.Uint32(answer[header:])))
	case n < inodeAt+4:
		return 0, fmt.Errorf("got %d bytes about a connection, want %d", n, inodeAt+4)
	}
	return order.Uint32(answer[inodeAt:]), nil
}

// owner is the node that has a socket.
func (a *arena) owner(socket string) string {
	for id, s := range a.sites {
		dir := fmt.Sprintf("/proc/%d/fd", s.pid.Load())
		files, _ := os.ReadDir(dir) // it may have ended
		for _, f := range files {
			if to, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && to == socket {
				return id
			}
		}
	}
	return ""
}

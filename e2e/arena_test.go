package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// arena is a stand to which everything may be done: its servers are its own, each node has a disk of its own, and
// what the nodes say to each other and to the servers can be cut off.
type arena struct {
	*stand

	postgres *devstack.Postgres
	kafka    *devstack.Kafka
	lines    *lines
	disks    map[string]*disk // by node
}

// newArena starts the servers and writes the files, and starts no node. The rules are what stands below tables: in the
// file, or "" for those of the load.
func newArena(t testing.TB, name string, f flavour, rules string) *arena {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers, and -short starts none")
	}
	if err := devstack.Install(t.Context(), os.Stderr, devstack.ComponentPostgres, devstack.PostgresVersion(devtest.Version()), devstack.ComponentKafka); err != nil {
		t.Fatal(err)
	}
	seed := seeded(t)
	a := &arena{lines: newLines(t), disks: map[string]*disk{}}
	fronts := a.startServers(t, name)
	a.stand = &stand{t: t, rng: rand.New(rand.NewPCG(seed, writers)), brokers: a.kafka.Brokers(), slot: "kafkasync_" + name, frozen: map[string]*node{}}
	a.load = newLoad(a.postgres.URL(name), devtest.Topic(t), seed)
	execute(t, a.load.url, schema)
	if rules == "" {
		rules = a.load.tables()
	}
	a.trio = newTrio(t, f, fmt.Sprintf("brokers: ['${KAFKA}']\ntopics: {partitions: %d}", partitions), "")
	for i, id := range trioIDs {
		a.disks[id] = newDisk(t, a.sites[id].dir)
		a.connect(t, id, fronts[i])
	}
	for _, id := range trioIDs {
		a.rule(id, rules)
	}
	return a
}

// rule gives a node a file with these rules. All that differs from node to node is in its environment.
func (a *arena) rule(id, rules string) {
	a.t.Helper()
	name := strings.TrimPrefix(a.slot, "kafkasync_")
	a.rewrite(a.t, id, pipelineText(name, "postgres://postgres@${POSTGRES}/"+name, rules))
}

// startServers returns through which addresses the nodes reach Kafka, which has to know that.
func (a *arena) startServers(t testing.TB, name string) (fronts []string) {
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
	a.postgres, err = devstack.StartPostgres(t.Context(), devstack.PostgresConfig{
		Version:  devtest.Version(),
		Settings: map[string]string{"fsync": "off", "wal_sender_timeout": "15s", "max_connections": "100"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, a.postgres.Close()) })
	if err := a.postgres.CreateDatabase(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return fronts
}

// connect puts a front before everything that a node reaches, and before the node.
func (a *arena) connect(t testing.TB, id, kafka string) {
	t.Helper()
	this := func(*net.TCPConn) string { return id }
	postgres := freeAddress(t)
	a.lines.front(t, front{address: postgres, server: a.postgres.Addr(), to: toPostgres, from: this})
	a.lines.front(t, front{address: kafka, server: a.kafka.Behind(kafka), to: toKafka, from: this})
	a.sites[id].env = append(a.sites[id].env, "POSTGRES="+postgres, "KAFKA="+kafka)

	listens, reached := a.raft[id], freeAddress(t)
	a.lines.front(t, front{address: reached, server: listens, to: id, from: func(c *net.TCPConn) string { return a.dialler(t, c) }})
	a.text = strings.Replace(a.text, fmt.Sprintf("raft: %q", listens), fmt.Sprintf("raft: %q, raft_listen: %q", reached, listens), 1)
	a.raft[id] = reached
}

// dialler finds out which node has opened a connection, or "" if it was another program. They all come from the
// same address; but the system knows which process has the other end.
func (a *arena) dialler(t testing.TB, conn *net.TCPConn) string {
	connections, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Errorf("looking for the node that has opened a connection, which only Linux shows: %v", err)
		return ""
	}
	client, here := inHex(conn.RemoteAddr()), inHex(conn.LocalAddr())
	for line := range strings.Lines(string(connections)) {
		const local, remote, inode = 1, 2, 9
		if f := strings.Fields(line); len(f) > inode && f[local] == client && f[remote] == here {
			return a.owner("socket:[" + f[inode] + "]")
		}
	}
	return ""
}

// inHex is an address as the system shows it.
func inHex(a net.Addr) string {
	tcp := a.(*net.TCPAddr)
	ip := tcp.IP.To4()
	return fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], tcp.Port)
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

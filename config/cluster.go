package config

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Cluster is what the file says under cluster.
type Cluster struct {
	Nodes           []Node        // in the order of the file, whose first forms the cluster; none: this node is alone
	TLS             ClusterTLS    // between the nodes
	ElectionTimeout time.Duration // how long a leader may be silent; default 500ms
}

// Node is one of the nodes that form the cluster.
type Node struct {
	ID         string
	Raft       string // host:port as the other nodes reach it
	HTTP       string // host:port as its status page, and its API, are reached
	RaftListen string // host:port to listen on; default: Raft
	HTTPListen string // default: HTTP
}

// ClusterTLS names the files with which nodes prove to one another who they are; all are set or none.
type ClusterTLS struct {
	Cert string
	Key  string
	CA   string
}

// The bounds of the election timeout. Below, a busy machine would be taken for a dead one.
const (
	minElectionTimeout     = 50 * time.Millisecond
	maxElectionTimeout     = time.Minute
	defaultElectionTimeout = 500 * time.Millisecond
)

var (
	names   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)
	nodeIDs = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`) // also a folder's name
)

func legalName(s string) bool { return names.MatchString(s) }

func legalNodeID(s string) bool { return nodeIDs.MatchString(s) }

func (r *reader) cluster(o *object, c *Config) {
	f, ok := o.get("cluster")
	if !ok {
		return
	}
	cluster := r.object(f, "nodes", "tls", "election_timeout")
	r.clusterTLS(cluster, &c.Cluster.TLS)
	r.electionTimeout(cluster, &c.Cluster.ElectionTimeout)
	const fix = "write the nodes, each such as - {id: a, raft: 10.0.0.1:7400, http: 10.0.0.1:7480}, or remove cluster"
	f, ok = cluster.need("nodes", fix)
	if !ok {
		return
	}
	entries, ok := r.list(f, fix)
	if !ok {
		return
	}
	if len(entries)%2 == 0 {
		r.report(f.key, fmt.Sprintf("cluster.nodes lists %d nodes: an even number bears the loss of no more nodes than one fewer does", len(entries)),
			"list an odd number of nodes, such as 3")
	}
	seen := map[string]string{}
	for _, entry := range entries {
		c.Cluster.Nodes = append(c.Cluster.Nodes, r.node(entry, len(entries) > 1, seen))
	}
}

func (r *reader) clusterTLS(cluster *object, to *ClusterTLS) {
	f, ok := cluster.get("tls")
	if !ok {
		return
	}
	tls := r.object(f, "cert", "key", "ca")
	for _, file := range []struct {
		key, fix string
		to       *string
	}{
		{"cert", "name the file of the node's certificate", &to.Cert},
		{"key", "name the file of the certificate's private key", &to.Key},
		{"ca", "name the file of the authority that has signed the certificates of all nodes", &to.CA},
	} {
		tls.need(file.key, file.fix)
		if t, ok := tls.text(file.key); ok {
			*file.to = t.value
		}
	}
}

func (r *reader) electionTimeout(cluster *object, to *time.Duration) {
	f, ok := cluster.get("election_timeout")
	if !ok {
		return
	}
	t, ok := r.scalar(f, false)
	if !ok {
		return
	}
	d, ok := parseDuration(t.value)
	if !ok || d < minElectionTimeout || d > maxElectionTimeout || d%time.Millisecond != 0 {
		r.report(t.at, fmt.Sprintf("%s cannot be %s", f.path, t.said), "write a time from 50ms to 1m in whole milliseconds, such as 500ms")
		return
	}
	*to = d
}

// node reads one entry. What any of the nodes must have alone is in seen, with who has it.
func (r *reader) node(f field, several bool, seen map[string]string) Node {
	n := r.object(f, "id", "raft", "http", "raft_listen", "http_listen")
	n.need("id", "name the node, such as id: a")
	if several {
		n.need("raft", "write the host:port at which the other nodes reach it, such as raft: 10.0.0.1:7400")
		n.need("http", "write the host:port of its status page, such as http: 10.0.0.1:7480")
	}
	var node Node
	if t, ok := n.text("id"); ok {
		node.ID = t.value
		if !legalNodeID(t.value) {
			r.report(t.at, fmt.Sprintf("the node id %s is not legal", t.said), "use 1 to 40 of a-z, A-Z, 0-9, _ and -")
		}
		r.alone(t, "id", f.path, seen)
	}
	for _, a := range []struct {
		key, listen string
		to, on      *string
	}{{"raft", "raft_listen", &node.Raft, &node.RaftListen}, {"http", "http_listen", &node.HTTP, &node.HTTPListen}} {
		*a.on, _ = n.address(a.listen)
		address, ok := n.address(a.key)
		if !ok {
			continue
		}
		*a.to = address
		if *a.on == "" {
			*a.on = address
		}
		t, _ := n.text(a.key)
		r.alone(t, "address", f.path, seen)
		if several && !reachable(address) {
			r.report(t.at, fmt.Sprintf("%s is %s, where the other nodes cannot reach it", join(f.path, a.key), t.said),
				"write a host and port that the other nodes reach; where the node listens goes into "+a.listen)
		}
	}
	return node
}

// alone reports what two entries have, though only one may.
func (r *reader) alone(t text, what, path string, seen map[string]string) {
	if other, taken := seen[what+t.value]; taken {
		r.report(t.at, fmt.Sprintf("%s has the %s %s, and so has %s", path, what, t.said, other), "give each node an id and addresses of its own")
		return
	}
	seen[what+t.value] = path
}

// reachable reports whether an address means the same from everywhere.
func reachable(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "0" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsUnspecified()
}

// address reads where to listen.
func (o *object) address(key string) (string, bool) {
	t, ok := o.text(key)
	if !ok {
		return "", false
	}
	if _, ok := splitAddress(t.value); !ok {
		o.r.report(t.at, fmt.Sprintf("%s cannot be %s", join(o.path, key), t.said), "write host:port, such as 127.0.0.1:7480")
		return "", false
	}
	return t.value, true
}

// splitAddress returns the host of host:port.
func splitAddress(s string) (host string, ok bool) {
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsAny(host, "/@ \t\r\n") {
		return "", false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return host, err == nil && n <= 65535
}

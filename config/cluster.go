package config

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
)

var (
	names   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)
	nodeIDs = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`) // also a folder's name
)

func legalName(s string) bool { return names.MatchString(s) }

func legalNodeID(s string) bool { return nodeIDs.MatchString(s) }

func (r *reader) http(o *object, c *Config) {
	f, ok := o.get("http")
	if !ok {
		return
	}
	h := r.object(f, "listen", "token", "read_token", "tls")
	if address, ok := h.address("listen"); ok {
		c.HTTP.Listen = address
	}
	if t, ok := h.text("token"); ok {
		c.HTTP.Token = t.value
	}
	if t, ok := h.text("read_token"); ok {
		c.HTTP.ReadToken = t.value
	}
	f, ok = h.get("tls")
	if !ok {
		return
	}
	tls := r.object(f, "cert", "key")
	tls.need("cert", "name the file of the server's certificate")
	tls.need("key", "name the file of the certificate's private key")
	if t, ok := tls.text("cert"); ok {
		c.HTTP.TLS.Cert = t.value
	}
	if t, ok := tls.text("key"); ok {
		c.HTTP.TLS.Key = t.value
	}
}

// cluster reads the one node that this version runs. What would have no effect
// is refused, so that nobody believes in protection that is not there.
func (r *reader) cluster(o *object, c *Config) {
	f, ok := o.get("cluster")
	if !ok {
		return
	}
	cluster := r.object(f, "nodes", "tls", "election_timeout")
	for _, key := range []string{"tls", "election_timeout"} {
		if later, ok := cluster.get(key); ok {
			r.report(later.key, later.path+" is not supported yet: this version runs exactly one node", "remove the key")
		}
	}
	const fix = "write one node, such as - {id: a, raft: 127.0.0.1:7400, http: 127.0.0.1:7480}, or remove cluster"
	f, ok = cluster.need("nodes", fix)
	if !ok {
		return
	}
	nodes, ok := r.list(f, fix)
	if !ok {
		return
	}
	if len(nodes) > 1 {
		r.report(nodes[1].at(), fmt.Sprintf("cluster.nodes lists %d nodes, but this version runs exactly one node", len(nodes)), "keep one entry")
	}
	r.node(nodes[0], c)
}

func (r *reader) node(f field, c *Config) {
	n := r.object(f, "id", "raft", "http", "raft_listen", "http_listen")
	for _, key := range []string{"raft_listen", "http_listen"} {
		if later, ok := n.get(key); ok {
			r.report(later.key, later.path+" is not supported yet: a node listens on its raft and http addresses", "remove the key")
		}
	}
	n.need("id", "name the node, such as id: a")
	if t, ok := n.text("id"); ok {
		c.NodeID, c.listed = t.value, true
		if !legalNodeID(t.value) {
			r.report(t.at, fmt.Sprintf("the node id %s is not legal", t.said), "use 1 to 40 of a-z, A-Z, 0-9, _ and -")
		}
	}
	if address, ok := n.address("raft"); ok {
		c.RaftAddress = address
	}
	if address, ok := n.address("http"); ok {
		c.HTTP.Listen = address
	}
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

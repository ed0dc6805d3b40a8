// Package config reads the one YAML file that a node is started with.
//
// It promises that a file is either taken whole or refused with every problem
// at once, each with its place, what stands there and what would be right; and
// that no secret, whether written in the file or pulled in from outside, appears
// in a problem or in a printed Config. It never connects to anything, never
// guesses the meaning of an unknown key, and never sets a default that this
// documentation does not name.
//
// Relative paths in the file are relative to the working directory of the
// process, not to the folder of the file.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/sink/kafka"
	"github.com/kafkasync/kafkasync/source/mysql"
	"github.com/kafkasync/kafkasync/source/postgres"
)

// Config is the file with its defaults filled in and its references replaced.
type Config struct {
	Name        string // prefix of consumer groups and of what the program creates; default kafkasync
	DataDir     string // Raft log and snapshots, in a subfolder per node; default ./data
	NodeID      string // default: the only node under cluster, or a without cluster; "" if UseNode has to choose
	RaftAddress string // where the other nodes reach this one; "": nowhere
	RaftListen  string // where this node listens for them
	Cluster     Cluster
	HTTP        HTTP
	Kafka       kafka.Config
	Pipelines   []Pipeline // at least one
}

// HTTP is what the file says under http.
type HTTP struct {
	Listen    string // host:port; default 127.0.0.1:7480, or the node's http address under cluster
	Token     string // for what changes something; "": nothing can be changed
	ReadToken string // for reading; "": reading is open
	TLS       TLS
}

// TLS names the two files of a server's identity; both are set or neither.
type TLS struct {
	Cert string
	Key  string
}

// Pipeline is one entry under pipelines.
type Pipeline struct {
	Name     string
	Postgres postgres.Config // without a URL if the source is another
	MySQL    mysql.Config    // without a Flavour if the source is another; its ServerID is that of the first node
	Encoding route.Encoding
	Rules    []route.Rule // at least one that is not skipped
}

// maxFile keeps a wrong path, such as a database's file, from being read whole.
const maxFile = 1 << 20

// Load reads the file at path, with ${NAME} replaced from the environment.
// The error is Problems if the file could be read.
func Load(path string) (*Config, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the configuration: there is no file %s: write it, or name another with -c FILE", path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if info.IsDir() || info.Size() > maxFile {
		return nil, fmt.Errorf("reading the configuration: %s is not a YAML file of at most 1 MiB", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(path, data, os.LookupEnv)
}

// Parse reads data as the content of the file, which it uses only to name it in
// problems. ${NAME} is looked up with env; ${file:PATH} reads that file. The
// error is always Problems.
func Parse(file string, data []byte, env func(string) (string, bool)) (*Config, error) {
	r := &reader{file: file, env: env}
	root, ok := r.document(string(data))
	if !ok {
		return nil, r.failure()
	}
	c := r.config(root)
	if len(r.problems) > 0 {
		return nil, r.failure()
	}
	return c, nil
}

// UseNode chooses which node of the file this process is, as --node does. "" is
// the only one that there is; with several it is an error that names them.
func (c *Config) UseNode(id string) error {
	listed := c.Cluster.Nodes
	if id == "" && len(listed) > 1 {
		return fmt.Errorf("choosing a node: the file lists %s under cluster.nodes: say with --node, or KAFKASYNC_NODE, which of them this is", c.nodeNames())
	}
	if id == "" {
		return nil
	}
	for _, n := range listed {
		if n.ID == id {
			c.use(n)
			return nil
		}
	}
	if len(listed) > 0 {
		return fmt.Errorf("choosing node %q: the file lists only %s under cluster.nodes", id, c.nodeNames())
	}
	if !legalNodeID(id) {
		return fmt.Errorf("choosing node %q: a node is named by 1 to 40 of a-z, A-Z, 0-9, _ and -", id)
	}
	c.NodeID = id
	return nil
}

func (c *Config) use(n Node) {
	c.NodeID, c.RaftAddress, c.RaftListen = n.ID, n.Raft, n.RaftListen
	if n.HTTPListen != "" {
		c.HTTP.Listen = n.HTTPListen
	}
}

// NodeNumber is the place of this node in the list under cluster.nodes, from 0 on.
func (c *Config) NodeNumber() int {
	return max(0, slices.IndexFunc(c.Cluster.Nodes, func(n Node) bool { return n.ID == c.NodeID }))
}

func (c *Config) nodeNames() string {
	names := make([]string, len(c.Cluster.Nodes))
	for i, n := range c.Cluster.Nodes {
		names[i] = strconv.Quote(n.ID)
	}
	if len(names) == 1 {
		return "node " + names[0]
	}
	return "nodes " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func (r *reader) config(root field) *Config {
	o := r.object(root, "name", "data_dir", "cluster", "http", "kafka", "pipelines")
	c := &Config{
		Name:    "kafkasync",
		DataDir: "./data",
		NodeID:  "a",
		Cluster: Cluster{ElectionTimeout: defaultElectionTimeout},
		HTTP:    HTTP{Listen: "127.0.0.1:7480"},
		Kafka:   kafka.Config{Topics: kafka.Topics{Create: true, Partitions: 12, Replication: -1}},
	}
	if t, ok := o.text("name"); ok {
		c.Name = t.value
		if !legalName(t.value) {
			r.report(t.at, fmt.Sprintf("the name %s is not legal", t.said),
				"use 1 to 40 of a-z, A-Z, 0-9, ., _ and -, the first of them a letter or digit")
		}
	}
	if t, ok := o.text("data_dir"); ok {
		c.DataDir = t.value
	}
	r.http(o, c)
	r.cluster(o, c)
	switch nodes := c.Cluster.Nodes; len(nodes) {
	case 0:
	case 1:
		c.use(nodes[0])
	default:
		c.NodeID = ""
	}
	r.kafka(o, &c.Kafka)
	c.Pipelines = r.pipelines(o, c)
	return c
}

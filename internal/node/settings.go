package node

import (
	"cmp"
	"path/filepath"

	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/raftstate"
)

// clusterOf is what the file says of the cluster, and of this node's place in it.
func clusterOf(cfg *config.Config) raftstate.Config {
	settings := raftstate.Config{
		ID: cfg.NodeID, Dir: filepath.Join(cfg.DataDir, cfg.NodeID), Address: cfg.RaftAddress, Listen: cfg.RaftListen,
		ElectionTimeout: cfg.Cluster.ElectionTimeout, Disk: breakableDisk(cfg.DataDir),
	}
	for _, n := range cfg.Cluster.Nodes {
		if n.Raft != "" {
			settings.Peers = append(settings.Peers, raftstate.Peer{ID: n.ID, Address: n.Raft})
		}
	}
	if tls := cfg.Cluster.TLS; tls.Cert != "" {
		settings.TLS = &raftstate.TLS{Cert: tls.Cert, Key: tls.Key, CA: tls.CA}
	}
	return settings
}

// addresses is where the HTTP of each node of the file is reached, by id.
func addresses(cfg *config.Config) map[string]string {
	found := map[string]string{}
	for _, n := range cfg.Cluster.Nodes {
		found[n.ID] = n.HTTP
	}
	return found
}

// addressOf is where the HTTP of this node is reached.
func addressOf(cfg *config.Config) string { return cmp.Or(addresses(cfg)[cfg.NodeID], cfg.HTTP.Listen) }

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/config"
)

// peerTimeout is how long check waits for another node.
const peerTimeout = 2 * time.Second

// checkCluster looks whether this node could listen for the others and reaches them. runs: it
// is running, and what listens there is itself.
func checkCluster(ctx context.Context, cfg *config.Config, runs bool) []kafkasync.Finding {
	if cfg.RaftAddress == "" {
		return nil
	}
	findings := []kafkasync.Finding{checkRaft(ctx, cfg, runs)}
	if cfg.Cluster.TLS.Cert != "" {
		findings = append(findings, checkClusterTLS(cfg.Cluster.TLS))
	}
	return append(findings, checkPeers(ctx, cfg)...)
}

func checkRaft(ctx context.Context, cfg *config.Config, runs bool) kafkasync.Finding {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", cfg.RaftListen)
	if err == nil {
		err = listener.Close()
	}
	ok := func(what string) kafkasync.Finding {
		return kafkasync.Finding{ID: "C06", Severity: kafkasync.SeverityOK, What: what}
	}
	switch {
	case err == nil:
		return ok(fmt.Sprintf("the address %s, where node %s listens for the others, is free", cfg.RaftListen, cfg.NodeID))
	case runs && errors.Is(err, syscall.EADDRINUSE):
		return ok(fmt.Sprintf("node %s listens for the others at %s", cfg.NodeID, cfg.RaftListen))
	default:
		return kafkasync.Finding{
			ID: "C06", Severity: kafkasync.SeverityError, What: fmt.Sprintf("node %s cannot listen for the others at %s: %v", cfg.NodeID, cfg.RaftListen, err),
			Why: "a node could not start", Fix: "set raft, or raft_listen, of the node to a free address of this machine; or say with --node which node this machine runs",
		}
	}
}

func checkClusterTLS(files config.ClusterTLS) kafkasync.Finding {
	f := kafkasync.Finding{ID: "C07", Severity: kafkasync.SeverityOK, What: "the certificate with which nodes prove who they are is signed by the authority of the file"}
	if err := verify(files); err != nil {
		f.Severity, f.What = kafkasync.SeverityError, "cluster.tls cannot be used: "+err.Error()
		f.Why, f.Fix = "the nodes would not talk to this one", "set cluster.tls to a certificate of this node, its key, and the authority that has signed it, readable by this user"
	}
	return f
}

// verify reports whether the others would accept the certificate.
func verify(files config.ClusterTLS) error {
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(files.CA)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s holds no PEM certificate", files.CA)
	}
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(cert)
		}
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
			return err
		}
	}
	return nil
}

// checkPeers asks at the addresses of the others. They may be about to be started.
func checkPeers(ctx context.Context, cfg *config.Config) []kafkasync.Finding {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	var others []config.Node
	for _, n := range cfg.Cluster.Nodes {
		if n.ID != cfg.NodeID {
			others = append(others, n)
		}
	}
	findings := make([]kafkasync.Finding, len(others))
	var group sync.WaitGroup
	for i, n := range others {
		group.Go(func() { findings[i] = checkPeer(ctx, n) })
	}
	group.Wait()
	return findings
}

func checkPeer(ctx context.Context, n config.Node) kafkasync.Finding {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.Raft)
	if err == nil {
		err = conn.Close()
	}
	if err != nil {
		return kafkasync.Finding{
			ID: "C01", Severity: kafkasync.SeverityWarning, What: fmt.Sprintf("node %s is not reached at %s: %v", n.ID, n.Raft, err),
			Why: "a cluster forms once all of its nodes reach one another", Fix: "start it; or, if it runs, see to it that this machine may connect to it",
		}
	}
	return kafkasync.Finding{ID: "C01", Severity: kafkasync.SeverityOK, What: fmt.Sprintf("node %s is reached at %s", n.ID, n.Raft)}
}

package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// removedAndAdded removes the leader from the cluster, for good, and adds it again as a new one.
func (c *trio) removedAndAdded(t testing.TB) {
	t.Helper()
	removed := c.leader(t)
	remove := []string{"member", "remove", removed}
	out, _, code := c.any().command(t, remove...)
	if problem := contains("member remove", unfolded(out), "Node "+removed+" will be no member of the cluster any more", "It hands leadership over first", "Nothing has been done"); code != 1 || problem != "" {
		t.Errorf("without --yes: got exit status %d, want 1; %s", code, problem)
	}
	out, errs, code := c.any(removed).command(t, append(remove, "--yes")...)
	if problem := contains("member remove", unfolded(out), "Node "+removed+" is no member of the cluster any more"); code != 0 || problem != "" {
		t.Fatalf("got exit status %d and %s, want 0; %s", code, errs, problem)
	}
	gone := c.nodes[removed]
	if code := gone.exit(t); code != 1 || !strings.Contains(gone.log.String(), "it was removed") {
		t.Errorf("node %s: got exit status %d, want 1 and why", removed, code)
	}
	delete(c.nodes, removed)
	leader := c.leader(t)
	before, err := c.sites[leader].status(t.Context())
	if err != nil || len(before.Cluster.Nodes) != 2 {
		t.Errorf("got the nodes %+v (%v), want two", before.Cluster.Nodes, err)
	}
	out, errs, code = c.any().command(t, "member", "add", removed, c.raft[removed], "--yes")
	if problem := contains("member add", unfolded(out), "Node "+removed+" is a member of the cluster, at "+c.raft[removed]); code != 0 || problem != "" {
		t.Fatalf("got exit status %d and %s, want 0; %s", code, errs, problem)
	}
	if out, _, _ := c.any().command(t, "status"); !strings.Contains(out, "awaited") {
		t.Errorf("got %s, want node %s to be awaited", out, removed)
	}
	if err := os.RemoveAll(filepath.Join(c.sites[removed].dir, "data")); err != nil {
		t.Fatal(err)
	}
	c.start(t, removed)
	c.whole(t)
}

// checked runs check beside a node that runs.
func (c *trio) checked(t testing.TB) {
	t.Helper()
	out, _, code := c.any().command(t, "check")
	if problem := contains("check", unfolded(out), "node a listens for the others at ", "node b is reached at ", "node c is reached at ", "is signed by the authority of the file"); code != 0 || problem != "" {
		t.Errorf("check: got exit status %d, want 0; %s", code, problem)
	}
}

// proves gives all nodes a certificate, which vouches for itself.
func (c *trio) proves(t testing.TB, pipelines string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "node.pem"), filepath.Join(dir, "node.key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.text = strings.Replace(c.text, "cluster:\n", fmt.Sprintf("cluster:\n  tls: {cert: %s, key: %s, ca: %[1]s}\n", certFile, keyFile), 1)
	for _, id := range trioIDs {
		c.rewrite(t, id, pipelines)
	}
}

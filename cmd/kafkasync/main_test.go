package main_test

import (
	"bytes"
	"context"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	main "github.com/kafkasync/kafkasync/cmd/kafkasync"
)

var update = flag.Bool("update", false, "write the golden files anew")

// result is what a command line did.
type result struct {
	exit           int
	stdout, stderr string
}

// command runs a command line in this process.
func command(ctx context.Context, args ...string) result {
	var stdout, stderr bytes.Buffer
	exit := main.Run(ctx, args, &stdout, &stderr)
	return result{exit, stdout.String(), stderr.String()}
}

// golden compares with a file of testdata, which -update writes.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatalf("writing the golden file: %v", err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("reading the golden file: %v", err)
	}
	if got != string(want) {
		t.Errorf("%s differs\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

// file writes a file into a folder of the test and returns its path.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatalf("writing %s: %v", name, err)
	}
	return path
}

// closedPort returns an address of this machine at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	ln := listen(t)
	defer ln.Close()
	return ln.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	return ln
}

// settings returns a file whose servers nobody runs, with further lines at its end.
func settings(t *testing.T, lines ...string) string {
	t.Helper()
	return settingsOf(t, closedPort(t), lines...)
}

// settingsOf is settings with Kafka at the address.
func settingsOf(t *testing.T, broker string, lines ...string) string {
	t.Helper()
	return file(t, "kafkasync.yaml", strings.Join(append([]string{
		"kafka:",
		"  brokers: ['" + broker + "']",
		"pipelines:",
		"  - name: shop",
		"    source: {postgres: {url: 'postgres://cdc@" + closedPort(t) + "/shop'}}",
		"    tables:",
		"      - {match: public.products, topic: products}",
		"      - {match: public.*}",
	}, lines...), "\n")+"\n")
}

// embedded starts a Kafka in this process with the topic products, of one partition.
func embedded(t *testing.T) string {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "products"))
	if err != nil {
		t.Fatalf("starting a Kafka: %v", err)
	}
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()[0]
}

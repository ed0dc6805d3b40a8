package web_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/web"
)

var update = flag.Bool("update", false, "write the golden files anew")

// reporter is what a node would tell.
type reporter struct {
	status web.Status
	ready  error
	asked  chan struct{} // if set: receives a value when Status is called
	answer chan struct{} // if set: Status waits until it is closed

	ordered []web.Order // what was asked for
	result  web.Result
	refuse  error
}

func (r *reporter) Operate(_ context.Context, o web.Order) (web.Result, error) {
	r.ordered = append(r.ordered, o)
	return r.result, r.refuse
}

func (r *reporter) Status(context.Context) web.Status {
	if r.asked != nil {
		r.asked <- struct{}{}
		<-r.answer
	}
	return r.status
}

func (r *reporter) Ready() error { return r.ready }

// start serves until the test ends, and returns the server's URL.
func start(t *testing.T, cfg web.Config, r *reporter, metrics prometheus.Gatherer) string {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	server := newServer(t, cfg, r, metrics)
	ln, err := server.Listen(t.Context())
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: got %v, want nil after the context has ended", err)
		}
	})
	return "http://" + ln.Addr().String()
}

func newServer(t *testing.T, cfg web.Config, r *reporter, metrics prometheus.Gatherer) *web.Server {
	t.Helper()
	server, err := web.New(cfg, r, r, metrics, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return server
}

type answer struct {
	code   int
	header http.Header
	body   string
}

func ask(t *testing.T, method, url, authorization string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatalf("making a request: %v", err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return do(t, http.DefaultClient, req)
}

func do(t *testing.T, client *http.Client, req *http.Request) answer {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the answer to %s %s: %v", req.Method, req.URL, err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
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
		t.Errorf("%s differs; if that is meant, it needs a line in CHANGELOG.md\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

func TestAddressInUseSaysWhichAndWhatToDo(t *testing.T) {
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("taking a port: %v", err)
	}
	defer taken.Close()
	addr := taken.Addr().String()

	err = newServer(t, web.Config{Listen: addr}, &reporter{}, prometheus.NewRegistry()).Run(t.Context())
	var fault *kafkasync.Fault
	if !errors.As(err, &fault) {
		t.Fatalf("got %v, want a Fault", err)
	}
	if !strings.Contains(fault.What, addr) || !strings.Contains(fault.What, "in use") {
		t.Errorf("got What %q, want it to say that %s is in use", fault.What, addr)
	}
	if !strings.Contains(fault.Fix, "http.listen") {
		t.Errorf("got Fix %q, want it to name http.listen", fault.Fix)
	}
}

func TestForeignAddressIsAFault(t *testing.T) {
	// 192.0.2.0/24 is for documentation: no machine has an address of it.
	err := newServer(t, web.Config{Listen: "192.0.2.1:7480"}, &reporter{}, prometheus.NewRegistry()).Run(t.Context())
	if kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), "not an address of this machine") {
		t.Errorf("got %v (class %s), want a stop that says whose address it is not", err, kafkasync.ClassOf(err))
	}
}

func TestWrongConfigIsRefused(t *testing.T) {
	tests := []struct {
		name string
		cfg  web.Config
		want string
	}{
		{"no port", web.Config{Listen: "127.0.0.1"}, "http.listen"},
		{"certificate without key", web.Config{Listen: "127.0.0.1:0", CertFile: "web.pem"}, "http.tls"},
		{"key without certificate", web.Config{Listen: "127.0.0.1:0", KeyFile: "web.key"}, "http.tls"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := web.New(tt.cfg, &reporter{}, nil, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error that names %s", err, tt.want)
			}
		})
	}
}

func TestConfigNeverShowsATokenWhenPrinted(t *testing.T) {
	cfg := web.Config{Listen: "127.0.0.1:7480", Token: "s3cret-write", ReadToken: "s3cret-read"}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("config", "http", cfg)
	for _, text := range []string{fmt.Sprint(cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg), fmt.Sprintf("%+v", &cfg), logged.String()} {
		if strings.Contains(text, "s3cret") {
			t.Errorf("got %q, want no token in it", text)
		}
		if !strings.Contains(text, "127.0.0.1:7480") {
			t.Errorf("got %q, want the address in it", text)
		}
	}
}

func TestShutdownLetsTheAnswerUnderWayFinish(t *testing.T) {
	r := &reporter{asked: make(chan struct{}), answer: make(chan struct{})}
	r.status.Cluster.ID = "shop"
	server := newServer(t, web.Config{Listen: "127.0.0.1:0"}, r, prometheus.NewRegistry())
	ln, err := server.Listen(t.Context())
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, ln) }()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+ln.Addr().String()+"/api/status", http.NoBody)
	if err != nil {
		t.Fatalf("making a request: %v", err)
	}
	body := make(chan string, 1)
	go func() {
		defer close(body)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Errorf("asking: %v", err)
			return
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("reading: %v", err)
		}
		body <- string(got)
	}()
	<-r.asked
	cancel()
	waitRefused(t, ln.Addr().String())
	close(r.answer)
	if got := <-body; !strings.Contains(got, `"shop"`) {
		t.Errorf("got %q, want the whole status", got)
	}
	if err := <-served; err != nil {
		t.Errorf("serving: got %v, want nil", err)
	}
}

// waitRefused returns once the address takes no connections any more.
func waitRefused(t *testing.T, addr string) {
	t.Helper()
	for t.Context().Err() == nil {
		var d net.Dialer
		conn, err := d.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			return
		}
		conn.Close()
	}
}

func TestTLSIsServedWithTheConfiguredCertificate(t *testing.T) {
	cfg := web.Config{Listen: "127.0.0.1:0"}
	var pool *x509.CertPool
	cfg.CertFile, cfg.KeyFile, pool = certificate(t)
	server := newServer(t, cfg, &reporter{}, prometheus.NewRegistry())
	ln, err := server.Listen(t.Context())
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, ln) }()

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+ln.Addr().String()+"/healthz", http.NoBody)
	if err != nil {
		t.Fatalf("making a request: %v", err)
	}
	if got := do(t, client, req); got.code != http.StatusOK {
		t.Errorf("got %d, want 200", got.code)
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("serving: got %v, want nil", err)
	}
}

func TestMissingCertificateIsAFaultThatNamesTheFile(t *testing.T) {
	cfg := web.Config{Listen: "127.0.0.1:0", CertFile: "no-such.pem", KeyFile: "no-such.key"}
	err := newServer(t, cfg, &reporter{}, prometheus.NewRegistry()).Run(t.Context())
	if kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), "no-such.pem") || !strings.Contains(err.Error(), "http.tls.cert") {
		t.Errorf("got %v, want a stop that names the file and http.tls.cert", err)
	}
}

// certificate writes a certificate for 127.0.0.1 and returns a pool that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatalf("making a certificate: %v", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatalf("encoding the key: %v", err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatalf("writing %s: %v", name, err)
		}
		return file
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("parsing the certificate: %v", err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	return write("web.pem", "CERTIFICATE", der), write("web.key", "PRIVATE KEY", keyDER), pool
}

package examples_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kafkasync/kafkasync/consumer"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// patience is how long a test waits for what has to happen.
const patience = time.Minute

// world is a Postgres with the table products, a Kafka, and a node of kafkasync between them.
type world struct {
	bin      string // where what is built here is
	url      string
	primary  *pgxpool.Pool
	brokers  string
	topic    string
	address  string // of the node
	programs []*devstack.Program
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{bin: t.TempDir(), url: devtest.Database(t), brokers: devtest.Kafka(t).Brokers(), topic: devtest.Topic(t)}
	build(t, "..", w.bin, "./cmd/kafkasync")
	build(t, ".", w.bin, "./searchindex", "./cache")
	var err error
	if w.primary, err = pgxpool.New(t.Context(), w.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.primary.Close)
	w.exec(t, "CREATE TABLE products (id bigserial PRIMARY KEY, name text NOT NULL, price numeric(10,2) NOT NULL)")
	w.address = w.run(t, "kafkasync", 1, func(dir string, ports []int) []string {
		return []string{filepath.Join(w.bin, "kafkasync"), "run", "-c", w.file(t, dir, ports[0])}
	}, answers("/healthz")).Addr()
	w.eventually(t, func() string {
		state, err := w.state(t.Context())
		return problem(err, state == "streaming", "the pipeline is %s", state)
	})
	return w
}

// build builds programs of a module of this repository into dir.
func build(t *testing.T, module, dir string, packages ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"-C", module, "build", "-o", dir + "/"}, packages...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", packages, err, out)
	}
}

// file writes the file of the node.
func (w *world) file(t *testing.T, dir string, port int) string {
	t.Helper()
	path := filepath.Join(dir, "kafkasync.yaml")
	text := fmt.Sprintf(`
name: examples
data_dir: %s
http: {listen: "127.0.0.1:%d"}
kafka:
  brokers: [%q]
  topics: {partitions: 6}
pipelines:
  - name: shop
    source:
      postgres: {url: %q}
    tables:
      - {match: public.products, topic: %s, delay: 8s}
`, filepath.Join(dir, "data"), port, w.brokers, w.url, w.topic)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run starts a program, which ends with the test.
func (w *world) run(t *testing.T, name string, ports int, line func(dir string, ports []int) []string, ready func(context.Context, []int) bool) *devstack.Program {
	t.Helper()
	started, err := devstack.StartPrograms(t.Context(), devstack.ProgramsConfig{
		Name: name, Names: []string{name}, Ports: ports, Ready: ready,
		Lines: func(dir string, ports [][]int) ([][]string, error) { return [][]string{line(dir, ports[0])}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	p := started.All[0]
	w.programs = append(w.programs, p)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said:\n%s", name, p.Log())
		}
		if err := started.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// example starts one of the examples, as its README says.
func (w *world) example(t *testing.T, name string, ports int, store string, line ...string) *devstack.Program {
	t.Helper()
	return w.run(t, name, ports, func(_ string, ports []int) []string {
		env := []string{"env", "DATABASE_URL=" + w.url, "KAFKA_BROKERS=" + w.brokers, "TOPIC=" + w.topic, "GROUP=" + name, "STORE=" + store}
		for _, port := range ports {
			env = append(env, fmt.Sprintf("LISTEN=127.0.0.1:%d", port))
		}
		return append(env, line...)
	}, func(ctx context.Context, listening []int) bool {
		return len(listening) == 0 || answers("/")(ctx, listening)
	})
}

// answers reports whether a program listens.
func answers(path string) func(ctx context.Context, ports []int) bool {
	return func(ctx context.Context, ports []int) bool {
		_, _, err := get(ctx, fmt.Sprintf("http://127.0.0.1:%d%s", ports[0], path))
		return err == nil
	}
}

func get(ctx context.Context, url string) (code int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// state is that of the pipeline.
func (w *world) state(ctx context.Context) (string, error) {
	_, body, err := get(ctx, "http://"+w.address+"/api/status")
	if err != nil {
		return "", err
	}
	var status struct{ Pipelines []struct{ State string } }
	if err := json.Unmarshal(body, &status); err != nil || len(status.Pipelines) != 1 {
		return "", fmt.Errorf("the status is %s: %w", body, err)
	}
	return status.Pipelines[0].State, nil
}

// exec changes the table, as whoever writes to it does.
func (w *world) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := w.primary.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// passed waits until everybody is done with all that was changed up to now.
func (w *world) passed(t *testing.T, groups ...string) {
	t.Helper()
	var pos string
	if err := w.primary.QueryRow(t.Context(), "SELECT (pg_current_wal_insert_lsn() - 1)::text").Scan(&pos); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, group := range groups {
		cfg := consumer.Config{Brokers: []string{w.brokers}, Topics: []string{w.topic}, Name: group}
		if err := consumer.BarrierAt(ctx, cfg, consumer.Publisher{Nodes: []string{w.address}}, pos); err != nil {
			t.Fatal(err)
		}
	}
}

// problem is an answer for eventually.
func problem(err error, good bool, format string, args ...any) string {
	switch {
	case err != nil:
		return err.Error()
	case good:
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// eventually asks until the answer is "", and fails the test if that takes too long or a program ends.
func (w *world) eventually(t *testing.T, ask func() (problem string)) {
	t.Helper()
	var answer string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if answer = ask(); answer == "" {
			return
		}
		for _, p := range w.programs {
			select {
			case <-p.Ended():
				t.Fatalf("%s has ended by itself", p.Name())
			default:
			}
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Fatalf("waited in vain: %s", answer)
}

// terminate ends a program as a supervisor does, and waits.
func (w *world) terminate(t *testing.T, p *devstack.Program) {
	t.Helper()
	w.programs = slices.DeleteFunc(w.programs, func(other *devstack.Program) bool { return other == p })
	ended := p.Ended()
	if err := syscall.Kill(p.PID(), syscall.SIGTERM); err != nil {
		t.Fatalf("sending SIGTERM to %s: %v", p.Name(), err)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatalf("%s does not end", p.Name())
	}
}

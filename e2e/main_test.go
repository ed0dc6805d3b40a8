package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(followerVariable); text != "" {
		if err := runFollower(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	devtest.Main(m, removeBinaries)
}

// flavour is a way to build the binary. Memory is measured without -race, which multiplies it.
type flavour struct {
	race bool   // if the tests have it
	tags string // of the build, with commas
}

var (
	plain = flavour{}
	raced = flavour{race: true}
	// These have a bug each: see internal/pipeline/planted_on.go and planted_skip_on.go.
	confirming = flavour{tags: "planted_confirm_before_ack"}
	skipping   = flavour{tags: "planted_skip_first_batch"}
	// The disk of these can be made to fail: see internal/node/breakable_on.go.
	chaotic      = flavour{tags: "breakable_disk"}
	chaoticRaced = flavour{race: true, tags: "breakable_disk"}
)

// with adds a build tag, such as that of a planted bug.
func (f flavour) with(tag string) flavour {
	f.tags = strings.TrimPrefix(f.tags+","+tag, ",")
	return f
}

// workshop builds each flavour at most once, into a folder that goes with the test process.
type workshop struct {
	mu    sync.Mutex
	dir   string
	built map[flavour]string
}

var binaries workshop

// path returns where a flavour is, or is to be built.
func (w *workshop) path(f flavour) (path string, built bool, err error) {
	if path, built = w.built[f]; built {
		return path, true, nil
	}
	if w.dir == "" {
		if w.dir, err = os.MkdirTemp("", "kafkasync-e2e-"); err != nil {
			return "", false, err
		}
		w.built = map[flavour]string{}
	}
	return filepath.Join(w.dir, fmt.Sprintf("kafkasync-%d", len(w.built))), false, nil
}

func removeBinaries() error {
	if binaries.dir == "" {
		return nil
	}
	return os.RemoveAll(binaries.dir)
}

// binary returns the path of kafkasync.
func binary(t testing.TB, f flavour) string {
	t.Helper()
	f.race = f.race && raceEnabled
	w := &binaries
	w.mu.Lock()
	defer w.mu.Unlock()
	path, built, err := w.path(f)
	if err != nil {
		t.Fatal(err)
	}
	if built {
		return path
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, fmt.Sprintf("-race=%t", f.race), "-tags", f.tags,
		"github.com/kafkasync/kafkasync/cmd/kafkasync")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building kafkasync: %v\n%s", err, out)
	}
	w.built[f] = path
	return path
}

// number is a setting of the environment, or what make test takes.
func number(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s: got %q, want a positive whole number", name, text)
	}
	return n
}

// seeded says how to repeat the random choices of a test.
func seeded(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64N(1_000_000)
	if text := os.Getenv("E2E_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("E2E_SEED: %v", err)
		}
	}
	t.Logf("the seed is %d: repeat with E2E_SEED=%d", seed, seed)
	return seed
}

// eventually asks until the answer is "", and fails the test with the last answer if that takes too long.
// The limit is generous: it is there for what never happens.
func eventually(t testing.TB, limit time.Duration, ask func() (problem string)) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		problem := ask()
		if problem == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %s", limit, problem)
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal(problem)
		}
	}
}

// contains is an answer for eventually: what of the wanted parts is not in text.
func contains(what, text string, parts ...string) string {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return fmt.Sprintf("%s lacks %q:\n%s", what, part, text)
		}
	}
	return ""
}

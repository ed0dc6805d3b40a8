// Package examples_test runs each example as its user would, beside a real Postgres, a Kafka and a node of kafkasync.
package examples_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestMain(m *testing.M) { devtest.Main(m) }

func TestEveryExampleFollowsTheTable(t *testing.T) {
	w := newWorld(t)
	python, modules := packages(t)
	dir := t.TempDir()
	index, rows, lines := filepath.Join(dir, "index"), filepath.Join(dir, "python.db"), filepath.Join(dir, "node.db")
	entries := w.redis(t)

	w.exec(t, insertSome, 2000)
	searchindex := w.example(t, "searchindex", 1, index, filepath.Join(w.bin, "searchindex"))
	pythonExample := w.example(t, "python", 0, rows, python, absolute(t, "python/consumer.py"))
	nodeExample := w.example(t, "node", 0, lines, "node", filepath.Join(modules, "consumer.js"))
	cache := w.example(t, "cache", 1, entries.Options().Addr, filepath.Join(w.bin, "cache"))

	seed := rand.Uint64()
	t.Logf("the seed is %d", seed)
	w.busy(t, seed, "UPDATE products SET price = price * 0.9", "DELETE FROM products WHERE id % 10 = 0", "UPDATE products SET id = id + 1000000 WHERE id % 7 = 0")
	w.read(t, cache)
	w.passed(t, "searchindex", "python", "node", "cache") // so that all hold what the truncate is to take out
	w.exec(t, "TRUNCATE products")
	w.exec(t, insertSome, 3000)
	// Not before the truncate is done: it has no twin that would put right what a reader brought back.
	w.passed(t, "cache")
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		w.read(t, cache)
	}()
	w.busy(t, seed+1, "UPDATE products SET name = name || ' new' WHERE id % 2 = 0", "UPDATE products SET price = price + 0.05", "DELETE FROM products WHERE id % 10 = 0")
	<-reading
	w.exec(t, "INSERT INTO products (name, price) VALUES ('umbrella', 1)")
	w.passed(t, "searchindex", "python", "node", "cache")

	w.finds(t, searchindex, "umbrella")
	for _, p := range []*devstack.Program{searchindex, pythonExample, nodeExample} {
		w.terminate(t, p) // what is compared is what it leaves
	}
	want := w.table(t)
	if len(want) < 1000 {
		t.Errorf("the table has %d rows, want enough to compare", len(want))
	}
	for name, got := range map[string]map[int64]product{
		"searchindex": indexed(t, index), "python": stored(t, python, rows), "node": stored(t, python, lines),
	} {
		if wrong := differences(want, got); wrong != "" {
			t.Errorf("%s: %s", name, wrong)
		}
	}
	w.freshens(t, cache, entries)
	w.terminate(t, cache)
}

// packages installs what the examples of other languages need, and returns the Python and the folder of the script for Node.
func packages(t *testing.T) (python, modules string) {
	t.Helper()
	python, err := devstack.PythonPackages(t.Context(), t.Output(), "example-python", content(t, "python/requirements.txt"))
	if err != nil {
		t.Fatal(err)
	}
	installed, err := devstack.NodePackages(t.Context(), t.Output(), "example-node", content(t, "node/package.json"), content(t, "node/package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	// Node looks for packages beside the script, by its real path.
	modules = t.TempDir()
	for _, name := range []string{"consumer.js", "package.json"} {
		if err := os.WriteFile(filepath.Join(modules, name), content(t, "node/"+name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(installed, "node_modules"), filepath.Join(modules, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return python, modules
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// redis starts a Redis and returns a client of it.
func (w *world) redis(t *testing.T) *redis.Client {
	t.Helper()
	if err := devstack.Install(t.Context(), t.Output(), devstack.ComponentRedis); err != nil {
		t.Fatal(err)
	}
	server := w.run(t, "redis", 1, func(_ string, ports []int) []string {
		return []string{"redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(ports[0]), "--save", ""}
	}, func(ctx context.Context, ports []int) bool {
		client := redis.NewClient(&redis.Options{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))})
		defer client.Close()
		return client.Ping(ctx).Err() == nil
	})
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// read asks the cache for some products, which it has from then on.
func (w *world) read(t *testing.T, cache *devstack.Program) {
	t.Helper()
	var ids []int64
	if err := w.primary.QueryRow(t.Context(), "SELECT array_agg(id) FROM (SELECT id FROM products LIMIT 500) few").Scan(&ids); err != nil {
		t.Error(err)
	}
	for _, id := range ids {
		if code, body, err := get(t.Context(), fmt.Sprintf("http://%s/products/%d", cache.Addr(), id)); err != nil || code >= 500 {
			t.Errorf("product %d: got %d, %s (%v)", id, code, body, err)
		}
	}
}

// finds searches the index as its user does.
func (w *world) finds(t *testing.T, searchindex *devstack.Program, word string) {
	t.Helper()
	var want string
	if err := w.primary.QueryRow(t.Context(), "SELECT id FROM products WHERE name = $1", word).Scan(&want); err != nil {
		t.Fatal(err)
	}
	_, body, err := get(t.Context(), "http://"+searchindex.Addr()+"/?q="+word)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := json.Unmarshal(body, &got); err != nil || !slices.Equal(got, []string{want}) {
		t.Errorf("searching for %s: got %s (%v), want %s", word, body, err, want)
	}
}

// freshens shows that nothing old stays in the cache, even if a reader brings an old row back.
func (w *world) freshens(t *testing.T, cache *devstack.Program, entries *redis.Client) {
	t.Helper()
	var id int64
	if err := w.primary.QueryRow(t.Context(), "SELECT max(id) FROM products").Scan(&id); err != nil {
		t.Fatal(err)
	}
	page, key := fmt.Sprintf("http://%s/products/%d", cache.Addr(), id), fmt.Sprintf("product:%d", id)
	_, old, err := get(t.Context(), page)
	if err != nil {
		t.Fatal(err)
	}
	w.exec(t, "UPDATE products SET name = 'parasol' WHERE id = $1", id)
	w.eventually(t, func() string {
		n, err := entries.Exists(t.Context(), key).Result()
		return problem(err, n == 0, "%s was changed and is still in the cache", key)
	})
	// The slow reader: it has loaded the row before the change.
	if err := entries.Set(t.Context(), key, old, 0).Err(); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, func() string {
		_, body, err := get(t.Context(), page)
		return problem(err, string(body) != string(old), "the cache answers with %s, which is old", body)
	})
	w.read(t, cache)
	w.eventually(t, func() string {
		wrong, count := w.outdated(t.Context(), entries)
		if count < 400 {
			t.Fatalf("the cache has %d entries, want some that can be wrong", count)
		}
		return wrong
	})
}

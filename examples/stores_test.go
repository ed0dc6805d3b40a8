package examples_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"github.com/blevesearch/bleve/v2"
	"github.com/redis/go-redis/v9"
)

// product is what each store has of a row beside its id.
type product struct {
	Name  string `json:"name"`
	Price string `json:"price"`
}

// table is what Postgres has.
func (w *world) table(t *testing.T) map[int64]product {
	t.Helper()
	rows, err := w.primary.Query(t.Context(), "SELECT id, name, price::text FROM products")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := map[int64]product{}
	for rows.Next() {
		var id int64
		var p product
		if err := rows.Scan(&id, &p.Name, &p.Price); err != nil {
			t.Fatal(err)
		}
		all[id] = p
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// indexed is what a search index has that nobody has open.
func indexed(t *testing.T, path string) map[int64]product {
	t.Helper()
	index, err := bleve.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	count, err := index.DocCount()
	if err != nil {
		t.Fatal(err)
	}
	request := bleve.NewSearchRequestOptions(bleve.NewMatchAllQuery(), int(count), 0, false)
	request.Fields = []string{"product.name", "product.price"}
	found, err := index.Search(request)
	if err != nil {
		t.Fatal(err)
	}
	all := map[int64]product{}
	for _, hit := range found.Hits {
		if name, is := hit.Fields["product.name"].(string); is { // else it is deleted
			price, _ := hit.Fields["product.price"].(string)
			all[number(t, hit.ID)] = product{name, price}
		}
	}
	return all
}

// stored is what a SQLite file has. The Python of the example has SQLite.
func stored(t *testing.T, python, path string) map[int64]product {
	t.Helper()
	const script = `import json, sqlite3, sys
print(json.dumps({id: json.loads(row) for id, row in sqlite3.connect(sys.argv[1]).execute("SELECT id, row FROM products WHERE row IS NOT NULL")}))`
	out, err := exec.CommandContext(t.Context(), python, "-c", script, path).Output()
	if err != nil {
		t.Fatalf("reading %s: %v", path, err)
	}
	all := map[int64]product{}
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// differences are what a store has otherwise than Postgres; "" if nothing.
func differences(want, got map[int64]product) string {
	var wrong []string
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if has, is := got[id]; !is || has != want[id] {
			wrong = append(wrong, fmt.Sprintf("product %d: got %v (there: %t), want %v", id, has, is, want[id]))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(got)) {
		if _, is := want[id]; !is {
			wrong = append(wrong, fmt.Sprintf("product %d: got %v, want it deleted", id, got[id]))
		}
	}
	if len(wrong) == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d rows are wrong, such as %q", len(wrong), len(want), wrong[:min(3, len(wrong))])
}

// outdated is an entry of a cache that is not what Postgres has, "" if there is none; and how many entries there are.
func (w *world) outdated(ctx context.Context, entries *redis.Client) (wrong string, count int) {
	keys, err := entries.Keys(ctx, "product:*").Result()
	if err != nil {
		return err.Error(), 0
	}
	for _, key := range keys {
		got, err := entries.Get(ctx, key).Result()
		if err != nil {
			return fmt.Sprintf("%s: %v", key, err), len(keys) // it was taken out just now: look again
		}
		var want string
		err = w.primary.QueryRow(ctx, "SELECT coalesce((SELECT to_json(products)::text FROM products WHERE 'product:' || id = $1), 'nothing')", key).Scan(&want)
		if err != nil || got != want {
			return fmt.Sprintf("%s: got %s, want %s (%v)", key, got, want, err), len(keys)
		}
	}
	return "", len(keys)
}

func number(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

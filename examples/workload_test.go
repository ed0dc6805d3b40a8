package examples_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sync/errgroup"
)

// The words of which names are made.
func words() []string {
	return []string{"red", "blue", "small", "large", "teapot", "kettle", "cup", "saucer"}
}

const insertSome = `INSERT INTO products (name, price)
	SELECT (ARRAY['red','blue','small','large'])[1 + n % 4] || ' ' || (ARRAY['teapot','kettle','cup'])[1 + n % 3], n % 1000 / 10.0 FROM generate_series(1, $1::int) n`

// busy runs what a busy application does beside what is done in bulk, and returns when both are over.
func (w *world) busy(t *testing.T, seed uint64, bulk ...string) {
	t.Helper()
	const writers, transactions = 3, 150
	group, ctx := errgroup.WithContext(t.Context())
	for n := range writers {
		group.Go(func() error {
			dice := rand.New(rand.NewPCG(seed, uint64(n)))
			for range transactions {
				if err := w.one(ctx, dice); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		for _, sql := range bulk {
			if _, err := w.primary.Exec(ctx, sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// one is one small transaction.
func (w *world) one(ctx context.Context, dice *rand.Rand) error {
	const some = "(SELECT id FROM products OFFSET $1 LIMIT 1)"
	n := dice.IntN(2000)
	var sql string
	args := []any{n}
	switch dice.IntN(6) {
	case 0:
		all := words()
		sql = "INSERT INTO products (name, price) VALUES ($2, $1::int)"
		args = append(args, all[dice.IntN(len(all))]+" "+all[dice.IntN(len(all))])
	case 1:
		sql = "DELETE FROM products WHERE id = " + some
	case 2:
		sql = "UPDATE products SET id = nextval('products_id_seq') WHERE id = " + some
	case 3:
		sql = "UPDATE products SET name = name || ' set' WHERE id = " + some
	default:
		sql = "UPDATE products SET price = price + 1 WHERE id = " + some
	}
	if _, err := w.primary.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// Command searchindex keeps a full-text index equal to the table products, and answers searches: GET /?q=red+teapot.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/kafkasync/kafkasync/consumer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	primary, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return fmt.Errorf("reading DATABASE_URL: %w", err)
	}
	defer primary.Close()
	products, err := openIndex(os.Getenv("STORE"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, products.bleve.Close()) }()
	c, err := consumer.New(consumer.Config{
		Brokers: strings.Split(os.Getenv("KAFKA_BROKERS"), ","),
		Topics:  []string{os.Getenv("TOPIC")},
		Name:    os.Getenv("GROUP"),
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return c.Run(ctx, consumer.Sync[int64, product]{
			Table: "public.products",
			Load: func(ctx context.Context, ids []int64) (map[int64]product, error) {
				return load(ctx, primary, ids)
			},
			Upsert:   products.upsert,
			Delete:   products.remove,
			Truncate: products.truncate,
		})
	})
	group.Go(func() error { return serve(ctx, os.Getenv("LISTEN"), products) })
	return group.Wait()
}

// product is a row of the table.
type product struct {
	ID    int64  `json:"-"` // the document's own
	Name  string `json:"name"`
	Price string `json:"price"`
}

// load asks the primary, not a replica: what it says is what the index is to have.
func load(ctx context.Context, primary *pgxpool.Pool, ids []int64) (map[int64]product, error) {
	rows, err := primary.Query(ctx, "SELECT id, name, price::text FROM products WHERE id = ANY($1)", ids)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[product])
	found := make(map[int64]product, len(all))
	for _, p := range all {
		found[p.ID] = p
	}
	return found, err
}

// serve answers searches until ctx ends.
func serve(ctx context.Context, address string, products *index) error {
	server := &http.Server{Addr: address, ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, err := products.search(r.Context(), r.FormValue("q"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(found) // whoever asked may be gone
	})}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	return fmt.Errorf("answering searches: %w", errors.Join(server.ListenAndServe(), ctx.Err()))
}

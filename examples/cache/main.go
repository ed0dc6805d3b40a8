// Command cache answers GET /products/7 from Redis, and from Postgres what is not there. What kafkasync publishes takes out of Redis
// what has changed.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
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
	products := &cache{redis: redis.NewClient(&redis.Options{Addr: os.Getenv("STORE")}), primary: primary}
	defer func() { err = errors.Join(err, products.redis.Close()) }()
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
	group.Go(func() error { return c.Run(ctx, consumer.HandlerFunc(products.invalidate)) })
	group.Go(func() error { return serve(ctx, os.Getenv("LISTEN"), products) })
	return group.Wait()
}

// serve answers with products until ctx ends.
func serve(ctx context.Context, address string, products *cache) error {
	server := &http.Server{Addr: address, ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := strings.CutPrefix(r.URL.Path, "/products/")
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			http.Error(w, "want /products/ID", http.StatusNotFound)
			return
		}
		row, err := products.get(r.Context(), id)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			http.Error(w, "there is no such product", http.StatusNotFound)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(row) // whoever asked may be gone
		}
	})}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	return fmt.Errorf("answering with products: %w", errors.Join(server.ListenAndServe(), ctx.Err()))
}

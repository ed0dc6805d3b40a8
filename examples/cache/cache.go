package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
)

// cache is rows as JSON, under keys such as product:7.
type cache struct {
	redis   *redis.Client
	primary *pgxpool.Pool
}

// keep is how long an entry stays that nobody changes. Correctness does not hang on it, so it may be long.
const keep = 24 * time.Hour

func (c *cache) get(ctx context.Context, id int64) ([]byte, error) {
	cached, err := c.redis.Get(ctx, key(id)).Bytes()
	if !errors.Is(err, redis.Nil) {
		return cached, err
	}
	var row []byte
	if err := c.primary.QueryRow(ctx, "SELECT to_json(products) FROM products WHERE id = $1", id).Scan(&row); err != nil {
		return nil, fmt.Errorf("loading product %d: %w", id, err)
	}
	// Here the row can change, and the invalidation of that change pass by, before we go on: then what we write is old, and
	// would stay so for as long as it is kept. There is no lock that a reader could hold against it, and none is needed: the
	// message comes again minutes later, when whoever read the old row has long written it, and takes it out for good.
	if err := c.redis.Set(ctx, key(id), row, keep).Err(); err != nil {
		return nil, fmt.Errorf("keeping product %d: %w", id, err)
	}
	return row, nil
}

// invalidate takes out what has changed: at once, and again with the delay message. It loads nothing, so it does not
// matter what the change was.
func (c *cache) invalidate(ctx context.Context, batch []kafkasync.Message) error {
	var keys []string
	for i := range batch {
		if batch[i].Op == kafkasync.Truncated {
			if err := c.clear(ctx); err != nil {
				return err
			}
			continue
		}
		id, err := consumer.ID[int64](&batch[i])
		if err != nil {
			return err
		}
		keys = append(keys, key(id))
	}
	if len(keys) == 0 {
		return nil
	}
	return c.redis.Unlink(ctx, keys...).Err()
}

// clear takes out everything. A truncate does not come again: a reader that held an old row meanwhile keeps it until the row's next change.
func (c *cache) clear(ctx context.Context) error {
	all := c.redis.Scan(ctx, 0, "product:*", 1000).Iterator()
	for all.Next(ctx) {
		if err := c.redis.Unlink(ctx, all.Val()).Err(); err != nil {
			return err
		}
	}
	return all.Err()
}

func key(id int64) string { return fmt.Sprintf("product:%d", id) }

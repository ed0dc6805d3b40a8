package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// connectTimeout bounds one attempt over all hosts.
const connectTimeout = 10 * time.Second

// connect opens an ordinary connection. The caller ends it with hangUp.
func connect(ctx context.Context, conn *pgx.ConnConfig) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	c, err := pgx.ConnectConfig(ctx, conn)
	if err != nil {
		return nil, classify(err, "connecting to the database")
	}
	return c, nil
}

// connectWalsender opens a connection for replication. The caller ends it with hangUp.
func connectWalsender(ctx context.Context, conn *pgconn.Config, doing string) (*pgconn.PgConn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	c, err := pgconn.ConnectConfig(ctx, conn)
	return c, classify(err, doing)
}

// hangUp ends a connection, also when the context of the work has ended;
// nothing depends on how it goes.
func hangUp(ctx context.Context, c interface{ Close(context.Context) error }) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = c.Close(ctx)
}

package postgres

import (
	"context"
	"errors"
	"syscall"
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
	c, err := heardOut(&conn.Config, func() (*pgx.Conn, error) { return pgx.ConnectConfig(ctx, conn) })
	if err != nil {
		return nil, classify(err, "connecting to the database")
	}
	return c, nil
}

// connectWalsender opens a connection for replication. The caller ends it with hangUp.
func connectWalsender(ctx context.Context, conn *pgconn.Config, doing string) (*pgconn.PgConn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	c, err := heardOut(conn, func() (*pgconn.PgConn, error) { return pgconn.ConnectConfig(ctx, conn) })
	return c, classify(err, doing)
}

// heardOut opens a connection, and tries again where the server has hung up without a word of why. In TLS 1.3 the handshake is
// over for us before the server has looked at our certificate: if it refuses it while we write, its reset overtakes its reason.
func heardOut[C any](conn *pgconn.Config, open func() (C, error)) (c C, err error) {
	for range 5 {
		c, err = open()
		if conn.TLSConfig == nil || len(conn.TLSConfig.Certificates) == 0 || !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			break
		}
	}
	return c, err
}

// hangUp ends a connection, also when the context of the work has ended;
// nothing depends on how it goes.
func hangUp(ctx context.Context, c interface{ Close(context.Context) error }) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = c.Close(ctx)
}

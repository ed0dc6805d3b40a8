package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// connect opens an ordinary connection, and asks whether it is one: a pooler
// gives clients a key of its own, because the backend behind them changes.
func (c *checkup) connect(ctx context.Context, settings *pgx.ConnConfig) *pgx.Conn {
	const why = "replication needs a session of its own with the server, for as long as it lasts"
	conn, err := connect(ctx, settings)
	if isCode(err, "08P01") { // a parameter of the connection that every Postgres knows
		c.Errorf("P05", why, fixPooler, "what answers is a connection pooler, not the server")
		return nil
	}
	if err != nil {
		c.failed("P04", err)
		return nil
	}
	var pid uint32
	// No named statement: the next backend would not know it.
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	switch {
	case err != nil:
		c.failed("P04", classify(err, "looking at the connection"))
	case pid == conn.PgConn().PID():
		c.Okf("P05", "the connection is direct")
		return conn
	case c.carries(ctx, settings):
		c.Warnf("P05", "it hands a session from one connection to another, and its limits and restarts are ours too", fixPooler,
			"there is a connection pooler before the server")
		return conn
	default:
		c.Errorf("P05", why, fixPooler, "there is a connection pooler before the server")
	}
	hangUp(ctx, conn)
	return nil
}

// carries reports whether a pooler lets replication through.
func (c *checkup) carries(ctx context.Context, settings *pgx.ConnConfig) bool {
	conn, err := replicate(ctx, settings)
	if err != nil {
		return false
	}
	hangUp(ctx, conn)
	return true
}

// checkReplication opens the kind of connection that the stream will use: what
// the catalog says of a role does not tell what pg_hba.conf or a managed
// service makes of it.
func (c *checkup) checkReplication(ctx context.Context, settings *pgx.ConnConfig) {
	conn, err := replicate(ctx, settings)
	if err != nil {
		c.failed("P04", err)
		return
	}
	defer hangUp(ctx, conn)
	if c.identity, err = identify(ctx, conn); err != nil {
		c.failed("P04", err)
	}
	c.Okf("P04", "role %s may replicate", c.server.Role)
}

// replicate opens a replication connection. The caller ends it with hangUp.
func replicate(ctx context.Context, settings *pgx.ConnConfig) (*pgconn.PgConn, error) {
	replication := settings.Config.Copy()
	asWalsender(replication)
	return connectWalsender(ctx, replication, "opening a replication connection")
}

// checkRole says what the role may beyond what it needs: a hint, because it works.
func (c *checkup) checkRole() {
	if !c.server.Superuser {
		c.Okf("P29", "role %s is no superuser", c.server.Role)
		return
	}
	const role = "kafkasync"
	c.Hintf("P29", "whoever gets hold of its password, which is in our file, has the whole server",
		"CREATE ROLE "+role+" LOGIN REPLICATION PASSWORD '...'; GRANT CONNECT, CREATE ON DATABASE "+quoteName(c.server.Database)+" TO "+role+"; "+
			"-- and make it own the tables, or let their owner create the publication",
		"role %s is a superuser, and need not be", c.server.Role)
}

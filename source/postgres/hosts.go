package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// errPooled is found by requireDirect.
var errPooled = errors.New("the backend that answers is not the one that was logged in to")

// requirePrimary makes a URL that lists several servers mean the one of them that
// is the primary, unless it says by target_session_attrs what it means. A standby
// is of no use to us.
func requirePrimary(conn *pgx.ConnConfig) {
	for _, f := range conn.Fallbacks { // with sslmode=prefer also the same server without TLS
		if conn.ValidateConnect == nil && (f.Host != conn.Host || f.Port != conn.Port) {
			conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
		}
	}
}

// shareTime gives each of several servers its part of the time that there is: one that
// is gone without a word must not use up what the next one needs.
func shareTime(conn *pgx.ConnConfig, limit time.Duration) {
	servers, host, port := 1, conn.Host, conn.Port
	for _, f := range conn.Fallbacks {
		if f.Host != host || f.Port != port {
			servers, host, port = servers+1, f.Host, f.Port
		}
	}
	if share := limit / time.Duration(servers); conn.ConnectTimeout == 0 || conn.ConnectTimeout > share {
		conn.ConnectTimeout = share
	}
}

// requireDirect is how a walsender is validated. A name may lead to another
// server than a moment ago: a standby would look like a primary that was restored to
// an earlier point. A pooler that can carry replication may still drop settings
// that decoding relies on; it shows itself by handing out keys of its own.
func requireDirect(ctx context.Context, conn *pgconn.PgConn) error {
	row, err := askRow(ctx, conn, "SELECT pg_is_in_recovery(), pg_backend_pid()", 2)
	if err != nil {
		return fmt.Errorf("asking for the role of the server: %w", err)
	}
	switch {
	case row[0] == "t":
		return pgconn.ErrStandbyConnection
	case row[1] != strconv.FormatUint(uint64(conn.PID()), 10):
		return errPooled
	}
	return nil
}

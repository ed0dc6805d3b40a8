package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// errAnother is found by onSame.
var errAnother = errors.New("this is not the server whose log is being read")

// onSame returns how to connect beside a stream: to the server that it reads, and to no other.
// Of several servers that accept writes, one is an old primary that has come back;
// what it says of tables and slots is of another time.
func onSame(conn *pgx.ConnConfig, server place) *pgx.ConnConfig {
	same := conn.Copy()
	validate := same.ValidateConnect
	same.ValidateConnect = func(ctx context.Context, c *pgconn.PgConn) error {
		if validate != nil {
			if err := validate(ctx, c); err != nil {
				return err
			}
		}
		row, err := askRow(ctx, c, identitySQL, 2)
		if err != nil {
			return fmt.Errorf("asking for the identity of the server: %w", err)
		}
		if row[0] != server.system || row[1] != fmt.Sprint(server.timeline) {
			return errAnother
		}
		return nil
	}
	return same
}

// identitySQL asks a primary for what begins its positions.
const identitySQL = `SELECT (SELECT system_identifier::text FROM pg_control_system()),
	('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int`

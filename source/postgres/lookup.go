package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// lookup is the catalog of a live server. It connects for each question: they
// are rare, and a connection that is held for days between two would only break.
type lookup struct{ conn *pgx.ConnConfig }

func (l lookup) primaryKey(ctx context.Context, table uint32) ([]string, error) {
	conn, err := connect(ctx, l.conn)
	if err != nil {
		return nil, err
	}
	defer hangUp(ctx, conn)
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	found, err := queryIndexes(ctx, conn, []uint32{table})
	if err != nil {
		return nil, classify(err, "listing the indexes")
	}
	h := heap{Indexes: found[table]}
	return h.primaryKey(), nil
}

func (l lookup) typeName(ctx context.Context, oid uint32) (string, error) {
	conn, err := connect(ctx, l.conn)
	if err != nil {
		return "", err
	}
	defer hangUp(ctx, conn)
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var name string
	if err := conn.QueryRow(ctx, "SELECT format_type($1, NULL)", oid).Scan(&name); err != nil {
		return "", classify(err, fmt.Sprintf("asking for the name of type %d", oid))
	}
	return name, nil
}

package postgres

import (
	"context"

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

func (l lookup) textual(ctx context.Context, oid uint32) (bool, error) {
	conn, err := connect(ctx, l.conn)
	if err != nil {
		return false, err
	}
	defer hangUp(ctx, conn)
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	found, err := baseTypes(ctx, conn, []uint32{oid})
	return found[oid].textual, err
}

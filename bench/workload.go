package main

import (
	"context"
	"fmt"
	"time"
)

// workload is a way to change rows.
type workload struct {
	name string
	rows int
	sql  string
}

func (b *bench) workloads() []workload {
	bulk := workload{
		name: fmt.Sprintf("one UPDATE of %d rows", b.o.rows), rows: b.o.rows,
		sql: touch(""),
	}
	if b.o.txs == 0 {
		return []workload{bulk}
	}
	return []workload{bulk, {
		name: fmt.Sprintf("%d transactions of one row", b.o.txs), rows: b.o.txs,
		sql: fmt.Sprintf("CALL one_by_one(%d)", b.o.txs),
	}}
}

// write runs a workload. It returns where the log ends that holds it, and makes
// sure that there is a transaction behind that end.
func (b *bench) write(ctx context.Context, w workload) (place, error) {
	began := time.Now()
	if err := b.db.exec(ctx, w.sql); err != nil {
		return 0, fmt.Errorf("writing: %w", err)
	}
	b.say("%s written in %.1f s", w.name, time.Since(began).Seconds())
	end, err := b.db.logEnd(ctx)
	if err != nil {
		return 0, err
	}
	return end, b.db.mark(ctx)
}

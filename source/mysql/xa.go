package mysql

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/gtid"
	"github.com/kafkasync/kafkasync/source"
)

// maxPrepared bounds what is kept of XA transactions that are prepared, in bytes of the log.
const maxPrepared = 16 << 20

// prepared are the XA transactions that may still be committed or rolled back. The log has
// their rows where they are prepared, which may be long before; published they are where they are committed.
type prepared struct {
	of    map[string]*branch
	bytes int
	since time.Time // when the first of them was read
	told  bool
}

type branch struct {
	ids    []gtid.ID
	events []event
}

func (p *prepared) empty() bool { return len(p.of) == 0 }

func (p *prepared) begin(xid string) error {
	if p.of == nil {
		p.of = map[string]*branch{}
	}
	if _, twice := p.of[xid]; twice {
		return fmt.Errorf("decoding the log: the XA transaction %s begins while it is prepared", xid)
	}
	if p.empty() {
		p.since, p.told = time.Now(), false
	}
	p.of[xid] = &branch{}
	return nil
}

// keep keeps an event until the transaction ends.
func (p *prepared) keep(xid string, e *event) error {
	if p.bytes += len(e.raw); p.bytes > maxPrepared {
		return &kafkasync.Fault{
			Class: kafkasync.Stop, What: fmt.Sprintf("the XA transactions that are prepared hold more than %d MiB", maxPrepared>>20),
			Risk: "their changes: they are in the log before they are committed, and have to be kept until then",
			Fix:  "end what is prepared (XA RECOVER), and let applications use smaller ones; then " + fixAnew,
		}
	}
	b := p.of[xid]
	b.events = append(b.events, event{header: e.header, raw: slices.Clone(e.raw)})
	return nil
}

func (p *prepared) drop(xid string) {
	b, ok := p.of[xid]
	if !ok {
		return
	}
	for i := range b.events {
		p.bytes -= len(b.events[i].raw)
	}
	delete(p.of, xid)
}

// tellHeld says, once, that the position cannot move because something has been prepared for long. A
// restart would read all since then again.
func (j *journal) tellHeld(ctx context.Context) {
	const long = time.Minute
	if !j.held() || j.prepared.told || time.Since(j.prepared.since) < long {
		return
	}
	j.prepared.told = true
	j.log.WarnContext(ctx, "the position stays where an XA transaction was prepared, until it is committed or rolled back",
		"xids", strings.Join(slices.Sorted(maps.Keys(j.prepared.of)), " "))
}

// xa reads one of XA's statements: where a branch begins, and what became of it.
func (j *journal) xa(ctx context.Context, b *source.Batch, e *event, sql string) error {
	words, onePhase := strings.CutSuffix(strings.ToUpper(strings.TrimSpace(sql)), " ONE PHASE")
	words = strings.Join(strings.Fields(words), " ")
	verb, xid, _ := strings.Cut(strings.TrimPrefix(words, "XA "), " ")
	xid = strings.ReplaceAll(xid, " ", "")
	switch verb {
	case "START", "BEGIN":
		j.tx.begun = true
		if j.tx.xid == xid { // MariaDB has named it already
			return nil
		}
		j.tx.xid = xid
		return j.prepared.begin(xid)
	case "END":
		return nil
	case "COMMIT":
		if onePhase {
			return j.ends(e)
		}
		return j.finish(ctx, b, e, xid, true)
	case "ROLLBACK":
		return j.finish(ctx, b, e, xid, false)
	}
	return fmt.Errorf("decoding the log: an XA statement that is not known: %s", words)
}

// prepare ends the rows of a branch. If it says so itself, it is committed with that.
func (j *journal) prepare(ctx context.Context, b *source.Batch, e *event) error {
	if j.tx.onePhase != "" { // the batch was full
		return j.publish(ctx, b, e, j.tx.onePhase)
	}
	xid := j.tx.xid
	if xid == "" || len(e.body()) == 0 {
		return fmt.Errorf("decoding the log: %s outside of an XA transaction", e.header.EventType)
	}
	if e.body()[0] != 0 { // in one phase
		j.tx.xid, j.tx.onePhase = "", xid
		return j.publish(ctx, b, e, xid)
	}
	if j.at.kind == kindMySQL {
		// It stays out of the position until it ends, so that reading begins with it again.
		j.prepared.of[xid].ids = []gtid.ID{j.tx.id}
		j.tx = transaction{}
		return nil
	}
	j.tx.xid = "" // kept
	return j.pass(e)
}

// finish ends a branch that was prepared.
func (j *journal) finish(ctx context.Context, b *source.Batch, e *event, xid string, commits bool) error {
	branch, known := j.prepared.of[xid]
	if !known {
		if commits {
			if err := j.coverage.unknownBranch(ctx, j.at, xid); err != nil {
				return err
			}
		}
		return j.ends(e)
	}
	ids := branch.ids
	if commits {
		if err := j.replay(ctx, b, branch); err != nil {
			return err
		}
	}
	j.prepared.drop(xid)
	for _, id := range ids {
		j.at.set.Add(id)
	}
	return j.ends(e)
}

// publish is finish for a branch that is committed where it was prepared.
func (j *journal) publish(ctx context.Context, b *source.Batch, e *event, xid string) error {
	if err := j.replay(ctx, b, j.prepared.of[xid]); err != nil {
		return err
	}
	j.prepared.drop(xid)
	return j.ends(e)
}

// replay reads the events of a branch under the transaction that commits it. If the batch is full, it goes
// on with the next one where it was.
func (j *journal) replay(ctx context.Context, b *source.Batch, branch *branch) error {
	for len(branch.events) > 0 {
		e := &branch.events[0]
		if err := j.event(ctx, b, e); err != nil {
			return err
		}
		j.prepared.bytes -= len(e.raw)
		branch.events = branch.events[1:]
	}
	return nil
}

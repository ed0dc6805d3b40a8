package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/findings"
)

const (
	lookEvery  = 2 * time.Second  // how late a new table is noticed
	lookShare  = 50               // or, if looking takes long, so many times as late
	retryEvery = 30 * time.Second // how often what could not be covered is tried again
)

// Why a table has a gap, in the words of an operator.
const (
	causeLate        = "it was covered only from there on"
	causeInterrupted = "it was not in the publication, or not with all operations, for a while"
)

// keeper keeps what is covered in step with the tables that there are, and with
// the publication. It looks when the log is opened, and every few seconds while it is read.
//
// What the cluster has registered as covered stays so until the keeper finds it
// interrupted; a table is registered only once all its changes are known to be
// published. Whatever happens between, changes of a table are missing only where a gap is registered.
type keeper struct {
	source *Source
	memory source.Memory
	// origin is the server and the timeline that positions are made of; known once the log is open.
	origin place

	last inventory // as of the last look
	// settled are the entries that were last compared with what is registered.
	settled []entry
	// sure is up to where everything was in order for certain; 0 until this run knows. It
	// follows mark as soon as transactions of then have ended.
	sure     pglogrepl.LSN
	mark     mark
	joining  map[string]*candidate // by membership
	said     map[string]string     // by table: why it is not covered, as the log says it
	problems map[string]string     // the same, as of the last look at the tables
	retryAt  time.Time             // when to try again what could not be covered
	// confirmed tells up to where nothing will be read again; nil while the stream is being opened.
	confirmed func() pglogrepl.LSN
	gone      map[string]pglogrepl.LSN // by id: covered tables that were dropped, and where their log ends
}

func (s *Source) newKeeper(memory source.Memory) *keeper {
	return &keeper{source: s, memory: memory, joining: map[string]*candidate{}, said: map[string]string{}, problems: map[string]string{}, gone: map[string]pglogrepl.LSN{}}
}

// open looks for the first time, and refuses to read a log that does not hold
// what the pipeline covers. It returns the tables that are published.
func (k *keeper) open(ctx context.Context, conn *pgx.Conn, at place) ([]table, error) {
	k.origin = at
	k.recall()
	inv, err := takeInventory(ctx, conn, k.source.cfg.Publication)
	if err != nil {
		return nil, err
	}
	if err := k.settle(ctx, &inv); err != nil {
		return nil, err
	}
	settled := inv.entries
	published, err := k.publish(ctx, conn, &inv)
	if err != nil {
		return nil, err
	}
	if len(published) == 0 {
		return nil, k.source.nothingMatches()
	}
	k.last, k.settled = inv, settled
	k.show()
	return published, nil
}

// publish adds what is missing in the publication, and returns the tables whose
// changes the pipeline is then sent.
func (k *keeper) publish(ctx context.Context, conn *pgx.Conn, inv *inventory) ([]table, error) {
	found, err := tables(ctx, conn, k.source.selector.Captures)
	if err != nil {
		return nil, err
	}
	inv.publication.excuse(found)
	clear(k.problems)
	if err := k.memorize(ctx, found); err != nil {
		return nil, err
	}
	if err := k.add(ctx, conn, inv, found); err != nil {
		return nil, err
	}
	published := slices.DeleteFunc(found, func(t table) bool {
		e := inv.byName(t.Name)
		return e == nil || !e.Published
	})
	return published, k.source.requireVisible(inv.publication, published)
}

// look looks again. An error that is a Fault of class Wait or Stop ends the
// reading; another one is of the connection.
func (k *keeper) look(ctx context.Context, conn *pgx.Conn) error {
	oldest, next, err := transactionIDs(ctx, conn)
	if err != nil {
		return err
	}
	inv, err := takeInventory(ctx, conn, k.source.cfg.Publication)
	if err != nil {
		return err
	}
	settled := inv.entries // publish may replace them with later ones, which the next look settles
	if now := time.Now(); k.changed(&inv) || k.due(&inv, now) || k.passed() {
		k.retryAt = now.Add(retryEvery)
		if err := k.settle(ctx, &inv); err != nil {
			return err
		}
		if _, err := k.publish(ctx, conn, &inv); err != nil {
			return err
		}
	}
	k.advance(oldest, next)
	k.last, k.settled = inv, settled
	err = k.join(ctx, conn)
	k.show()
	return err
}

func (k *keeper) changed(inv *inventory) bool {
	return inv.publication == nil || inv.publication.requireComplete() != nil || !slices.Equal(inv.entries, k.settled)
}

// due reports whether it is time to try again what could not be added: what was
// wrong with the table does not show in the inventory.
func (k *keeper) due(inv *inventory, now time.Time) bool {
	return now.After(k.retryAt) && slices.ContainsFunc(inv.entries, func(e entry) bool {
		return !e.Published && k.source.selector.Captures(e.Name)
	})
}

// settle compares what is registered as covered with what there is.
func (k *keeper) settle(ctx context.Context, inv *inventory) error {
	if inv.publication == nil {
		return &kafkasync.Fault{
			Class: kafkasync.Stop, What: fmt.Sprintf("the publication %s does not exist any more", k.source.cfg.Publication),
			Risk: "changes written since it was dropped", Fix: fixNewSlot,
		}
	}
	whole := inv.publication.requireComplete()
	before := k.memory.Covered()
	var after []source.Coverage
	var errs []error
	for _, c := range before {
		c, stays, err := k.compare(ctx, c, inv, whole == nil)
		if err != nil {
			errs = append(errs, err)
		}
		if stays {
			after = append(after, c)
		}
	}
	if len(errs) == 0 && !slices.Equal(before, after) {
		if err := k.memory.Cover(ctx, after, nil); err != nil {
			return err
		}
	}
	return errors.Join(append(errs, whole)...)
}

// compare says what has become of one covered table.
func (k *keeper) compare(ctx context.Context, c source.Coverage, inv *inventory, whole bool) (_ source.Coverage, stays bool, _ error) {
	membership, _ := splitID(c.ID)
	e := inv.byID(membership)
	if e == nil || c.Until != "" {
		e = inv.byName(c.Table)
	}
	log := k.source.log
	switch {
	case e == nil && k.unread(c, inv):
		return c, true, nil
	case e == nil:
		log.InfoContext(ctx, "a covered table was dropped", "table", c.Table)
		return c, false, nil
	case !k.source.selector.Captures(e.Name):
		if e.Name != c.Table {
			log.WarnContext(ctx, "a covered table was renamed to a name without a rule; its changes are no longer published", "table", c.Table, "now", e.Name)
			return c, false, nil
		}
		if err := k.requireRule(c.Table); err != nil {
			return c, true, err
		}
		log.WarnContext(ctx, "a rule skips a table that was covered; its changes are no longer published", "table", c.Table)
		return c, false, nil
	case c.Until != "": // until it has joined again
		return c, true, nil
	case e.Membership != membership || !whole:
		c.Until = k.until(c)
		log.WarnContext(ctx, "a table was not published for a while; its changes since then are missing", "table", c.Table, "since", string(c.Until))
		return c, true, nil
	}
	c.Table = e.Name
	return c, true, nil
}

// until is up to where a table's coverage is known to have been whole. Right after the
// log was opened only earlier runs know. The gap may be larger than what is missing, never smaller.
func (k *keeper) until(c source.Coverage) source.Position {
	if k.sure > 0 {
		return k.position(k.sure)
	}
	if at, ok := k.intact(c.Since); ok {
		return at
	}
	if c.Since == "" {
		return k.first()
	}
	return c.Since
}

// first stands for the pipeline's first position, which nobody remembers: the beginning of the log.
func (k *keeper) first() source.Position { return k.origin.first() }

func (k *keeper) position(lsn pglogrepl.LSN) source.Position {
	at := k.origin
	at.lsn = lsn
	return at.position()
}

// requireRule refuses to pass over changes of a covered table that no rule
// mentions any more: mostly its rule was mistyped or lost, and once the position
// has moved, its changes are gone.
func (k *keeper) requireRule(table string) error {
	book, ok := k.source.selector.(findings.Rules)
	if ok && book.Mentions(table) {
		return nil
	}
	return &kafkasync.Fault{
		Class: kafkasync.Wait, What: table + " is covered by this pipeline, and no rule of the file mentions it any more",
		Risk: "changes of this table",
		Fix: fmt.Sprintf("put its rule back, or end its coverage: kafkasync table forget %s %s (or the rule {match: %s, skip: true})",
			namePlace, table, table),
	}
}

// add puts tables into the publication that came later. One of them that cannot
// be added must not hold up all others, or their log would fill the server's disk:
// it is not covered, and said so once.
func (k *keeper) add(ctx context.Context, conn *pgx.Conn, inv *inventory, found []table) error {
	added := false
	for i := range found {
		t := &found[i]
		e := inv.byName(t.Name)
		if e == nil || e.Published {
			k.remind(ctx, t)
			continue
		}
		err := k.source.requirePublishable(t)
		if err == nil {
			err = extend(ctx, conn, inv.publication, []table{*t})
		}
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			k.say(ctx, t.Name, err)
			continue
		}
		added = true
	}
	if !added {
		return nil
	}
	now, err := takeInventory(ctx, conn, k.source.cfg.Publication)
	if err != nil {
		return err
	}
	// What else has changed since, the next look finds: it compares with the entries of before.
	now.lsn = inv.lsn
	*inv = now
	if now.publication == nil {
		return errors.New("the publication was dropped while a table was added to it")
	}
	return nil
}

// remind says what is wrong with a published table: its application's updates may
// fail already, and only its owner can help.
func (k *keeper) remind(ctx context.Context, t *table) {
	if err := k.source.requirePublishable(t); err != nil {
		k.say(ctx, t.Name, err)
	}
}

func (k *keeper) say(ctx context.Context, table string, err error) {
	text := err.Error()
	k.problems[table] = text
	if k.said[table] != text {
		k.said[table] = text
		k.source.log.WarnContext(ctx, "a table that matches a rule is not covered, or not wholly", "table", table, "err", err)
	}
}

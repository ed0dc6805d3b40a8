package postgres

import (
	"github.com/jackc/pglogrepl"

	"github.com/kafkasync/kafkasync/source"
)

// mark is a place in the log, and a transaction id given out after it: what committed
// before the place has a lower one. A commit is in the log before others see it,
// on a server that waits for a standby long before. So an inventory shows all that
// committed before the place only if every lower transaction had ended when it was taken.
type mark struct {
	lsn  pglogrepl.LSN
	next int64
}

// advance takes note of a look that found everything in order, or registered what was not.
// oldest and next are of open transactions as of just before its inventory; that of the look
// before is still in last.
func (k *keeper) advance(oldest, next int64) {
	if oldest < k.mark.next {
		return // until the transactions of then have ended
	}
	if k.mark.lsn > 0 {
		k.sure = k.mark.lsn
		k.memory.SetIntact(k.position(k.sure))
	}
	k.mark = mark{lsn: k.last.lsn, next: next}
}

// intact is up to where earlier runs found everything in order, if that is more than
// is known anyway. They may have looked beyond the checkpoint, at log that the
// server had not written to disk, or has lost in a restore, before it wrote another
// one at the same places. What was read, the server had on disk; so the checkpoint
// bounds it.
func (k *keeper) intact(since source.Position) (source.Position, bool) {
	at, err := parsePosition(k.memory.Intact())
	if err != nil || at.system != k.origin.system || at.timeline != k.origin.timeline {
		return "", false
	}
	at.lsn = min(at.lsn, k.origin.lsn)
	if since == "" {
		return at.position(), true
	}
	from, err := parsePosition(since)
	return at.position(), err == nil && from.system == at.system && from.lsn < at.lsn
}

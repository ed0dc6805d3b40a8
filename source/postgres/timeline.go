package postgres

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
)

// ancestor is a timeline that another one descends from, and where it was left.
type ancestor struct {
	timeline int32
	end      pglogrepl.LSN
}

// parseHistory reads a timeline's history file: its ancestors, the oldest first.
// Each line is a timeline, where it was left, and why; # begins a comment.
func parseHistory(content []byte) ([]ancestor, error) {
	var history []ancestor
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			return nil, fmt.Errorf("the line %q has no place", line)
		}
		timeline, err := strconv.ParseInt(fields[0], 10, 32)
		if err != nil || timeline < 1 {
			return nil, fmt.Errorf("the line %q: %q is not a timeline", line, fields[0])
		}
		end, err := pglogrepl.ParseLSN(fields[1])
		if err != nil {
			return nil, fmt.Errorf("the line %q: %w", line, err)
		}
		if n := len(history); n > 0 && int32(timeline) <= history[n-1].timeline {
			return nil, fmt.Errorf("timeline %d follows timeline %d", timeline, history[n-1].timeline)
		}
		history = append(history, ancestor{int32(timeline), end})
	}
	return history, nil
}

// startAt returns where to start reading on this server, given the checkpoint: a
// place on the server's timeline. It refuses, with a Fault of class Stop, where the
// server cannot send all that follows the checkpoint.
func (s *Source) startAt(ctx context.Context, replication *pgconn.PgConn, server place, slot *slotState, at place) (place, error) {
	if server.system != at.system || server.timeline <= at.timeline {
		return at, requireReached(server, slot, at)
	}
	history, err := askHistory(ctx, replication, server.timeline)
	if err != nil {
		return place{}, err
	}
	end, err := leftAt(history, server, slot, at)
	if err != nil {
		return place{}, err
	}
	start := place{system: server.system, timeline: server.timeline, lsn: slot.ConfirmedFlush}
	about := []any{
		"slot", slot.Name, "timeline", server.timeline, "switch", end.String(),
		"checkpoint", string(at.position()), "start", string(start.position()),
	}
	if at.lsn > end {
		s.log.WarnContext(ctx, "the new primary lacks the end of the old one's log, which is published up to the checkpoint: "+
			"rows that were changed there are as before in the database, and no message says so", about...)
	} else {
		s.log.InfoContext(ctx, "a standby has become the primary; reading goes on there", about...)
	}
	return start, nil
}

// requireReached refuses a server that has never been at the checkpoint, or whose slot has left it behind.
func requireReached(server place, slot *slotState, at place) error {
	switch {
	case server.system != at.system:
		return otherServer(server.system, at)
	case server.timeline < at.timeline:
		return stop(fmt.Sprintf("what was written on timeline %d", at.timeline),
			"stop this server and point source.postgres.url at the present primary; or, if this one is meant: "+fixNewSlot,
			"the server is on timeline %d, and the checkpoint at %s on timeline %d: it is an old primary that has come back, or was restored to an earlier point",
			server.timeline, at.lsn, at.timeline)
	case server.lsn < at.lsn:
		return stop("what was published after that point and is gone from the database", fixNewSlot,
			"the server's log ends at %s, before the checkpoint at %s: it was restored to an earlier point", server.lsn, at.lsn)
	case slot.ConfirmedFlush > at.lsn:
		return stop("changes between the two", fixAdoptSlot,
			"the replication slot %s has moved to %s, beyond the checkpoint at %s: something else has read it, or it was made anew", slot.Name, slot.ConfirmedFlush, at.lsn)
	}
	return nil
}

// otherServer is about a server that has never been the checkpoint's.
func otherServer(system string, at place) error {
	return stop("all changes since the checkpoint", "point source.postgres.url at the server of before; or "+fixNewSlot,
		"the server is another one: its system identifier is %s, the checkpoint is of %s", system, at.system)
}

// leftAt returns where the server's history left the checkpoint's timeline, which
// is an older one. That may be before the checkpoint: what follows in our timeline is
// then another log than the server's, with other commits at the same places. A server
// that is asked for a later place than its slot's would skip these without a word, so
// reading starts at the slot's own place, if that lies in the history of both.
func leftAt(history []ancestor, server place, slot *slotState, at place) (pglogrepl.LSN, error) {
	i := slices.IndexFunc(history, func(a ancestor) bool { return a.timeline == at.timeline })
	if i < 0 {
		return 0, stop("changes of both timelines since they parted",
			fmt.Sprintf("point source.postgres.url at a server that has followed timeline %d; or %s", at.timeline, fixNewSlot),
			"the server is on timeline %d, which does not descend from timeline %d of the checkpoint: it branched off before", server.timeline, at.timeline)
	}
	end := history[i].end
	switch {
	case slot.ConfirmedFlush > at.lsn:
		return 0, stop("changes between the two", fixAdoptSlot,
			"the server was promoted to timeline %d, and there the replication slot %s stands at %s, beyond the checkpoint at %s on timeline %d: something else has read it, or it was made anew",
			server.timeline, slot.Name, slot.ConfirmedFlush, at.lsn, at.timeline)
	case slot.ConfirmedFlush > end:
		return 0, stop("changes between the two", fixAdoptSlot,
			"the server left timeline %d at %s, and the replication slot %s stands at %s, after that: something else has read it, or it was made anew",
			at.timeline, end, slot.Name, slot.ConfirmedFlush)
	}
	return end, nil
}

// askHistory returns the ancestors of the server's timeline.
func askHistory(ctx context.Context, replication *pgconn.PgConn, timeline int32) ([]ancestor, error) {
	answer, err := pglogrepl.TimelineHistory(ctx, replication, timeline)
	if err != nil {
		return nil, classify(err, "asking for the history of timeline "+strconv.Itoa(int(timeline)))
	}
	history, err := parseHistory(answer.Content)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", answer.FileName, err)
	}
	return history, nil
}

func stop(risk, fix, what string, args ...any) error {
	return &kafkasync.Fault{Class: kafkasync.Stop, What: fmt.Sprintf(what, args...), Risk: risk, Fix: fix}
}

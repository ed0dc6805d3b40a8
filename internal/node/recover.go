package node

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
	"github.com/kafkasync/kafkasync/source"
)

// maxCause bounds the words that are kept with each gap.
const maxCause = 300

// recover gives changes up so that a pipeline can go on. It is refused while the
// pipeline could go on without.
func (op *operator) recover(ctx context.Context, o web.Recover) (web.Result, error) {
	m, err := op.member(o.Pipeline)
	if err != nil {
		return web.Result{}, err
	}
	if err := oneWay(o); err != nil {
		return web.Result{}, err
	}
	if o.AdoptSlot && m.slotless {
		return web.Result{}, refuse(http.StatusBadRequest, fmt.Sprintf("the database of pipeline %s has no slots, so there is none to adopt", m.name), "",
			"to begin anew at the present: kafkasync recover "+m.name+" --new-slot; or at a position that you know: --skip-to POSITION --accept-gap")
	}
	cause, err := hopeless(m.status.Snapshot(time.Now()), o.AcceptGap)
	if err != nil {
		return web.Result{}, err
	}
	result := web.Result{Done: true}
	err = op.give(ctx, m, nil, func(ctx context.Context, l *raftstate.Lease) error {
		before := op.state(m.name).Gaps
		var err error
		switch {
		case o.NewSlot:
			result.Text, err = newSlot(ctx, m, l, cause)
		case o.AdoptSlot:
			result.Text, err = adoptSlot(ctx, m, l, cause)
		default:
			result.Text, err = skipTo(ctx, m, l, source.Position(o.SkipTo), cause)
		}
		result.Gaps = op.recorded(m.name, before)
		return err
	})
	return result, err
}

func oneWay(o web.Recover) error {
	ways := 0
	for _, chosen := range []bool{o.NewSlot, o.AdoptSlot, o.SkipTo != ""} {
		if chosen {
			ways++
		}
	}
	switch {
	case ways != 1:
		return refuse(http.StatusBadRequest, "recover needs exactly one of new_slot, adopt_slot and skip_to", "", "say which")
	case o.SkipTo != "" && !o.AcceptGap:
		return refuse(http.StatusBadRequest, "skip_to gives changes up, which accept_gap has to allow",
			"what was written before "+o.SkipTo+" and is not published yet", "add --accept-gap")
	}
	return nil
}

// hopeless returns why a pipeline does not run, in words, or refuses because it runs or still may.
func hopeless(s pipeline.Snapshot, accept bool) (cause string, err error) {
	cause = s.Cause
	switch {
	case s.State == pipeline.Streaming:
		return "", refuse(http.StatusConflict, fmt.Sprintf("pipeline %s is streaming: there is nothing to recover", s.Name), "",
			"to move its position by hand: kafkasync position set "+s.Name+" POSITION")
	case s.Error == "":
		return "", refuse(http.StatusConflict, fmt.Sprintf("pipeline %s is starting: nothing is known to be wrong with it", s.Name), "",
			"look again in a moment: kafkasync status")
	case s.State != pipeline.Stopped && !accept:
		return "", refuse(http.StatusConflict, fmt.Sprintf("pipeline %s has not stopped: it goes on without loss once this is over: %s", s.Name, cause),
			"all changes since its position, if it is recovered now",
			"put that right; or, if it cannot be, give the changes up by adding --accept-gap")
	}
	if runes := []rune(cause); len(runes) > maxCause {
		cause = string(runes[:maxCause]) + "..."
	}
	return cause, nil
}

// newSlot makes the next run begin anew, at the present. The slot, if the database has them, goes first: were the position given up
// before it, a crash in between would let the next run adopt the slot that is to
// be thrown away. As it is, a crash leaves a position without a slot, which stops the
// pipeline as before, and the order can be given again.
func newSlot(ctx context.Context, m *member, l *raftstate.Lease, cause string) (string, error) {
	if !l.Declared() && m.slotless {
		return "", refuse(http.StatusConflict, fmt.Sprintf("pipeline %s has not begun yet, so there is nothing to begin anew", m.name), "", "put right what it says: "+cause)
	}
	if !l.Declared() {
		return "", refuse(http.StatusConflict, fmt.Sprintf("pipeline %s has not made a slot yet; one that is there is somebody else's, and is not dropped", m.name), "",
			"put right what it says: "+cause)
	}
	if err := m.source.Release(ctx); err != nil {
		return "", fmt.Errorf("releasing the old slot: %w", err)
	}
	from := l.Position()
	if err := l.Skip(ctx, "", cause); err != nil {
		return "", err
	}
	if m.slotless {
		return fmt.Sprintf("Pipeline %s begins anew where the log ends now. What was written%s before that is not published.", m.name, after(from)), nil
	}
	return fmt.Sprintf("Pipeline %s begins anew with a slot of its own. What was written%s before that slot's beginning is not published.",
		m.name, after(from)), nil
}

// adoptSlot is one step, so it happens or not.
func adoptSlot(ctx context.Context, m *member, l *raftstate.Lease, cause string) (string, error) {
	from := l.Position()
	if err := l.Skip(ctx, "", cause); err != nil {
		return "", err
	}
	return fmt.Sprintf("Pipeline %s goes on with the slot that is there, where that slot stands. What was written%s before that place is taken as not published.",
		m.name, after(from)), nil
}

func skipTo(ctx context.Context, m *member, l *raftstate.Lease, to source.Position, cause string) (string, error) {
	from := l.Position()
	skips, err := m.source.Seek(ctx, from, to)
	if err != nil {
		return "", fmt.Errorf("moving pipeline %s: %w", m.name, err)
	}
	if !skips {
		return "", refuse(http.StatusConflict, fmt.Sprintf("position %s skips nothing: it is not beyond %s, where the pipeline stands", to, place(from)), "",
			"to read from there again: kafkasync position set "+m.name+" "+string(to))
	}
	if err := l.Skip(ctx, to, cause); err != nil {
		return "", err
	}
	return fmt.Sprintf("Pipeline %s goes on at %s. What was written%s before that is not published.", m.name, to, after(from)), nil
}

package node

import (
	"context"
	"fmt"
	"net/http"

	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
	"github.com/kafkasync/kafkasync/source"
)

// setPosition moves a pipeline to another place of the log, back or on.
func (op *operator) setPosition(ctx context.Context, o web.SetPosition) (web.Result, error) {
	m, err := op.member(o.Pipeline)
	if err != nil {
		return web.Result{}, err
	}
	now, to := op.state(m.name).Position, source.Position(o.Position)
	switch {
	case to == "":
		return web.Result{}, refuse(http.StatusBadRequest, "a position is needed", "", "see 'kafkasync position show "+m.name+"' for what one looks like")
	case to == now:
		return web.Result{}, refuse(http.StatusConflict, fmt.Sprintf("pipeline %s stands at %s already", m.name, to), "", "")
	case o.DryRun:
		return web.Result{Text: fmt.Sprintf("Pipeline %s, which stands at %s, will be interrupted and go on at %s. "+
			"If that lies further back, what is between is published again. If it lies ahead, what is between is not published, "+
			"and recorded as a gap of each covered table. The server must still hold its log from there on.", m.name, place(now), to)}, nil
	}
	result := web.Result{Done: true}
	err = op.give(ctx, m, nil, func(ctx context.Context, l *raftstate.Lease) error {
		from, before := l.Position(), op.state(m.name).Gaps
		skips, err := m.source.Seek(ctx, from, to)
		if err != nil {
			return fmt.Errorf("moving pipeline %s: %w", m.name, err)
		}
		if !skips {
			result.Text = fmt.Sprintf("Pipeline %s goes on at %s. What was written between that and %s is published again.", m.name, to, place(from))
			return l.Commit(ctx, to)
		}
		result.Text = fmt.Sprintf("Pipeline %s goes on at %s. What was written%s before that is not published.", m.name, to, after(from))
		if err := l.Skip(ctx, to, "the position was set by hand"); err != nil {
			return err
		}
		result.Gaps = op.recorded(m.name, before)
		return nil
	})
	return result, err
}

package node

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
	"github.com/kafkasync/kafkasync/source"
)

// forget ends the coverage of a table. Its changes are published no more, and what it lacked is
// of no interest.
func (op *operator) forget(ctx context.Context, o web.Forget) (web.Result, error) {
	m, err := op.member(o.Pipeline)
	if err != nil {
		return web.Result{}, err
	}
	if err := op.forgettable(m, o.Table); err != nil {
		return web.Result{}, err
	}
	if err := op.unwanted(ctx, o); err != nil {
		return web.Result{}, err
	}
	result := web.Result{Done: !o.DryRun, Left: m.withdraw(o.Table)}
	if o.DryRun {
		result.Text = fmt.Sprintf("Pipeline %s will not remember any more that it covers %s, nor the gaps of it. If a rule captures the table again later, "+
			"what was changed until then is recorded as a gap.", m.name, o.Table)
		return result, nil
	}
	result.Text = fmt.Sprintf("Pipeline %s has forgotten %s.", m.name, o.Table)
	return result, op.give(ctx, m, nil, func(ctx context.Context, l *raftstate.Lease) error {
		return l.Cover(ctx, slices.DeleteFunc(l.Covered(), func(c source.Coverage) bool { return c.Table == o.Table }), nil)
	})
}

// forgettable refuses a table that is not covered, or that this node would cover again at once.
func (op *operator) forgettable(m *member, table string) error {
	covered := op.state(m.name).Covered
	names := make([]string, len(covered))
	for i, c := range covered {
		names[i] = c.Table
	}
	if !slices.Contains(names, table) {
		fix := "it covers nothing"
		if near := config.Nearest(table, names); near != "" {
			fix = "did you mean " + near + "?"
		} else if len(names) > 0 {
			fix = "it covers: " + strings.Join(names, ", ")
		}
		return refuse(http.StatusNotFound, fmt.Sprintf("pipeline %s does not cover %s", m.name, table), "", fix)
	}
	if m.captures(table) {
		return refuse(http.StatusConflict, fmt.Sprintf("a rule of pipeline %s captures %s", m.name, table), "",
			fmt.Sprintf("take its rule out of the file, or write {match: %s, skip: true} before the others; start the node again; then repeat this", table))
	}
	return nil
}

// unwanted refuses a table that another node would cover again as soon as it leads.
func (op *operator) unwanted(ctx context.Context, o web.Forget) error {
	for id, r := range survey[bool](ctx, op.peers, others(op.peers.Status()), askForget, o) {
		if r.err == nil && r.answer {
			return refuse(http.StatusConflict, fmt.Sprintf("in the file of node %s, a rule of pipeline %s captures %s", id, o.Pipeline, o.Table), "",
				"start that node with the file of this one; then repeat this")
		}
	}
	return nil
}

// drop removes a pipeline from its server and from the cluster's memory. The
// server comes first: a crash in between leaves a position without a slot,
// which stops the pipeline, and the order can be given again. The other way
// round it would leave a slot that nobody knows and that keeps the server's log for ever.
func (op *operator) drop(ctx context.Context, o web.Drop) (web.Result, error) {
	m, err := op.member(o.Pipeline)
	if err != nil {
		return web.Result{}, err
	}
	if o.DryRun {
		removed := "Its slot and its publication will be removed from the server, and "
		if m.slotless {
			removed = "On the server there is nothing to be removed; "
		}
		return web.Result{Text: fmt.Sprintf("Pipeline %s, which stands at %s, will be stopped. "+removed+
			"its position, its covered tables and its gaps will be forgotten by the cluster. Topics and consumers stay as they are.",
			m.name, place(op.state(m.name).Position))}, nil
	}
	const what, fix = "pipeline %s was dropped", "take it out of the file; or start the node again, and it begins anew at the present"
	dropped := &kafkasync.Fault{Class: kafkasync.Stop, What: fmt.Sprintf(what, m.name), Fix: fix}
	result := web.Result{Done: true}
	err = op.give(ctx, m, dropped, func(ctx context.Context, l *raftstate.Lease) error {
		if !l.Declared() {
			result.Text = fmt.Sprintf("Pipeline %s was dropped. It had made nothing on its server, so nothing was removed there. Take it out of the file.", m.name)
			return l.Drop(ctx)
		}
		left, err := m.source.Dismantle(ctx)
		if err != nil {
			return fmt.Errorf("removing what pipeline %s made on its server: %w", m.name, err)
		}
		result.Left = left
		result.Text = fmt.Sprintf("Pipeline %s was dropped. Take it out of the file; or start the node again, and it begins anew at the present.", m.name)
		return l.Drop(ctx)
	})
	return result, err
}

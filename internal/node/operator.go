package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
	"github.com/kafkasync/kafkasync/source"
)

// operator carries out what a person decides, or has the leader do it. What can be refused is refused
// before the pipeline is interrupted.
type operator struct {
	peers      peers
	membership membership
	members    []member
	log        *slog.Logger
}

// Operate is described at web.Operator.
func (op *operator) Operate(ctx context.Context, o web.Order) (web.Result, error) {
	switch o.(type) {
	case web.Members, web.Transfer: // the cluster does these wherever they are asked for
	default:
		if s := op.peers.Status(); !leading(s) && s.Leader != "" {
			return op.dispatch(ctx, o)
		}
	}
	return op.carryOut(ctx, o)
}

// carryOut does it on this node, which logs it.
func (op *operator) carryOut(ctx context.Context, o web.Order) (web.Result, error) {
	var result web.Result
	var err error
	switch o := o.(type) {
	case web.Recover:
		result, err = op.recover(ctx, o)
	case web.SetPosition:
		result, err = op.setPosition(ctx, o)
	case web.Forget:
		result, err = op.forget(ctx, o)
	case web.Drop:
		result, err = op.drop(ctx, o)
	case web.Members:
		result, err = op.changeMembers(ctx, o)
	case web.Transfer:
		result, err = op.transfer(ctx, o)
	default:
		err = fmt.Errorf("an order of type %T is unknown", o)
	}
	about := fmt.Sprintf("%#v", o)
	switch {
	case err != nil:
		op.log.InfoContext(ctx, "an operator's order was not carried out", "order", about, "err", err)
	case result.Done:
		op.log.WarnContext(ctx, "an operator's order was carried out", "order", about, "result", result.Text)
	}
	return result, err
}

// member finds a pipeline of this node by its name.
func (op *operator) member(name string) (*member, error) {
	var names []string
	for i := range op.members {
		if op.members[i].name == name {
			return &op.members[i], nil
		}
		names = append(names, op.members[i].name)
	}
	fix := "the pipelines of this node's file are: " + strings.Join(names, ", ")
	if near := config.Nearest(name, names); near != "" {
		fix = "did you mean " + near + "?"
	}
	if op.state(name).Name != "" {
		return nil, refuse(http.StatusNotFound, fmt.Sprintf("pipeline %s is not in this node's file any more", name), "",
			"put it back into the file and start the node, so that its server can be reached")
	}
	return nil, refuse(http.StatusNotFound, "there is no pipeline "+name, "", fix)
}

// state is what the cluster remembers of a pipeline.
func (op *operator) state(name string) raftstate.Pipeline {
	for _, p := range op.peers.Status().Pipelines {
		if p.Name == name {
			return p
		}
	}
	return raftstate.Pipeline{}
}

// give has something done to a pipeline while it does not run.
func (op *operator) give(ctx context.Context, m *member, after error, do func(context.Context, *raftstate.Lease) error) error {
	if s := op.peers.Status(); !leading(s) {
		fix := "try again once a leader is known"
		if s.Leader != "" {
			fix = "ask node " + s.Leader
		}
		return refuse(http.StatusServiceUnavailable, fmt.Sprintf("node %s does not lead the cluster", s.ID), "", fix)
	}
	err := m.supervisor.orders.give(ctx, do, after)
	switch {
	case errors.Is(err, errBusy):
		return refuse(http.StatusConflict, errBusy.Error(), "", "try again in a moment")
	case errors.Is(err, raftstate.ErrStopped):
		return refuse(http.StatusServiceUnavailable, "this node is stopping", "", "try again once it runs")
	}
	return err
}

// recorded lists the gaps that an order has made, or that last.
func (op *operator) recorded(name string, before []source.Gap) []web.Gap {
	var gaps []web.Gap
	for _, g := range op.state(name).Gaps {
		if g.To == "" || !slices.Contains(before, g) {
			gaps = append(gaps, gapOf(name, g))
		}
	}
	return gaps
}

// gapOf shows a gap, and what to do about it while there is no backfill.
func gapOf(pipeline string, g source.Gap) web.Gap {
	return web.Gap{
		Pipeline: pipeline, Table: g.Table, From: string(g.From), To: string(g.To), Cause: g.Cause,
		Fix: "refresh what your consumers store of " + g.Table + " once",
	}
}

func refuse(code int, what, risk, fix string) error {
	return &web.Refusal{Code: code, Fault: kafkasync.Fault{Class: kafkasync.Stop, What: what, Risk: risk, Fix: fix}}
}

// place says a position in a sentence.
func place(p source.Position) string {
	if p == "" {
		return "no position yet"
	}
	return string(p)
}

// after says from where on, in a sentence that goes on with up to where.
func after(p source.Position) string {
	if p == "" {
		return ""
	}
	return " after " + string(p) + " and"
}

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
)

// dispatchLimit is longer than an order may take, and shorter than HTTP waits.
const dispatchLimit = orderLimit + 3*time.Second

// dispatch is an order on its way to the leader. Its pipeline is not part of the JSON, because over HTTP
// it stands in the path.
type dispatch struct {
	Kind     string          `json:"kind"` // recover, position, forget or drop
	Pipeline string          `json:"pipeline"`
	Order    json.RawMessage `json:"order"`
}

func dispatchOf(o web.Order) (d dispatch, err error) {
	switch o := o.(type) {
	case web.Recover:
		d.Kind, d.Pipeline = "recover", o.Pipeline
	case web.SetPosition:
		d.Kind, d.Pipeline = "position", o.Pipeline
	case web.Forget:
		d.Kind = "forget"
	case web.Drop:
		d.Kind, d.Pipeline = "drop", o.Pipeline
	default:
		return d, fmt.Errorf("an order of type %T is not for the leader", o)
	}
	d.Order, err = json.Marshal(o)
	return d, err
}

// order is what was dispatched.
func (d dispatch) order() (web.Order, error) {
	switch d.Kind {
	case "recover":
		return orderIn(d, func(o *web.Recover) { o.Pipeline = d.Pipeline })
	case "position":
		return orderIn(d, func(o *web.SetPosition) { o.Pipeline = d.Pipeline })
	case "forget":
		return orderIn(d, func(*web.Forget) {})
	case "drop":
		return orderIn(d, func(o *web.Drop) { o.Pipeline = d.Pipeline })
	default:
		return nil, fmt.Errorf("an order of kind %q is unknown to this version", d.Kind)
	}
}

// orderIn refuses, as over HTTP, what it does not know: half of an order could be the opposite of it.
func orderIn[O web.Order](d dispatch, complete func(*O)) (web.Order, error) {
	var o O
	dec := json.NewDecoder(strings.NewReader(string(d.Order)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		return nil, fmt.Errorf("reading an order of kind %s: %w", d.Kind, err)
	}
	complete(&o)
	return o, nil
}

// verdict is what came of an order, on its way back.
type verdict struct {
	Result web.Result `json:"result"`
	Error  string     `json:"error"` // "": it was carried out
	Code   int        `json:"code"`  // of a refusal; 0 if it is none
	// Fault is what Error ends with; nil if that is no fault.
	Fault *told `json:"fault"`
}

// told is a Fault.
type told struct {
	Class kafkasync.Class `json:"class"`
	What  string          `json:"what"`
	Risk  string          `json:"risk"`
	Fix   string          `json:"fix"`
	Cause string          `json:"cause"`
}

func verdictOf(result web.Result, err error) verdict {
	v := verdict{Result: result}
	if err == nil {
		return v
	}
	v.Error = err.Error()
	var refused *web.Refusal
	if errors.As(err, &refused) {
		v.Code = refused.Code
	}
	var fault *kafkasync.Fault
	if errors.As(err, &fault) {
		v.Fault = &told{Class: fault.Class, What: fault.What, Risk: fault.Risk, Fix: fault.Fix}
		if fault.Err != nil {
			v.Fault.Cause = fault.Err.Error()
		}
	}
	return v
}

// failure is the error that the verdict was made of, as far as anybody looks at it.
func (v verdict) failure() error {
	switch {
	case v.Error == "":
		return nil
	case v.Fault == nil:
		return errors.New(v.Error)
	}
	fault := kafkasync.Fault{Class: v.Fault.Class, What: v.Fault.What, Risk: v.Fault.Risk, Fix: v.Fault.Fix}
	if v.Fault.Cause != "" {
		fault.Err = errors.New(v.Fault.Cause)
	}
	var err error = &fault
	if v.Code != 0 {
		err = &web.Refusal{Code: v.Code, Fault: fault}
	}
	if doing, ok := strings.CutSuffix(v.Error, fault.Error()); ok && doing != "" {
		return fmt.Errorf("%s%w", doing, err)
	}
	return err
}

// dispatch has the leader carry an order out.
func (op *operator) dispatch(ctx context.Context, o web.Order) (web.Result, error) {
	d, err := dispatchOf(o)
	if err != nil {
		return web.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, dispatchLimit)
	defer cancel()
	v, err := ask[verdict](ctx, op.peers.Ask, askOrder, d)
	switch {
	case errors.Is(err, raftstate.ErrNoLeader), errors.Is(err, raftstate.ErrLeadershipLost), errors.Is(err, raftstate.ErrStopped):
		return web.Result{}, refuse(http.StatusServiceUnavailable, fmt.Sprintf("no node leads the cluster, as far as node %s knows", op.peers.Status().ID), "",
			"try again once one does: kafkasync status")
	case err != nil:
		return web.Result{}, fmt.Errorf("the order was given to the leader, and may have been carried out; look at 'kafkasync status': %w", err)
	}
	return v.Result, v.failure()
}

package node

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/kafkasync/kafkasync/internal/web"
)

// One node asks another in JSON, on the connection that raftstate has between nodes, which knows who
// is one. Each kind has its version: a node that does not know it says so, instead of guessing.
const (
	askStatus = "status/1" // the leader, for a web.Status of the whole cluster
	askOrder  = "order/1"  // the leader, to carry a dispatch out; a verdict
	askSelf   = "self/1"   // anybody, for a self
	askLacks  = "lacks/1"  // anybody, which part of a coverage its file lacks; a coverage
	askForget = "forget/1" // anybody, whether its rules capture a table: a web.Forget; a bool
	askReach  = "reach/1"  // anybody, which servers it reaches, and lacks of a coverage; a reach
	askLead   = "lead/1"   // who is about to be made leader, for a reason: a succession; a bool
)

// question is what goes to another node.
type question struct {
	Kind string          `json:"kind"`
	Body json.RawMessage `json:"body,omitempty"`
}

// ask asks by via and reads the answer.
func ask[T any](ctx context.Context, via func(context.Context, []byte) ([]byte, error), kind string, body any) (answer T, err error) {
	q := question{Kind: kind}
	if body != nil {
		if q.Body, err = json.Marshal(body); err != nil {
			return answer, fmt.Errorf("encoding a question of kind %s: %w", kind, err)
		}
	}
	text, err := json.Marshal(q)
	if err != nil {
		return answer, fmt.Errorf("encoding a question of kind %s: %w", kind, err)
	}
	data, err := via(ctx, text)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return answer, fmt.Errorf("reading the answer to a question of kind %s: %w", kind, err)
	}
	return answer, nil
}

// answer answers what another node asks.
func (n *Node) answer(ctx context.Context, payload []byte) ([]byte, error) {
	var q question
	if err := json.Unmarshal(payload, &q); err != nil {
		return nil, fmt.Errorf("reading a question: %w", err)
	}
	switch q.Kind {
	case askStatus:
		return json.Marshal(n.report.whole(ctx))
	case askSelf:
		return json.Marshal(n.report.self())
	case askOrder:
		return answering(q, func(d dispatch) (verdict, error) {
			order, err := d.order()
			if err != nil {
				return verdict{}, err
			}
			return verdictOf(n.operator.carryOut(ctx, order)), nil
		})
	case askLacks:
		return answering(q, func(c coverage) (coverage, error) { return n.report.lacking(c), nil })
	case askForget:
		return answering(q, func(o web.Forget) (bool, error) { return n.report.captures(o), nil })
	case askReach:
		return answering(q, func(c coverage) (reach, error) { return n.report.reach(ctx, c), nil })
	case askLead:
		return answering(q, func(s succession) (bool, error) {
			n.successor.called(ctx, s)
			return true, nil
		})
	default:
		return nil, fmt.Errorf("a question of kind %q is unknown to this version", q.Kind)
	}
}

// answering reads what comes with a question and encodes what is answered.
func answering[Q, A any](q question, do func(Q) (A, error)) ([]byte, error) {
	var body Q
	if err := json.Unmarshal(q.Body, &body); err != nil {
		return nil, fmt.Errorf("reading a question of kind %s: %w", q.Kind, err)
	}
	answer, err := do(body)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

package web

import (
	"context"

	"github.com/kafkasync/kafkasync"
)

// Operator does what a person decides. Its method may be called from many
// goroutines; it ends within 25 s.
type Operator interface {
	// Operate carries the order out, or says what it would do if it is a dry run. An error is
	// a *Refusal if nothing was changed.
	Operate(ctx context.Context, order Order) (Result, error)
}

// Order is one of Recover, SetPosition, Forget, Drop, Members and Transfer.
type Order interface{ order() }

// Recover gets a pipeline going that has stopped, at the price of a gap. One of
// NewSlot, AdoptSlot and SkipTo is set.
type Recover struct {
	Pipeline  string `json:"-"`
	NewSlot   bool   `json:"new_slot"`
	AdoptSlot bool   `json:"adopt_slot"`
	SkipTo    string `json:"skip_to"`
	AcceptGap bool   `json:"accept_gap"`
}

// SetPosition moves the position from which a pipeline reads.
type SetPosition struct {
	Pipeline string `json:"-"`
	Position string `json:"position"`
	DryRun   bool   `json:"dry_run"`
}

// Forget ends the coverage of a table that no rule captures any more.
type Forget struct {
	Pipeline string `json:"pipeline"`
	Table    string `json:"table"`
	DryRun   bool   `json:"dry_run"`
}

// Drop removes what a pipeline made on its server, and all that the cluster remembers of it.
type Drop struct {
	Pipeline string `json:"-"`
	DryRun   bool   `json:"dry_run"`
}

// Members changes which nodes belong to the cluster. One of Add and Remove is set.
type Members struct {
	Add    string `json:"add"`    // the id of a node
	Raft   string `json:"raft"`   // host:port at which the others reach the node that is added
	Remove string `json:"remove"` // the id of a node
	DryRun bool   `json:"dry_run"`
}

// Transfer makes another node lead.
type Transfer struct {
	To     string `json:"to"` // the id of a node; "": whichever has received most
	DryRun bool   `json:"dry_run"`
}

func (Recover) order()     {}
func (SetPosition) order() {}
func (Forget) order()      {}
func (Drop) order()        {}
func (Members) order()     {}
func (Transfer) order()    {}

// Result is what came of an order. As for Status, its JSON is a public contract.
type Result struct {
	Done bool     `json:"done"` // false: a dry run; nothing was changed
	Text string   `json:"text"` // for a person: what was done, or would be
	Gaps []Gap    `json:"gaps"` // recorded by it; one without an end gets it with the pipeline's next position
	Left []string `json:"left"` // statements to be run on the server by somebody who may
}

// Refusal is why an order was not carried out. Nothing was changed.
type Refusal struct { //nolint:errname // a word of the domain, as Fault is
	Code  int // of the HTTP answer
	Fault kafkasync.Fault
}

func (r *Refusal) Error() string { return r.Fault.Error() }

// Unwrap returns the fault.
func (r *Refusal) Unwrap() error { return &r.Fault }

// Failure is the JSON of an answer that is not a Result.
type Failure struct {
	Error string `json:"error"`
	Risk  string `json:"risk"`
	Fix   string `json:"fix"`
}

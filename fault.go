package kafkasync

import "errors"

// Class says what a caller does about a failure.
type Class int

// The classes of a failure. The zero Class is Retry: whatever is not known
// better is tried again from the checkpoint, with backoff, and never skipped.
const (
	Retry Class = iota // transient: a lost connection, a restarting server
	Wait               // heals once something outside changes: a password, a grant, a slot that is in use
	Stop               // going on by itself would lose data or guess; a person decides
)

// String returns the class in lower case.
func (c Class) String() string {
	switch c {
	case Wait:
		return "wait"
	case Stop:
		return "stop"
	default:
		return "retry"
	}
}

// Fault is a failure told to an operator: what happened, what is at risk, and
// the one thing that fixes it. It never holds a secret.
type Fault struct { //nolint:errname // a word of the domain: it is data for an operator first, an error second
	Class Class
	What  string // "the replication slot kafkasync_shop does not exist"
	Risk  string // which data may be lost; "" if none
	Fix   string // a command, or what to change in the file; "" if nothing is to be done
	Err   error  // what the server or the library said; may be nil
	// Unreachable: nobody has answered at all, so another node may be better off.
	Unreachable bool
}

// Error joins the parts in one line.
func (f *Fault) Error() string {
	text := f.What
	if f.Err != nil {
		text += ": " + f.Err.Error()
	}
	if f.Risk != "" {
		text += "; at risk: " + f.Risk
	}
	if f.Fix != "" {
		text += "; to fix: " + f.Fix
	}
	return text
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// ClassOf returns the class of the first Fault in err's chain, else Retry.
func ClassOf(err error) Class {
	var f *Fault
	if errors.As(err, &f) {
		return f.Class
	}
	return Retry
}

// Unreachable reports whether err's first Fault is that nobody has answered at all.
func Unreachable(err error) bool {
	var f *Fault
	return errors.As(err, &f) && f.Unreachable
}

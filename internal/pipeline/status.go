package pipeline

import (
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/histogram"
	"github.com/kafkasync/kafkasync/source"
)

// State says what a pipeline is doing.
type State string

// The states of a pipeline.
const (
	Streaming State = "streaming" // reading the log, also while nothing changes
	Starting  State = "starting"  // preparing the server, opening the log
	Waiting   State = "waiting"   // between two runs; Snapshot.Error says why
	Stopped   State = "stopped"   // a person decides; Snapshot.Error says what
)

// TableOp is what changes are counted by.
type TableOp struct {
	Table string
	Op    kafkasync.Op
}

// Snapshot is what a pipeline knows about itself at one moment. It shares no
// memory with the pipeline.
type Snapshot struct {
	Name  string
	State State
	Epoch uint64 // of the lease that it runs under, or last ran under
	// Position is the newest one that was committed.
	Position source.Position
	// LagBytes is about how much log is known not to be published: what is
	// read and not published, and what the server has behind it. It is -1 while that is
	// not known: another node runs the pipeline, or the log is not open.
	LagBytes int64
	// LagSeconds is the age of the commit of the oldest change that is read and
	// not published; if there is none but more is known to follow, or nothing is known
	// because the log is not open, the time since everything was last known to be published,
	// or since this node was given the pipeline; else 0. What an interrupted run had
	// read counts until the next run reads again, so an outage shows. It is -1 while another node runs the pipeline.
	LagSeconds float64
	Error      string             // what ended the last run; "" while all is well
	Cause      string             // what of Error happened, without what is at risk and what fixes it
	Changes    map[TableOp]uint64 // published changes, since the process started
	Published  map[string]uint64  // published messages by topic, since the process started
	Restarts   map[string]uint64  // by cause, since the process started
	// PublishSeconds has one observation for each batch, CommitToPublishSeconds one for each change.
	PublishSeconds, CommitToPublishSeconds histogram.Histogram
}

// Status collects what a Snapshot shows. It is updated once for each batch,
// never for each row. Its methods may be called from any goroutine. Counters
// grow as long as the Status lives; they are not reset by a new run.
type Status struct {
	mu        sync.Mutex
	name      string
	state     State
	err       string
	cause     string
	stall     string // why the run waits for its sink; "" while it does not
	epoch     uint64
	position  source.Position
	changes   map[TableOp]uint64
	published map[string]uint64
	restarts  map[string]uint64
	publish   histogram.Histogram
	age       histogram.Histogram // from commit to publish
	lag       lag
}

// NewStatus returns the status of a pipeline that has not run yet.
func NewStatus(name string) *Status {
	return &Status{
		name:      name,
		state:     Starting,
		changes:   make(map[TableOp]uint64),
		published: make(map[string]uint64),
		restarts:  make(map[string]uint64),
		publish:   histogram.New(),
		age:       histogram.New(),
	}
}

// SetState shows what the pipeline does from now on, and why; nil clears the
// error. A run shows Starting, Streaming and, when it ends, Waiting; only its
// caller knows when it is Stopped.
func (s *Status) SetState(state State, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.err, s.cause, s.stall = state, "", "", ""
	if err == nil {
		return
	}
	s.err, s.cause = err.Error(), err.Error()
	if fault := (*kafkasync.Fault)(nil); errors.As(err, &fault) {
		s.cause = fault.What
	}
}

// Stalled shows Waiting while a run waits for its sink; nil shows again what the
// run was doing. That may be preparing: Streaming promises that the log is
// being read, so that nothing committed from then on is missed.
func (s *Status) Stalled(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stall = ""
	if err != nil {
		s.stall = err.Error()
	}
}

// starting shows a new run, and still what ended the last one: a run that fails
// again and again would else mostly show nothing.
func (s *Status) starting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.stall = Starting, ""
}

// Restarted counts a run that is to be followed by another one. The cause is a
// label of a metric: one of a few words, never an error's text.
func (s *Status) Restarted(cause string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restarts[cause]++
}

// Snapshot returns what is known at the time now.
func (s *Status) Snapshot(now time.Time) Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, problem, cause := s.state, s.err, s.cause
	if s.stall != "" {
		state, problem, cause = Waiting, s.stall, s.stall
	}
	return Snapshot{
		Name:                   s.name,
		State:                  state,
		Epoch:                  s.epoch,
		Position:               s.position,
		LagBytes:               s.lag.bytes(),
		LagSeconds:             s.lag.seconds(now),
		Error:                  problem,
		Cause:                  cause,
		Changes:                maps.Clone(s.changes),
		Published:              maps.Clone(s.published),
		Restarts:               maps.Clone(s.restarts),
		PublishSeconds:         s.publish.Clone(),
		CommitToPublishSeconds: s.age.Clone(),
	}
}

// Left shows that another node is to run the pipeline: what is known of how far it is becomes old.
func (s *Status) Left() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.err, s.cause, s.stall = Starting, "", "", ""
	s.lag = lag{}
}

// begin shows a new run.
func (s *Status) begin(epoch uint64, at source.Position, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag.begin(epoch == s.epoch+1, now)
	s.epoch, s.position = epoch, at
}

// watch asks a stream for how much log it has left, if that can tell; nil: there is none open.
func (s *Status) watch(stream source.Stream, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	watched, _ := stream.(source.Watched)
	s.lag.watch(watched, now)
}

// committed shows a checkpoint.
func (s *Status) committed(p source.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.position = p
}

// reading shows a batch that was read.
func (s *Status) reading(b *source.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag.read(b)
}

// publishedBatch shows the oldest batch read and not yet shown as published:
// its changes, what became of them, and how long that took until now.
func (s *Status) publishedBatch(b *source.Batch, msgs []kafkasync.Message, took time.Duration, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag.published(now)
	if len(msgs) > 0 {
		s.publish.Observe(took.Seconds(), 1)
	}
	// Neighbours are mostly of one table, one operation and one transaction:
	// counting them by the run keeps maps and buckets out of the row's path.
	for rest := b.Changes; len(rest) > 0; {
		first, n := &rest[0], runLength(rest, sameKind)
		s.changes[TableOp{first.Table.Name, first.Op}] += uint64(n)
		s.age.Observe(max(0, now.Sub(first.Committed).Seconds()), uint64(n))
		rest = rest[n:]
	}
	for rest := msgs; len(rest) > 0; {
		topic, n := rest[0].Topic, runLength(rest, sameTopic)
		s.published[topic] += uint64(n)
		rest = rest[n:]
	}
}

// runLength counts the elements at the start of s that are like the first one; s is not empty.
func runLength[T any](s []T, alike func(a, b *T) bool) int {
	n := 1
	for n < len(s) && alike(&s[0], &s[n]) {
		n++
	}
	return n
}

func sameKind(a, b *source.Change) bool {
	return a.Table == b.Table && a.Op == b.Op && a.Committed.Equal(b.Committed)
}

func sameTopic(a, b *kafkasync.Message) bool { return a.Topic == b.Topic }

package raftstate

import (
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync"
)

// machine is the state as Raft drives it: Apply, Snapshot and Restore come from
// one goroutine, readers from any.
type machine struct {
	mu           sync.RWMutex
	state        state
	pairsChanged chan struct{} // closed, and replaced, when the state's pairs change
	err          error         // why the machine stands still
	broken       chan struct{} // closed when err is set

	// observe is told what every entry did; nil but in tests. It is called under mu.
	observe func(entry *raft.Log, out outcome)
}

// outcome is what Apply answers to the proposer. Raft keeps it apart from its own error.
type outcome struct {
	record record
	err    error
}

func newMachine() *machine {
	return &machine{state: newState(), pairsChanged: make(chan struct{}), broken: make(chan struct{})}
}

// Apply applies a committed entry. After one that it cannot read it applies
// nothing more: going on would make this node's state differ from the others'.
func (m *machine) Apply(entry *raft.Log) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return outcome{err: m.err}
	}
	c, err := decode(entry.Data)
	if err != nil {
		m.err = &kafkasync.Fault{
			Class: kafkasync.Stop,
			What:  fmt.Sprintf("entry %d of the Raft log cannot be read by this version of kafkasync", entry.Index),
			Fix:   "start this node with the version that the other nodes run, or ran last",
			Err:   err,
		}
		close(m.broken)
		return outcome{err: m.err}
	}
	revision := m.state.revision
	r, err := m.state.apply(c)
	if _, naming := c.(name); !naming && m.state.revision != revision { // then the pairs have changed
		m.announce()
	}
	out := outcome{record: r, err: err}
	if m.observe != nil {
		m.observe(entry, out)
	}
	return out
}

// announce wakes whoever waits for other pairs. m.mu is held, so that no reader gets
// pairs from before a change with the channel from after it.
func (m *machine) announce() {
	close(m.pairsChanged)
	m.pairsChanged = make(chan struct{})
}

// Snapshot refuses once the machine stands still: the entry that it could not
// read must stay in the log, for the version that can.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.err != nil {
		return nil, m.err
	}
	return snapshot(encodeSnapshot(m.state)), nil
}

// Restore replaces the state. If it fails, the state is as before. The library closes the reader.
func (m *machine) Restore(from io.ReadCloser) error {
	data, err := io.ReadAll(from)
	if err != nil {
		return fmt.Errorf("reading snapshot: %w", err)
	}
	s, err := decodeSnapshot(data)
	if err != nil {
		return fmt.Errorf("restoring snapshot: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = s
	m.announce() // whether or not they are others: a needless look costs nothing
	return nil
}

func (m *machine) clusterID() string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.clusterID
}

// epoch is that of the pipeline's newest lease, as far as this node has applied.
func (m *machine) epoch(pipeline string) uint64 {
	return m.record(pipeline).epoch
}

// record is what this node has applied of a pipeline.
func (m *machine) record(pipeline string) record {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.pipelines[pipeline]
}

func (m *machine) failure() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.err
}

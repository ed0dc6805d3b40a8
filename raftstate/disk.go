package raftstate

import (
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"github.com/kafkasync/kafkasync"
)

// disk is the log's file, of which nothing is written any more after the first
// write that failed: a node that cannot store what it promises must not go on
// promising, and one that could again a moment later would have a hole.
type disk struct {
	*raftboltdb.BoltStore

	dir      string
	before   func() error // see Config.Disk
	failed   chan struct{}
	released chan struct{}

	mu      sync.Mutex
	err     error // why; set before failed is closed
	running bool  // the library runs, and somebody watches failed
}

func newDisk(file *raftboltdb.BoltStore, dir string, before func() error) *disk {
	return &disk{BoltStore: file, dir: dir, before: before, failed: make(chan struct{}), released: make(chan struct{})}
}

// StoreLog stores one entry.
func (d *disk) StoreLog(entry *raft.Log) error {
	return d.write(func() error { return d.BoltStore.StoreLog(entry) })
}

// StoreLogs stores entries.
func (d *disk) StoreLogs(entries []*raft.Log) error {
	return d.write(func() error { return d.BoltStore.StoreLogs(entries) })
}

// DeleteRange deletes entries.
func (d *disk) DeleteRange(first, last uint64) error {
	return d.write(func() error { return d.BoltStore.DeleteRange(first, last) })
}

// Set stores the value of a key.
func (d *disk) Set(key, value []byte) error {
	return d.write(func() error { return d.BoltStore.Set(key, value) })
}

// SetUint64 stores the value of a key. The library ends the whole process if it
// cannot store the term. While it runs, it is therefore kept waiting until the
// node is cut off from the others, and nothing that it then does in the belief
// that the term is stored reaches anybody: a vote for that term fails to be stored as well.
func (d *disk) SetUint64(key []byte, value uint64) error {
	err := d.write(func() error { return d.BoltStore.SetUint64(key, value) })
	if err == nil || string(key) != keyTerm || !d.isRunning() {
		return err
	}
	<-d.released
	return nil
}

func (d *disk) write(fn func() error) error {
	if err := d.failure(); err != nil {
		return err
	}
	err := d.before()
	if err == nil {
		err = fn()
	}
	if err == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = &kafkasync.Fault{
			Class: kafkasync.Wait,
			What:  fmt.Sprintf("the Raft log in the data folder %s cannot be written", d.dir),
			Fix:   "free space, or see to the disk, and start this node again; the other nodes go on without it meanwhile",
			Err:   err,
		}
		close(d.failed)
	}
	return d.err
}

func (d *disk) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// run tells that the library writes from now on, whose errors are seen by nobody but who watches failed.
func (d *disk) run() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = true
}

func (d *disk) isRunning() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.running
}

// release lets whoever is kept waiting go on. It is called once, when the node is cut off from the others.
func (d *disk) release() { close(d.released) }

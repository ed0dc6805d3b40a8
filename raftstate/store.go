package raftstate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/kafkasync/kafkasync"
)

const (
	logFile = "raft.db"
	// lockWait is how long another process may take to let go of the folder.
	lockWait = 200 * time.Millisecond
	// retainedSnapshots: if the newest is damaged, the one before and the log behind it still hold everything.
	retainedSnapshots = 2

	keyNode        = "kafkasync/node"        // whose data this is
	keyIncarnation = "kafkasync/incarnation" // see identity.go
	keyCluster     = "kafkasync/cluster"     // which cluster it is of
	keyFormed      = "kafkasync/formed"      // set once there is something to lose
	keyTerm        = "CurrentTerm"           // the library's
	keyVoteTerm    = "LastVoteTerm"          // the library's
)

// store is a node's folder: the log with its vote, and the snapshots. The lock
// on the log's file is the lock on the folder.
type store struct {
	dir   string
	log   *disk
	snaps *raft.FileSnapshotStore

	incarnation string // of this folder; "" if it is older than incarnations

	mu      sync.Mutex
	cluster string // which cluster it is of; "" while that is open
}

// openStore opens the folder and makes sure that it is this node's and whole.
func openStore(c Config) (_ *store, err error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating data folder: %w", err)
	}
	s := &store{dir: c.Dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	err = s.guard(func() error {
		if err := s.open(c); err != nil {
			return err
		}
		if err := s.own(c.ID); err != nil {
			return err
		}
		if err := s.checkWhole(); err != nil {
			return err
		}
		return s.identify()
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *store) open(c Config) error {
	file, err := raftboltdb.New(raftboltdb.Options{
		Path: filepath.Join(s.dir, logFile),
		// Not NoFreelistSync: bbolt would look for free pages at start in a goroutine of
		// its own, where its panic over a damaged file cannot be turned into an error.
		BoltOptions: &bbolt.Options{Timeout: lockWait},
	})
	switch {
	case errors.Is(err, bbolt.ErrTimeout):
		return &kafkasync.Fault{
			Class: kafkasync.Wait,
			What:  fmt.Sprintf("another process is using the data folder %s", s.dir),
			Fix:   "stop that process, or give this node a data folder of its own",
			Err:   err,
		}
	case errors.Is(err, bbolt.ErrInvalid), errors.Is(err, bbolt.ErrChecksum), errors.Is(err, bbolt.ErrVersionMismatch):
		return s.damaged(err)
	case err != nil:
		return fmt.Errorf("opening Raft log: %w", err)
	}
	s.log = newDisk(file, s.dir, c.Disk)
	s.snaps, err = raft.NewFileSnapshotStoreWithLogger(s.dir, retainedSnapshots, newBridge(c.Logger))
	if err != nil {
		return fmt.Errorf("opening snapshots: %w", err)
	}
	return nil
}

// checkWhole looks for parts that were lost while nobody was watching. Raft
// itself would start with a hole in its log, or vote as if it were new.
func (s *store) checkWhole() error {
	first, err := s.log.FirstIndex()
	if err != nil {
		return fmt.Errorf("reading Raft log: %w", err)
	}
	snaps, err := s.snaps.List()
	if err != nil {
		return fmt.Errorf("listing snapshots: %w", err)
	}
	var covered uint64
	if len(snaps) > 0 {
		covered = snaps[0].Index
	}
	formed, err := s.formed()
	if err != nil {
		return err
	}
	switch {
	case first > covered+1:
		return s.damaged(fmt.Errorf("its log starts at entry %d, its snapshots end at %d", first, covered))
	case first == 0 && covered == 0 && formed:
		return s.damaged(errors.New("its log and its snapshots are gone"))
	}
	return nil
}

// guard calls fn and turns a crash into an error: bbolt and the Raft library
// panic on a damaged file, and a truncated one faults where it is mapped.
func (s *store) guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = s.damaged(fmt.Errorf("reading it: %v", p))
		}
	}()
	return fn()
}

func (s *store) damaged(cause error) error {
	return &kafkasync.Fault{
		Class: kafkasync.Stop,
		What:  fmt.Sprintf("the data folder %s is damaged", s.dir),
		Risk:  "where each pipeline was, if no other node knows it",
		Fix:   "move the folder away and start again; a pipeline that nobody remembers then stops and says how to go on",
		Err:   cause,
	}
}

func (s *store) close() error {
	if s.log == nil {
		return nil
	}
	if err := s.log.Close(); err != nil {
		return fmt.Errorf("closing Raft log: %w", err)
	}
	return nil
}

package raftstate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
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

	keyNode   = "kafkasync/node"   // whose data this is
	keyFormed = "kafkasync/formed" // set once there is something to lose
	keyTerm   = "CurrentTerm"      // the library's
)

// store is a node's folder: the log with its vote, and the snapshots. The lock
// on the log's file is the lock on the folder.
type store struct {
	dir   string
	log   *raftboltdb.BoltStore
	snaps *raft.FileSnapshotStore
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
		return s.checkWhole()
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *store) open(c Config) error {
	var err error
	s.log, err = raftboltdb.New(raftboltdb.Options{
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
	s.snaps, err = raft.NewFileSnapshotStoreWithLogger(s.dir, retainedSnapshots, newBridge(c.Logger))
	if err != nil {
		return fmt.Errorf("opening snapshots: %w", err)
	}
	return nil
}

// own makes an empty folder this node's, and refuses another's.
func (s *store) own(id string) error {
	owner, err := s.log.Get([]byte(keyNode))
	switch {
	case errors.Is(err, raftboltdb.ErrKeyNotFound):
		existing, err := raft.HasExistingState(s.log, s.log, s.snaps)
		if err != nil {
			return fmt.Errorf("looking for earlier state: %w", err)
		}
		if existing {
			return s.damaged(errors.New("it holds state but not the name of its node"))
		}
		if err := s.log.Set([]byte(keyNode), []byte(id)); err != nil {
			return fmt.Errorf("naming the data folder's node: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("reading the data folder's node: %w", err)
	case string(owner) != id:
		return &kafkasync.Fault{
			Class: kafkasync.Stop,
			What:  fmt.Sprintf("the data folder %s belongs to node %q, this is node %q", s.dir, owner, id),
			Fix:   "start the node under its own name, or give this one a data folder of its own",
		}
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

func (s *store) formed() (bool, error) {
	_, err := s.log.Get([]byte(keyFormed))
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading whether the cluster was formed: %w", err)
	}
	return true, nil
}

// form writes the first configuration of the cluster into an empty folder, once.
func (s *store) form(rc *raft.Config, transport raft.Transport, voters []raft.Server) error {
	formed, err := s.formed()
	if err != nil || formed {
		return err
	}
	if err := s.forgetHalfFormed(); err != nil {
		return err
	}
	err = raft.BootstrapCluster(rc, s.log, s.log, s.snaps, transport, raft.Configuration{Servers: voters})
	if err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
		return fmt.Errorf("forming the cluster: %w", err)
	}
	if err := s.log.Set([]byte(keyFormed), []byte{1}); err != nil {
		return fmt.Errorf("recording that the cluster was formed: %w", err)
	}
	return nil
}

// forgetHalfFormed takes back what a crash left behind while the cluster was
// formed: the library writes term 1, then the configuration, and refuses to do
// either over a term. Without the second, this node has never voted.
func (s *store) forgetHalfFormed() error {
	last, err := s.log.LastIndex()
	if err != nil {
		return fmt.Errorf("reading Raft log: %w", err)
	}
	snaps, err := s.snaps.List()
	if err != nil {
		return fmt.Errorf("listing snapshots: %w", err)
	}
	term, err := s.log.GetUint64([]byte(keyTerm))
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the term: %w", err)
	}
	if last > 0 || len(snaps) > 0 || term != 1 {
		return nil
	}
	if err := s.log.SetUint64([]byte(keyTerm), 0); err != nil {
		return fmt.Errorf("clearing the term: %w", err)
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

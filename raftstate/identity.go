package raftstate

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"github.com/kafkasync/kafkasync"
)

// A member of the cluster is an incarnation: a node together with the one data
// folder that holds its vote and its part of the log. Who lost the folder comes
// back under the same id as another member, so that it can neither vote a second
// time in a term nor stand for entries that it no longer has. To the Raft library it is
// "a#3f2c..." at "10.0.0.1:7400#3f2c...", to everyone else a at 10.0.0.1:7400. A
// folder that is older than incarnations is the member "a", as ever.

const (
	incarnationMark = "#"
	// awaited stands for the incarnation of a node that was added and has not come yet.
	awaited = "awaited"
)

func serverID(id, incarnation string) raft.ServerID { return raft.ServerID(marked(id, incarnation)) }

func serverAddress(address, incarnation string) raft.ServerAddress {
	return raft.ServerAddress(marked(address, incarnation))
}

func marked(s, incarnation string) string {
	if incarnation == "" {
		return s
	}
	return s + incarnationMark + incarnation
}

// nodeOf is the id of the node that a member is an incarnation of.
func nodeOf(id raft.ServerID) string {
	node, _, _ := strings.Cut(string(id), incarnationMark)
	return node
}

// placeOf takes a member's address apart.
func placeOf(address raft.ServerAddress) (hostPort, incarnation string) {
	hostPort, incarnation, _ = strings.Cut(string(address), incarnationMark)
	return hostPort, incarnation
}

func isAwaited(s raft.Server) bool {
	_, incarnation := placeOf(s.Address)
	return incarnation == awaited
}

func newIncarnation() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
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

// identify reads which incarnation and which cluster the folder is of. A folder
// that holds no entry is a new incarnation at every start: what the one before
// may have been told, a term or a cluster, is not to bind this one, and whoever
// remembers that one must not take this one for it.
func (s *store) identify() error {
	empty, err := s.empty()
	if err != nil {
		return err
	}
	if empty {
		return s.beginAnew()
	}
	formed, err := s.formed()
	if err != nil {
		return err
	}
	if !formed { // it joined a cluster, and has stored what that knows
		if err := s.log.Set([]byte(keyFormed), []byte{1}); err != nil {
			return fmt.Errorf("recording that the cluster was formed: %w", err)
		}
	}
	if s.incarnation, err = s.text(keyIncarnation); err != nil {
		return fmt.Errorf("reading the data folder's incarnation: %w", err)
	}
	if s.cluster, err = s.text(keyCluster); err != nil {
		return fmt.Errorf("reading the data folder's cluster: %w", err)
	}
	if s.cluster == "" { // it is older than this key: a node alone
		return s.join(newUUID())
	}
	return nil
}

func (s *store) beginAnew() error {
	for _, key := range []string{keyTerm, keyVoteTerm} {
		if err := s.log.SetUint64([]byte(key), 0); err != nil {
			return fmt.Errorf("clearing the term: %w", err)
		}
	}
	s.incarnation = newIncarnation()
	if err := s.log.Set([]byte(keyIncarnation), []byte(s.incarnation)); err != nil {
		return fmt.Errorf("naming the data folder's incarnation: %w", err)
	}
	return nil
}

// text returns the value of a key; "" if there is none.
func (s *store) text(key string) (string, error) {
	value, err := s.log.Get([]byte(key))
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return "", nil
	}
	return string(value), err
}

// join makes the folder one of a cluster. A folder of another one stays that.
func (s *store) join(cluster string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.cluster {
	case cluster:
		return nil
	case "":
	default:
		return fmt.Errorf("joining cluster %s: the data folder is of cluster %s", cluster, s.cluster)
	}
	if err := s.log.Set([]byte(keyCluster), []byte(cluster)); err != nil {
		return fmt.Errorf("naming the data folder's cluster: %w", err)
	}
	s.cluster = cluster
	return nil
}

func (s *store) clusterID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cluster
}

// empty reports whether the folder holds nothing of any cluster.
func (s *store) empty() (bool, error) {
	last, err := s.log.LastIndex()
	if err != nil {
		return false, fmt.Errorf("reading Raft log: %w", err)
	}
	snaps, err := s.snaps.List()
	if err != nil {
		return false, fmt.Errorf("listing snapshots: %w", err)
	}
	return last == 0 && len(snaps) == 0, nil
}

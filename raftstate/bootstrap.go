package raftstate

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

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

// form writes the first configuration of a new cluster into an empty folder.
func (s *store) form(rc *raft.Config, transport raft.Transport, first raft.Configuration) error {
	if err := s.join(newUUID()); err != nil {
		return err
	}
	if err := raft.BootstrapCluster(rc, s.log, s.log, s.snaps, transport, first); err != nil {
		return fmt.Errorf("forming the cluster: %w", err)
	}
	if err := s.log.Set([]byte(keyFormed), []byte{1}); err != nil {
		return fmt.Errorf("recording that the cluster was formed: %w", err)
	}
	return nil
}

package raftstate_test

import (
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/raftstate"
)

var _ pipeline.Lease = (*raftstate.Lease)(nil)

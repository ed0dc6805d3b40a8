package raftstate

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/hashicorp/go-hclog"
)

// bridge hands the log of the Raft library to slog. The library warns of every
// election and every lost heartbeat, which is normal running for a cluster:
// only its errors are worth a warning here, but for those that say, many times a second,
// that another node is down, or leads by now. What it never calls is the null logger's.
type bridge struct {
	hclog.Logger
	log *slog.Logger
}

func newBridge(log *slog.Logger) *bridge {
	return &bridge{Logger: hclog.NewNullLogger(), log: log.With("component", "raft")}
}

func (b *bridge) Log(level hclog.Level, msg string, args ...any) {
	switch level {
	case hclog.Error:
		b.Error(msg, args...)
	case hclog.Trace, hclog.Off:
	default:
		b.Debug(msg, args...)
	}
}

func (b *bridge) Trace(string, ...any)          {}
func (b *bridge) Info(msg string, args ...any)  { b.Debug(msg, args...) }
func (b *bridge) Warn(msg string, args ...any)  { b.Debug(msg, args...) }
func (b *bridge) Debug(msg string, args ...any) { b.log.Debug(msg, plain(args)...) } //nolint:sloglint // the message is the library's

func (b *bridge) Error(msg string, args ...any) {
	if slices.Contains([]string{
		"failed to make requestVote RPC", "failed to appendEntries to", "failed to heartbeat to", "failed to pipeline appendEntries",
		"failed to start pipeline replication to", "failed to send snapshot to", "failed to decode incoming command", "failed to flush response",
		"peer has newer term, stopping replication",
	}, msg) {
		b.Debug(msg, args...)
		return
	}
	b.log.Warn(msg, plain(args)...) //nolint:sloglint // the message is the library's
}

func (b *bridge) With(args ...any) hclog.Logger {
	return &bridge{Logger: b.Logger, log: b.log.With(plain(args)...)}
}

func (b *bridge) Named(string) hclog.Logger      { return b }
func (b *bridge) ResetNamed(string) hclog.Logger { return b }

// plain resolves hclog's deferred formats, which slog does not know.
func plain(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = a
		f, ok := a.(hclog.Format)
		if !ok || len(f) == 0 {
			continue
		}
		if format, ok := f[0].(string); ok {
			out[i] = fmt.Sprintf(format, f[1:]...)
		}
	}
	return out
}

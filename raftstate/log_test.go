package raftstate

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func TestTheLibraryIsQuietButForItsErrors(t *testing.T) {
	var out bytes.Buffer
	var b hclog.Logger = newBridge(slog.New(slog.NewTextHandler(&out, nil)))
	b = b.Named("snapshot").With("id", 7)
	b.Info("entering leader state")
	b.Warn("heartbeat timeout reached")
	b.Log(hclog.Warn, "heartbeat timeout reached")
	if out.Len() > 0 {
		t.Errorf("got %q, want normal running to be quiet", out.String())
	}
	b.Error("failed to restore", "servers", hclog.Fmt("%d of %d", 1, 3))
	for _, want := range []string{"level=WARN", "failed to restore", `servers="1 of 3"`, "id=7", "component=raft"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %q, want %q in it", out.String(), want)
		}
	}
}

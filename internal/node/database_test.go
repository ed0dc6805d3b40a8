package node

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/source/mysql"
	"github.com/kafkasync/kafkasync/source/postgres"
)

func TestADatabaseWithoutSlotsBeginsAnewAtThePresent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.members[0].slotless = true
	w.until(t, pipeline.Streaming)
	w.write(t, 1, true)
	w.lose(t)
	if got := w.refused(t, web.Recover{Pipeline: "shop", AdoptSlot: true}); got.Code != http.StatusBadRequest || !strings.Contains(got.Fault.Fix, "kafkasync recover shop --new-slot") {
		t.Errorf("got %d %v, want to hear that there is no slot, and what to do", got.Code, got)
	}
	result := w.order(t, web.Recover{Pipeline: "shop", NewSlot: true})
	if !result.Done || !strings.Contains(result.Text, "begins anew where the log ends now") || len(result.Gaps) == 0 {
		t.Errorf("got %+v, want it done, with gaps", result)
	}
	w.until(t, pipeline.Streaming)
	if got := w.order(t, web.Drop{Pipeline: "shop", DryRun: true}); strings.Contains(got.Text, "slot") || !strings.Contains(got.Text, "nothing to be removed") {
		t.Errorf("got %q, want no word of a slot", got.Text)
	}
}

func TestThePipelineDecidesTheKindOfItsSource(t *testing.T) {
	cfg := &config.Config{Name: "sync", NodeID: "c", DataDir: "data", Cluster: config.Cluster{Nodes: []config.Node{{ID: "a"}, {ID: "b"}, {ID: "c"}}}}
	rules, err := route.New("shop", []route.Rule{{Match: "shop.*", Topic: "{table}"}}, route.Encoding{})
	if err != nil {
		t.Fatal(err)
	}
	o := openOptions{Pipeline: "shop", Application: applicationOf(cfg, "shop"), Node: "c", Selector: rules, Logger: slog.New(slog.DiscardHandler)}
	kind := engineOf(cfg, config.Pipeline{Postgres: postgres.Config{URL: "postgres://cdc@db/shop", Slot: "s", Publication: "p"}})
	if s, err := kind.open(o); err != nil || !kind.slots() {
		t.Errorf("got %v, slots %t, want a Postgres", err, kind.slots())
	} else if _, ok := s.(*postgres.Source); !ok {
		t.Errorf("got %T, want a Postgres", s)
	}
	kind = engineOf(cfg, config.Pipeline{MySQL: mysql.Config{Flavour: mysql.MariaDB, URL: "mysql://cdc@db/", ServerID: 7400}})
	if of, _ := kind.(mysqlEngine); of.folder != filepath.Join("data", "c") {
		t.Errorf("got the folder %q, want that of the node", of.folder)
	}
	if s, err := kind.open(o); err != nil || kind.slots() {
		t.Errorf("got %v, slots %t, want a MariaDB without slots", err, kind.slots())
	} else if _, ok := s.(*mysql.Source); !ok {
		t.Errorf("got %T, want a MySQL's", s)
	}
}

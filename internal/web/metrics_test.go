package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/histogram"
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/internal/web"
)

func scrape(t *testing.T, m *web.Metrics) answer {
	t.Helper()
	registry := prometheus.NewPedanticRegistry() // refuses what does not keep to its description
	if err := registry.Register(m); err != nil {
		t.Fatalf("registering: %v", err)
	}
	return ask(t, http.MethodGet, start(t, web.Config{}, &reporter{}, registry)+"/metrics", "")
}

func nothingElse() map[string]web.Figures { return nil }

func noDelays() []web.Delayed { return nil }

func TestMetricsAreTheContract(t *testing.T) {
	snapshots := []pipeline.Snapshot{
		{
			Name: "shop", State: pipeline.Streaming, LagBytes: 4096, LagSeconds: 0.25,
			Changes: map[pipeline.TableOp]uint64{
				{Table: "public.products", Op: kafkasync.Updated}: 12,
				{Table: "public.products", Op: kafkasync.Deleted}: 1,
			},
			Published:              map[string]uint64{"products": 13},
			Restarts:               map[string]uint64{"source": 2},
			PublishSeconds:         histogram.Histogram{Bounds: []float64{0.01, 0.1}, Counts: []uint64{3, 2, 1}, Sum: 0.75, Count: 6},
			CommitToPublishSeconds: histogram.Histogram{Bounds: []float64{1}, Counts: []uint64{13, 0}, Sum: 1.5, Count: 13},
		},
		{
			Name: "billing", State: pipeline.Stopped, LagBytes: -1, LagSeconds: 3600, // its log is not open
			PublishSeconds:         histogram.Histogram{Bounds: []float64{1}, Counts: []uint64{0, 0}},
			CommitToPublishSeconds: histogram.Histogram{Bounds: []float64{1}, Counts: []uint64{0, 0}},
		},
	}
	delays := []web.Delayed{
		{
			Topic: "products", Delay: 5 * time.Minute, Resent: 40, Collapsed: 3, Lost: 2, Waiting: 12,
			Late: histogram.Histogram{Bounds: []float64{1, 60}, Counts: []uint64{38, 1, 1}, Sum: 99.5, Count: 40},
		},
		// One topic with two delays; of this one not even what waits is known yet.
		{Topic: "products", Delay: 1500 * time.Millisecond, Waiting: -1, Late: histogram.New(1)},
	}
	m := web.NewMetrics(func() bool { return true }, func() []pipeline.Snapshot { return snapshots },
		func() map[string]web.Figures {
			return map[string]web.Figures{"shop": {GapsOpen: 2, RetainedBytes: 1 << 30}}
		}, func() []web.Delayed { return delays })
	m.ObserveRaftCommit(250 * time.Millisecond)
	m.ObserveRaftCommit(500 * time.Millisecond)
	got := scrape(t, m)
	if got.code != http.StatusOK {
		t.Fatalf("got %d %s, want 200", got.code, got.body)
	}
	golden(t, "metrics.txt", got.body)
}

func TestPipelineThatHasNotRunYetHasMetrics(t *testing.T) {
	fresh := []pipeline.Snapshot{pipeline.NewStatus("shop").Snapshot(time.Now())}
	got := scrape(t, web.NewMetrics(func() bool { return true }, func() []pipeline.Snapshot { return fresh }, nothingElse, noDelays))
	if got.code != http.StatusOK || !strings.Contains(got.body, "\nkafkasync_pipeline_streaming{pipeline=\"shop\"} 0\n") ||
		strings.Contains(got.body, "\nkafkasync_pipeline_lag") {
		t.Errorf("got %d %s, want 200 and a pipeline that does not stream, of which it is not known how far it is", got.code, got.body)
	}
}

func TestFollowerWithoutPipelinesShowsThatItDoesNotLead(t *testing.T) {
	got := scrape(t, web.NewMetrics(func() bool { return false }, func() []pipeline.Snapshot { return nil }, nothingElse, noDelays))
	if got.code != http.StatusOK || !strings.Contains(got.body, "\nkafkasync_leader 0\n") {
		t.Errorf("got %d %s, want kafkasync_leader 0", got.code, got.body)
	}
	if strings.Contains(got.body, "kafkasync_pipeline_") {
		t.Errorf("got %s, want nothing about pipelines that run elsewhere", got.body)
	}
}

func TestMetricThatCannotBeMadeFailsTheScrape(t *testing.T) {
	status := pipeline.NewStatus("shop").Snapshot(time.Now())
	tests := []struct {
		name   string
		change func(*pipeline.Snapshot)
	}{
		{"a label that is not UTF-8", func(s *pipeline.Snapshot) { s.Published = map[string]uint64{"\xff": 1} }},
		{"a histogram without a count for each bound", func(s *pipeline.Snapshot) { s.PublishSeconds.Counts = s.PublishSeconds.Counts[:1] }},
		{"two pipelines of one name", func(s *pipeline.Snapshot) { s.Name = "twice" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			broken, twice := status, status
			tt.change(&broken)
			twice.Name = "twice"
			got := scrape(t, web.NewMetrics(func() bool { return true }, func() []pipeline.Snapshot { return []pipeline.Snapshot{broken, twice} }, nothingElse, noDelays))
			if got.code != http.StatusInternalServerError {
				t.Errorf("got %d, want 500: an answer with holes looks like good news", got.code)
			}
		})
	}
}

func TestDelayThatIsToldTwiceFailsTheScrape(t *testing.T) {
	twice := func() []web.Delayed {
		one := web.Delayed{Topic: "products", Delay: time.Minute, Late: histogram.New()}
		return []web.Delayed{one, one}
	}
	got := scrape(t, web.NewMetrics(func() bool { return true }, func() []pipeline.Snapshot { return nil }, nothingElse, twice))
	if got.code != http.StatusInternalServerError {
		t.Errorf("got %d, want 500: one of the two would hide the other", got.code)
	}
}

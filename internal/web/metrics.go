package web

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkasync/kafkasync/internal/histogram"
	"github.com/kafkasync/kafkasync/internal/pipeline"
)

// Figures is what is known of a pipeline outside its runs.
type Figures struct {
	GapsOpen      int
	RetainedBytes int64 // of log that the server keeps for the pipeline
}

// Metrics is a prometheus.Collector over what the node, its pipelines and its
// delayer know about themselves. Their names and labels are a public contract. It keeps no
// copy: every collection takes new snapshots.
type Metrics struct {
	leads     func() bool
	pipelines func() []pipeline.Snapshot
	figures   func() map[string]Figures
	delays    func() []Delayed

	raftCommit prometheus.Histogram

	leader, streaming, lagBytes, lagSeconds *prometheus.Desc
	gapsOpen, retained                      *prometheus.Desc
	changes, published, restarts            *prometheus.Desc
	publish, commitToPublish                *prometheus.Desc
	delay                                   delayMetrics
}

// NewMetrics returns the collector; the caller registers it. leads reports
// whether this node is the leader; pipelines returns those that run, or last ran, on this node;
// figures what else is known of them, by name; delays what this node's delayer
// knows, each topic and delay once.
func NewMetrics(
	leads func() bool, pipelines func() []pipeline.Snapshot, figures func() map[string]Figures, delays func() []Delayed,
) *Metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("kafkasync_"+name, help, labels, nil)
	}
	perPipeline := func(name, help string, labels ...string) *prometheus.Desc {
		return desc("pipeline_"+name, help, append([]string{"pipeline"}, labels...)...)
	}
	return &Metrics{
		leads:     leads,
		pipelines: pipelines,
		figures:   figures,
		delays:    delays,
		raftCommit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "kafkasync_raft_commit_seconds",
			Help:    "Time until a quorum had stored a command.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
		leader:          desc("leader", "1 on the leader, else 0."),
		streaming:       perPipeline("streaming", "1 while the pipeline reads the log, else 0."),
		lagBytes:        perPipeline("lag_bytes", "Bytes of the log known to follow what is published; none while that is not known."),
		lagSeconds:      perPipeline("lag_seconds", "Age of the commit of the oldest change that is read and not published, or for how long nothing could be read; only on the node that runs the pipeline."),
		gapsOpen:        perPipeline("gaps_open", "Gaps that nobody has closed: changes of a table that were not published."),
		retained:        perPipeline("slot_retained_bytes", "Bytes of the log that the server keeps for the pipeline's slot."),
		changes:         perPipeline("changes_total", "Changes published.", "table", "op"),
		published:       perPipeline("published_total", "Messages published.", "topic"),
		restarts:        perPipeline("restarts_total", "Runs that were followed by another one.", "cause"),
		publish:         perPipeline("publish_seconds", "Time from handing a batch to Kafka until all of it was acknowledged."),
		commitToPublish: perPipeline("commit_to_publish_seconds", "Time from a change's commit until Kafka had acknowledged it."),
		delay:           newDelayMetrics(),
	}
}

// ObserveRaftCommit records how long a command took to be stored by a quorum.
func (m *Metrics) ObserveRaftCommit(took time.Duration) { m.raftCommit.Observe(took.Seconds()) }

// Describe sends the description of every metric.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.raftCommit.Describe(ch)
	m.delay.describe(ch)
	for _, d := range []*prometheus.Desc{
		m.leader, m.streaming, m.lagBytes, m.lagSeconds, m.gapsOpen, m.retained,
		m.changes, m.published, m.restarts, m.publish, m.commitToPublish,
	} {
		ch <- d
	}
}

// Collect sends every metric as of now.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.raftCommit.Collect(ch)
	send(ch, m.leader, prometheus.GaugeValue, oneIf(m.leads()))
	figures := m.figures()
	for _, p := range m.pipelines() {
		m.collect(ch, &p)
		send(ch, m.gapsOpen, prometheus.GaugeValue, float64(figures[p.Name].GapsOpen), p.Name)
		send(ch, m.retained, prometheus.GaugeValue, float64(figures[p.Name].RetainedBytes), p.Name)
	}
	for _, d := range m.delays() {
		m.delay.collect(ch, &d)
	}
}

func (m *Metrics) collect(ch chan<- prometheus.Metric, p *pipeline.Snapshot) {
	send(ch, m.streaming, prometheus.GaugeValue, oneIf(p.State == pipeline.Streaming), p.Name)
	if p.LagBytes >= 0 { // else it is not known, and 0 would look like good news
		send(ch, m.lagBytes, prometheus.GaugeValue, float64(p.LagBytes), p.Name)
	}
	if p.LagSeconds >= 0 {
		send(ch, m.lagSeconds, prometheus.GaugeValue, p.LagSeconds, p.Name)
	}
	for at, n := range p.Changes {
		send(ch, m.changes, prometheus.CounterValue, float64(n), p.Name, at.Table, at.Op.String())
	}
	for topic, n := range p.Published {
		send(ch, m.published, prometheus.CounterValue, float64(n), p.Name, topic)
	}
	for cause, n := range p.Restarts {
		send(ch, m.restarts, prometheus.CounterValue, float64(n), p.Name, cause)
	}
	sendHistogram(ch, m.publish, p.PublishSeconds, p.Name)
	sendHistogram(ch, m.commitToPublish, p.CommitToPublishSeconds, p.Name)
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// send hands a metric over. One that cannot be made is sent as invalid, which
// makes the whole scrape fail: an answer with holes would look like good news.
func send(ch chan<- prometheus.Metric, d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
	metric, err := prometheus.NewConstMetric(d, kind, value, labels...)
	if err != nil {
		metric = prometheus.NewInvalidMetric(d, err)
	}
	ch <- metric
}

func sendHistogram(ch chan<- prometheus.Metric, d *prometheus.Desc, h histogram.Histogram, labels ...string) {
	if len(h.Counts) != len(h.Bounds)+1 {
		ch <- prometheus.NewInvalidMetric(d, fmt.Errorf("a histogram with %d bounds has %d counts", len(h.Bounds), len(h.Counts)))
		return
	}
	cumulative, sum := make(map[float64]uint64, len(h.Bounds)), uint64(0)
	for i, bound := range h.Bounds {
		sum += h.Counts[i]
		cumulative[bound] = sum
	}
	metric, err := prometheus.NewConstHistogram(d, h.Count, h.Sum, cumulative, labels...)
	if err != nil {
		metric = prometheus.NewInvalidMetric(d, err)
	}
	ch <- metric
}

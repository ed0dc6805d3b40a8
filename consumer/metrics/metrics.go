// Package metrics shows a consumer to Prometheus. It is apart from package consumer, so that who does not want it does
// not get Prometheus' client.
package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkasync/kafkasync/consumer"
)

// collector asks the consumer at each scrape; it keeps nothing.
type collector struct {
	status func() consumer.Status

	up, buried, done, failing, attempts, stuck *prometheus.Desc
}

// Of returns a collector of c, to be registered once:
//
//	registry.MustRegister(metrics.Of("indexer", c))
//
// name becomes the label consumer, and is best that of Config.Name. How far a consumer is behind is better asked of Kafka, by
// consumer.Lag or an exporter of consumer groups: no process knows of the others' partitions.
func Of(name string, c *consumer.Consumer) prometheus.Collector {
	describe := func(what, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("kafkasync_consumer_"+what, help, labels, prometheus.Labels{"consumer": name})
	}
	return &collector{
		status: c.Status,
		up:     describe("up", "1 unless something is wrong beside the partitions, such as Kafka being away."),
		buried: describe("dead_letters_total", "Messages that this process has sent to the dead-letter topic."),
		done:   describe("done_offset", "Offset of a partition before which nothing is left to do.", "topic", "partition"),
		failing: describe("failing_seconds", "How long a partition has been waiting for a batch that fails again and again; 0: none does.",
			"topic", "partition"),
		attempts: describe("failing_attempts", "How often that batch has failed.", "topic", "partition"),
		stuck:    describe("stuck", "1 while a partition waits for a handler of an earlier assignment.", "topic", "partition"),
	}
}

// Describe is described at prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.up, c.buried, c.done, c.failing, c.attempts, c.stuck} {
		to <- d
	}
}

// Collect is described at prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	s := c.status()
	to <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, truth(s.Err == nil))
	to <- prometheus.MustNewConstMetric(c.buried, prometheus.CounterValue, float64(s.Buried))
	for i := range s.Partitions {
		p := &s.Partitions[i]
		gauge := func(d *prometheus.Desc, value float64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, p.Topic, strconv.Itoa(int(p.Partition)))
		}
		gauge(c.done, float64(p.Done))
		failing := 0.0
		if p.Failing != nil {
			failing = time.Since(p.Since).Seconds()
		}
		gauge(c.failing, failing)
		gauge(c.attempts, float64(p.Attempts))
		gauge(c.stuck, truth(p.Stuck))
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

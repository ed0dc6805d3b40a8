package web

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkasync/kafkasync/internal/histogram"
)

// Delayed is what this node's delayer knows of one delay of one topic. It is
// declared here, so that showing does not depend on delaying.
type Delayed struct {
	Topic                   string
	Delay                   time.Duration
	Resent, Collapsed, Lost uint64              // delay messages, since the process started
	Late                    histogram.Histogram // one observation for each delay message that was re-sent
	Waiting                 int64               // at most; -1: not known yet, then there is no gauge
}

// delayMetrics describes what is shown of a Delayed.
type delayMetrics struct {
	resent, collapsed, lost, waiting, late *prometheus.Desc
}

func newDelayMetrics() delayMetrics {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("kafkasync_delayer_"+name, help, []string{"topic", "delay"}, nil)
	}
	return delayMetrics{
		resent:    desc("resent_total", "Delay messages re-sent."),
		collapsed: desc("collapsed_total", "Delay messages for which a newer one of the same row was re-sent."),
		lost:      desc("lost_total", "Delay messages known not to have been re-sent."),
		waiting:   desc("waiting", "Delay messages that wait, at most: the records of the topic that the delayer has not passed."),
		late:      desc("late_seconds", "Time from when a delay message was due until it was re-sent."),
	}
}

func (m *delayMetrics) describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.resent, m.collapsed, m.lost, m.waiting, m.late} {
		ch <- d
	}
}

func (m *delayMetrics) collect(ch chan<- prometheus.Metric, d *Delayed) {
	// As in the header delay and in the name of the consumer group.
	delay := strconv.FormatInt(d.Delay.Milliseconds(), 10)
	send(ch, m.resent, prometheus.CounterValue, float64(d.Resent), d.Topic, delay)
	send(ch, m.collapsed, prometheus.CounterValue, float64(d.Collapsed), d.Topic, delay)
	send(ch, m.lost, prometheus.CounterValue, float64(d.Lost), d.Topic, delay)
	if d.Waiting >= 0 {
		send(ch, m.waiting, prometheus.GaugeValue, float64(d.Waiting), d.Topic, delay)
	}
	sendHistogram(ch, m.late, d.Late, d.Topic, delay)
}

package kafka

import (
	"errors"
	"log/slog"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// watch takes reports, errors and log lines from librdkafka until the producer is closed.
func watch(p *ck.Producer, w *window, log *slog.Logger) {
	events, lines := p.Events(), p.Logs()
	journal := journal{log: log}
	for events != nil || lines != nil {
		select {
		case e, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			takeEvents(w, e, events)
		case line, ok := <-lines:
			if !ok {
				lines = nil
				continue
			}
			journal.add(line)
		}
	}
}

// takeEvents takes e and whatever else has arrived, and changes the window once for all of it.
func takeEvents(w *window, e ck.Event, more <-chan ck.Event) {
	var records, bytes int64
	for waiting := len(more); ; waiting-- {
		switch e := e.(type) {
		case *ck.Message:
			if e.TopicPartition.Error != nil {
				w.fail(&deliveryError{topic: *e.TopicPartition.Topic, err: e.TopicPartition.Error})
				break
			}
			records++
			if cost, ok := e.Opaque.(int64); ok {
				bytes += cost
			} else {
				// Not earlier: the next Publish may have begun since this loop did.
				bytes += w.flat.Load()
			}
		case ck.Error:
			takeError(w, e)
		case ck.OAuthBearerTokenRefresh:
			w.setTrouble(errors.New("OAUTHBEARER works only with sasl.oauthbearer.method=oidc"))
		}
		if waiting == 0 {
			break
		}
		e = <-more
	}
	if records > 0 {
		w.setTrouble(nil)
		w.taken(records, bytes)
	}
}

func takeError(w *window, err ck.Error) {
	switch {
	case err.IsFatal():
		w.fail(err)
	case err.Code() == ck.ErrAllBrokersDown && w.troubled() != nil:
		// It follows the errors of the single brokers, which say why.
	default:
		w.setTrouble(err)
	}
}

// deliveryError is a record that Kafka refused. Publish, which has the messages, makes a Fault of it.
type deliveryError struct {
	topic string
	err   error
}

func (e *deliveryError) Error() string { return "publishing to " + e.topic + ": " + e.err.Error() }
func (e *deliveryError) Unwrap() error { return e.err }

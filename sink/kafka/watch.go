package kafka

import (
	"errors"
	"log/slog"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// watch takes reports, errors and log lines from librdkafka until the window is closed.
func watch(p *rdkafka.Producer, w *window, log *slog.Logger, appended func(time.Time)) {
	journal := journal{log: log}
	for !w.closed.Load() {
		report := p.Poll()
		if !report.Appended.IsZero() {
			appended(report.Appended) // before Publish can return
		}
		if report.Records > 0 {
			w.setTrouble(nil)
			w.taken(report.Records, report.Bytes)
		}
		if report.Refused != nil {
			w.fail(&deliveryError{topic: report.Topic, err: report.Refused})
		}
		switch e := report.Event.(type) {
		case ck.Error:
			takeError(w, e)
		case ck.LogEvent:
			journal.add(e)
		case ck.OAuthBearerTokenRefresh:
			w.setTrouble(errors.New("OAUTHBEARER works only with sasl.oauthbearer.method=oidc"))
		}
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

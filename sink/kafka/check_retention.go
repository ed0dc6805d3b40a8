package kafka

import (
	"context"
	"fmt"
	"strconv"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
)

// spare is how much longer than a delay a topic should keep its records: the
// least outage that the delayer should survive.
const spare = 24 * time.Hour

// checkRetention looks at whether a record is still there when its delay has passed.
func (s *Sink) checkRetention(ctx context.Context, t Topic, described ck.TopicDescription, settings map[string]string) []kafkasync.Finding {
	if t.Delay == 0 {
		return nil
	}
	found := s.checkTime(t, settings)
	if found != nil && found.Severity == kafkasync.SeverityError {
		return []kafkasync.Finding{*found} // what is missing from the log, that has taken away
	}
	var findings []kafkasync.Finding
	for _, f := range []*kafkasync.Finding{found, s.checkBytes(ctx, t, described, settings)} {
		if f != nil {
			findings = append(findings, *f)
		}
	}
	return findings
}

// checkTime compares retention.ms with the delay.
func (s *Sink) checkTime(t Topic, settings map[string]string) *kafkasync.Finding {
	ms, err := strconv.ParseInt(settings[retentionTime], 10, 64)
	keeps := time.Duration(ms) * time.Millisecond
	if err != nil || ms < 0 || keeps >= t.Delay+spare { // less than 0: for ever
		return nil
	}
	found := &kafkasync.Finding{
		ID: "K05", Severity: kafkasync.SeverityWarning,
		What: fmt.Sprintf("the topic %s keeps messages for %s, and their delay is %s", t.Name, keeps, t.Delay),
		Why:  fmt.Sprintf("delay messages are lost when the delayer is down for more than %s", keeps-t.Delay),
		Fix:  s.alterCommand(t.Name, fmt.Sprintf("%s=%d", retentionTime, (t.Delay+spare).Milliseconds())),
	}
	if keeps <= t.Delay {
		found.Severity = kafkasync.SeverityError
		found.Why = "messages are deleted before their delay messages are sent"
	}
	return found
}

// checkBytes looks at what retention.bytes leaves of a delay. How many bytes are
// written in that time nobody knows, but a log that has been cut shows it.
func (s *Sink) checkBytes(ctx context.Context, t Topic, described ck.TopicDescription, settings map[string]string) *kafkasync.Finding {
	limit, err := strconv.ParseInt(settings[retentionBytes], 10, 64)
	if err != nil || limit < 0 { // less than 0: none
		return nil
	}
	found := &kafkasync.Finding{
		ID: "K05", Severity: kafkasync.SeverityError,
		What: fmt.Sprintf("the topic %s is cut at %s=%d", t.Name, retentionBytes, limit),
		Fix:  s.alterCommand(t.Name, retentionBytes+"=-1"),
	}
	if limit < DefaultInFlight {
		found.Why = fmt.Sprintf("a bulk change, of which up to %d bytes are on their way at once, pushes messages out before their delay messages are sent",
			DefaultInFlight)
		return found
	}
	cut, err := s.cut(ctx, t, described, settings, limit)
	if cut > 0 {
		found.What += fmt.Sprintf(", and %d of %s no longer go back as far as the delay of %s",
			cut, counted(len(described.Partitions), "partition"), t.Delay)
		found.Why = "messages are deleted before their delay messages are sent"
		return found
	}
	found.Severity = kafkasync.SeverityWarning
	found.Why = "a bulk change may push messages out before their delay messages are sent"
	if err != nil {
		found.Why += fmt.Sprintf(" (whether one has is not known: %s)", err)
	}
	return found
}

// cut counts the partitions that were cut too early: they have lost their
// beginning, and their oldest record is younger than the delay.
func (s *Sink) cut(ctx context.Context, t Topic, described ck.TopicDescription, settings map[string]string, limit int64) (int, error) {
	since := ck.NewOffsetSpecForTimestamp(time.Now().Add(-t.Delay).UnixMilli())
	var offsets [3][]int64
	for i, wanted := range []ck.OffsetSpec{ck.EarliestOffsetSpec, since, ck.LatestOffsetSpec} {
		var err error
		if offsets[i], err = s.offsets(ctx, described, wanted); err != nil {
			return 0, fmt.Errorf("asking for the offsets of topic %s: %w", t.Name, err)
		}
	}
	begin, young, end := offsets[0], offsets[1], offsets[2]
	largest, _ := strconv.ParseInt(settings["max.message.bytes"], 10, 64) // not a number: 0, so that nothing is claimed
	// What is cut by its size stays at least as large as the limit. A partition that
	// cannot be that large was emptied by time, while nothing was written for long, or by a person.
	full := (limit-1)/max(1, largest) + 1
	count := 0
	for p := range begin {
		if begin[p] > 0 && young[p] == begin[p] && end[p]-begin[p] >= full {
			count++
		}
	}
	return count, nil
}

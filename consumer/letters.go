package consumer

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer/internal/broker"
)

// What a dead letter carries behind the headers that the message had.
const (
	deadPrefix    = "dead-"
	deadConsumer  = deadPrefix + "consumer"  // whose handler failed: Config.Name
	deadTopic     = deadPrefix + "topic"     // where the message was
	deadPartition = deadPrefix + "partition" //
	deadOffset    = deadPrefix + "offset"    //
	deadAttempts  = deadPrefix + "attempts"  // how often it was handed over
	deadAt        = deadPrefix + "at"        // milliseconds since 1970
	deadError     = deadPrefix + "error"     // why it failed the last time
)

// mostError is how much of an error's text is kept.
const mostError = 2000

// bury sends what has failed often enough, and what cannot be read, to the dead-letter topic: once it is acknowledged there, it is done.
// It returns what is still wrong; err is what was before.
func (w *worker) bury(ctx context.Context, b *batch, err error) error {
	var letters []broker.Letter
	for i := range b.broken {
		one := &b.broken[i]
		letters = append(letters, w.letter(&one.message, one.headers, 0, one.err))
	}
	for i := range b.todo {
		m := &b.todo[i]
		if mark := b.marks[m.Offset]; mark.times > w.cfg.Retries {
			headers, _ := m.AppendHeaders(nil, nil)
			letters = append(letters, w.letter(m, headers, mark.times, mark.err))
		}
	}
	if len(letters) == 0 {
		return err
	}
	if sending := w.letters.Send(ctx, letters); sending != nil {
		return fmt.Errorf("sending %d messages to the dead-letter topic %s: %w; it would take them for: %w", len(letters), w.cfg.DeadLetters, sending, err)
	}
	w.cfg.Logger.ErrorContext(ctx, "messages were given up and sent to the dead-letter topic", "consumer", w.cfg.Name, "dead_letters", w.cfg.DeadLetters,
		"count", len(letters), "err", err)
	w.status.buried(len(letters))
	b.broken = nil
	b.todo = slices.DeleteFunc(b.todo, func(m kafkasync.Message) bool { return b.marks[m.Offset].times > w.cfg.Retries })
	if len(b.todo) == 0 {
		return nil
	}
	return err
}

func (w *worker) letter(m *kafkasync.Message, headers []kafkasync.Header, attempts int, cause error) broker.Letter {
	// Those of an earlier death go: the message was sent on from a dead-letter topic.
	l := broker.Letter{Key: m.Key, Value: m.Value, Headers: slices.DeleteFunc(headers, func(h kafkasync.Header) bool { return strings.HasPrefix(h.Key, deadPrefix) })}
	text := strings.ToValidUTF8(cause.Error(), "?")
	if len(text) > mostError {
		text = strings.ToValidUTF8(text[:mostError], "")
	}
	for _, h := range [][2]string{
		{deadConsumer, w.cfg.Name},
		{deadTopic, m.Topic},
		{deadPartition, strconv.Itoa(int(m.Partition))},
		{deadOffset, strconv.FormatInt(m.Offset, 10)},
		{deadAttempts, strconv.Itoa(attempts)},
		{deadAt, strconv.FormatInt(time.Now().UnixMilli(), 10)},
		{deadError, text},
	} {
		l.Headers = append(l.Headers, kafkasync.Header{Key: h[0], Value: []byte(h[1])})
	}
	return l
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafkasync/kafkasync/consumer"
)

func newDLQ() *cobra.Command {
	return family("dlq", "List dead letters, and send them back", "",
		"  kafkasync dlq list products-dead\n  kafkasync dlq redrive products-dead --consumer indexer --yes", newDLQList(), newDLQRedrive())
}

// letters is which dead letters a command is about.
type letters struct {
	group

	source, consumer, since string
	limit                   int
}

func (l *letters) addFlags(cmd *cobra.Command) {
	addConfigFlag(cmd, &l.file)
	flags := cmd.Flags()
	flags.StringSliceVar(&l.brokers, "brokers", nil, "ask Kafka at `HOST:PORT,...`; then no file is needed")
	flags.BoolVar(&l.asJSON, "json", false, "print JSON objects, one a line")
	flags.StringVar(&l.source, "topic", "", "only messages that were in `TOPIC`")
	flags.StringVar(&l.consumer, "consumer", "", "only messages that the consumer `NAME` has given up")
	flags.StringVar(&l.since, "since", "", "only what was given up at `TIME` or later, such as 2026-11-30T08:00:00Z")
	flags.IntVar(&l.limit, "limit", 0, "at most `N`, the oldest of each partition first; 0: all")
}

// each calls do with the letters that are meant, and counts the records that are no letters.
func (l *letters) each(ctx context.Context, c consumer.Config, topic string, do func(*consumer.DeadLetter) error) (others int, err error) {
	since := time.Time{}
	if l.since != "" {
		if since, err = time.Parse(time.RFC3339, l.since); err != nil {
			return 0, usageErrorf("--since is a time such as 2026-11-30T08:00:00Z, not %q", l.since)
		}
	}
	if l.limit < 0 {
		return 0, usageErrorf("--limit cannot be %d: want a positive number, or 0 for no limit", l.limit)
	}
	seen := 0
	return consumer.DeadLetters(ctx, c, topic, func(d *consumer.DeadLetter) error {
		if l.source != "" && d.Topic != l.source || l.consumer != "" && d.Consumer != l.consumer || d.At.Before(since) || l.limit > 0 && seen == l.limit {
			return nil
		}
		seen++
		return do(d)
	})
}

func newDLQList() *cobra.Command {
	var l letters
	cmd := &cobra.Command{
		Use:   "list TOPIC",
		Short: "Print the letters of a dead-letter topic",
		Long: `Prints each message that a consumer of the Go library has given up: when, whose it
was, where it was, how often it was tried, its key and value, and why it failed. How
many other records the topic has goes to the standard error.`,
		Example: `  kafkasync dlq list products-dead
  kafkasync dlq list products-dead --consumer indexer --since 2026-11-30T08:00:00Z --json`,
		Args:              needArgs("TOPIC"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := l.config(cmd, "")
			if err != nil {
				return err
			}
			others, err := l.each(cmd.Context(), c, args[0], func(d *consumer.DeadLetter) error { return l.write(cmd.OutOrStdout(), d) })
			if err == nil && others > 0 {
				cmd.PrintErrf("Not shown: the topic also has %s without the headers of a dead letter.\n", count(others, "record"))
			}
			return err
		},
	}
	l.addFlags(cmd)
	return cmd
}

func newDLQRedrive() *cobra.Command {
	var l letters
	var yes bool
	cmd := &cobra.Command{
		Use:   "redrive TOPIC",
		Short: "Send dead letters back to the topics that they came from",
		Long: `Sends messages back, byte for byte, to the topics that they came from, where every
consumer gets them; whoever handles ids has done some of them twice then, and no harm.
The letters stay in the dead-letter topic until its retention ends: use --since to
send back what has come since the last time. Without --yes it only lists them.`,
		Example: `  kafkasync dlq redrive products-dead --consumer indexer
  kafkasync dlq redrive products-dead --topic products --limit 100 --yes`,
		Args:              needArgs("TOPIC"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := l.config(cmd, "")
			if err != nil {
				return err
			}
			sent, chunk := 0, []consumer.DeadLetter(nil)
			flush := func() error {
				if err := consumer.Redrive(cmd.Context(), c, chunk); err != nil {
					return fmt.Errorf("after %d that were sent back: %w", sent, err)
				}
				sent += len(chunk)
				chunk = chunk[:0]
				return nil
			}
			_, err = l.each(cmd.Context(), c, args[0], func(d *consumer.DeadLetter) error {
				if !yes {
					sent++
					return l.write(cmd.OutOrStdout(), d)
				}
				if chunk = append(chunk, *d); len(chunk) < 1000 {
					return nil
				}
				return flush()
			})
			if err == nil {
				err = flush()
			}
			if err != nil {
				return err
			}
			if !yes {
				cmd.PrintErrf("Nothing has been done. Repeat the command with --yes to send %s back.\n", count(sent, "message"))
				return errReported
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s sent back.\n", count(sent, "message"))
			return err
		},
	}
	l.addFlags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, yesText)
	return cmd
}

// write prints a letter as a line.
func (l *letters) write(w io.Writer, d *consumer.DeadLetter) error {
	if l.asJSON {
		return writeLetterJSON(w, d)
	}
	key, value := "-", "tombstone"
	if d.Key != nil {
		key = plain(d.Key)
	}
	if d.Value != nil {
		value = plain(d.Value)
	}
	_, err := fmt.Fprintf(w, "%s  %s  %s %d@%d  %s  %s  %s  %s\n", d.At.UTC().Format(millis), plain([]byte(d.Consumer)),
		plain([]byte(d.Topic)), d.SourcePartition, d.SourceOffset, key, value, attempts(d.Attempts), plain([]byte(strings.Join(strings.Fields(d.Error), " "))))
	return err
}

func attempts(n int) string {
	if n == 0 {
		return "unreadable"
	}
	return count(n, "attempt")
}

// letter is a dead letter as --json shows it.
type letter struct {
	At        int64           `json:"at"` // milliseconds
	Consumer  string          `json:"consumer"`
	Topic     string          `json:"topic"`
	Partition int32           `json:"partition"`
	Offset    int64           `json:"offset"`
	Key       *string         `json:"key"`
	Value     json.RawMessage `json:"value"` // a string where it is no JSON
	Attempts  int             `json:"attempts"`
	Error     string          `json:"error"`
}

func writeLetterJSON(w io.Writer, d *consumer.DeadLetter) error {
	line := letter{
		At: d.At.UnixMilli(), Consumer: d.Consumer, Topic: d.Topic, Partition: d.SourcePartition, Offset: d.SourceOffset,
		Value: d.Value, Attempts: d.Attempts, Error: d.Error,
	}
	if d.Key != nil {
		key := string(d.Key)
		line.Key = &key
	}
	if d.Value != nil && !json.Valid(d.Value) {
		quoted, err := json.Marshal(string(d.Value))
		if err != nil {
			return fmt.Errorf("encoding the value of %s %d@%d: %w", d.Topic, d.SourcePartition, d.SourceOffset, err)
		}
		line.Value = quoted
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(line)
}

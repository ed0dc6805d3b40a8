package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/spf13/cobra"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/internal/tail"
)

func newConsume() *cobra.Command {
	var file string
	var brokers []string
	var options tail.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "consume TOPIC",
		Short: "Print the messages of a topic as lines, for looking",
		Long: `Prints each message of a topic as one line: commit time, operation, table, key,
value, seq, and where it was read. It starts at the end of the topic and goes on
until interrupted, and leaves nothing behind on the brokers unless --group is given.

With --json each line is an object. What a record does not carry is left out of
it; the value of a tombstone is null.`,
		Example: `  kafkasync consume products
  kafkasync consume products --from-beginning --limit 10
  kafkasync consume products --json | jq -c '{op, id: .value.id}'
  kafkasync consume products --brokers 127.0.0.1:9092`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageErrorf("consume needs one TOPIC, got %d", len(args))
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if options.Limit < 0 {
				return usageErrorf("--limit cannot be %d: want a positive number, or 0 for no limit", options.Limit)
			}
			options.Topic, options.Brokers = args[0], brokers
			if len(brokers) == 0 || cmd.Flags().Changed("config") {
				cfg, err := config.Load(file)
				if err != nil {
					return err
				}
				options.Properties = cfg.Kafka.Properties
				if len(brokers) == 0 {
					options.Brokers = cfg.Kafka.Brokers
				}
			}
			err := tail.Run(cmd.Context(), options, printer(cmd.OutOrStdout(), asJSON))
			if cmd.Context().Err() != nil {
				return nil //nolint:nilerr // interrupted, as looking is meant to end
			}
			return unreadable(options, err)
		},
	}
	addConfigFlag(cmd, &file)
	flags := cmd.Flags()
	flags.StringSliceVar(&brokers, "brokers", nil, "read from `HOST:PORT,...`; then no file is needed")
	flags.BoolVar(&options.FromBeginning, "from-beginning", false, "start at the oldest message instead of the end")
	flags.StringVar(&options.Group, "group", "", "join the consumer group `NAME` and go on where it was")
	flags.IntVar(&options.Limit, "limit", 0, "end after `N` messages; 0: never")
	flags.BoolVar(&asJSON, "json", false, "print JSON objects, one a line")
	return cmd
}

// unreadable says what to do about a topic that cannot be read.
func unreadable(options tail.Options, err error) error {
	var problem ck.Error
	if !errors.As(err, &problem) {
		return err
	}
	brokers := strings.Join(options.Brokers, ",")
	switch problem.Code() {
	case ck.ErrUnknownTopicOrPart, ck.ErrUnknownTopic:
		return &kafkasync.Fault{
			What: fmt.Sprintf("Kafka at %s has no topic %s", brokers, options.Topic), Err: err,
			Fix: "a topic is created with its first message: change a row; 'kafkasync check' lists the topics",
		}
	case ck.ErrTransport, ck.ErrAllBrokersDown, ck.ErrResolve, ck.ErrTimedOut:
		return &kafkasync.Fault{
			What: fmt.Sprintf("Kafka at %s does not answer", brokers), Err: err,
			Fix: "start Kafka, or correct kafka.brokers in the file, or --brokers",
		}
	default:
		return err
	}
}

// printer returns what is done with each message.
func printer(w io.Writer, asJSON bool) func(kafkasync.Message) error {
	return func(m kafkasync.Message) error {
		if asJSON {
			return writeMessageJSON(w, m)
		}
		return writeMessage(w, m)
	}
}

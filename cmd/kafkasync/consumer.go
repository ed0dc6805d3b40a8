package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/spf13/cobra"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/consumer"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// groupLimit bounds all questions about a consumer.
const groupLimit = 30 * time.Second

func newConsumer() *cobra.Command {
	return family("consumer", "See how far a consumer is, and set where it goes on", "",
		"  kafkasync consumer lag indexer\n  kafkasync consumer reset indexer --to earliest", newConsumerLag(), newConsumerReset())
}

// group is how a command reaches a consumer group.
type group struct {
	file            string
	brokers, topics []string
	asJSON          bool
}

func (g *group) addFlags(cmd *cobra.Command) {
	addConfigFlag(cmd, &g.file)
	flags := cmd.Flags()
	flags.StringSliceVar(&g.brokers, "brokers", nil, "ask Kafka at `HOST:PORT,...`; then no file is needed")
	flags.StringSliceVar(&g.topics, "topic", nil, "only `TOPIC,...`; by default all that the consumer has begun with")
	flags.BoolVar(&g.asJSON, "json", false, "print a JSON array")
}

// config is what package consumer needs to know of a group.
func (g *group) config(cmd *cobra.Command, name string) (consumer.Config, error) {
	c := consumer.Config{Name: name, Brokers: g.brokers, Topics: g.topics}
	if len(g.brokers) > 0 && !cmd.Flags().Changed("config") {
		return c, nil
	}
	cfg, err := config.Load(g.file)
	if err != nil {
		return c, err
	}
	c.Kafka = cfg.Kafka.Properties
	if len(c.Brokers) == 0 {
		c.Brokers = cfg.Kafka.Brokers
	}
	return c, nil
}

// lag is that of all topics that were asked for, or that the consumer has begun with.
func (g *group) lag(ctx context.Context, cmd *cobra.Command, name string) (consumer.Config, []consumer.PartitionLag, error) {
	c, err := g.config(cmd, name)
	if err != nil {
		return c, nil, err
	}
	if len(g.topics) == 0 {
		if c.Topics, err = topicsOf(ctx, c); err != nil {
			return c, nil, err
		}
	}
	all, err := consumer.Lag(ctx, c)
	if err != nil || len(g.topics) > 0 {
		return c, all, err
	}
	begun := map[string]bool{}
	for _, p := range all {
		begun[p.Topic] = begun[p.Topic] || p.Done >= 0
	}
	all = slices.DeleteFunc(all, func(p consumer.PartitionLag) bool { return !begun[p.Topic] })
	if len(all) == 0 {
		err = &kafkasync.Fault{
			What: fmt.Sprintf("no consumer named %s has begun with a topic", c.Name),
			Fix:  "give the name that the application sets in consumer.Config.Name; or name the topics with --topic",
		}
	}
	return c, all, err
}

// topicsOf are all topics of the cluster but Kafka's own.
func topicsOf(ctx context.Context, c consumer.Config) ([]string, error) {
	admin, err := ck.NewAdminClient(rdkafka.AdminConfig("kafkasync", c.Brokers, c.Kafka))
	if err != nil {
		return nil, fmt.Errorf("opening Kafka's admin client: %w", err)
	}
	defer rdkafka.Release(admin.Close)
	limit := 10 * time.Second
	if until, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(until))
	}
	found, err := admin.GetMetadata(nil, true, int(limit.Milliseconds()))
	if err != nil {
		return nil, &kafkasync.Fault{
			What: fmt.Sprintf("Kafka at %s does not answer", strings.Join(c.Brokers, ",")), Err: err,
			Fix: "start Kafka, or correct kafka.brokers in the file, or --brokers",
		}
	}
	var names []string
	for name := range found.Topics {
		if !strings.HasPrefix(name, "__") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) == 0 {
		return nil, &kafkasync.Fault{What: fmt.Sprintf("Kafka at %s has no topics", strings.Join(c.Brokers, ",")), Fix: "a topic is created with its first message: change a row"}
	}
	return names, nil
}

func newConsumerLag() *cobra.Command {
	var g group
	cmd := &cobra.Command{
		Use:   "lag NAME",
		Short: "Print how far a consumer is in each partition",
		Long: `Prints, for each partition that the consumer of the name has begun with, how many
offsets are left to do. It joins nothing. The groups of kafkasync's own delayers,
NAME-delayer-MILLISECONDS, are always behind by their delay.`,
		Example: `  kafkasync consumer lag indexer
  kafkasync consumer lag indexer --topic products --json`,
		Args:              needArgs("NAME"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), groupLimit)
			defer cancel()
			_, all, err := g.lag(ctx, cmd, args[0])
			if err != nil {
				return err
			}
			return g.print(cmd, all)
		},
	}
	g.addFlags(cmd)
	return cmd
}

func newConsumerReset() *cobra.Command {
	var g group
	var to string
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset NAME",
		Short: "Set where a consumer goes on",
		Long: `Sets where the consumer of the name goes on, once none of its processes runs: at the
earliest message that is there, behind the latest one, or at the first one that was
published at a time or later. Without --yes it only says how far the consumer is.`,
		Example: `  kafkasync consumer reset indexer --to earliest --yes
  kafkasync consumer reset indexer --to 2026-11-30T08:00:00Z --topic products --yes`,
		Args:              needArgs("NAME"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			start, err := startOf(to)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), groupLimit)
			defer cancel()
			c, all, err := g.lag(ctx, cmd, args[0])
			if err != nil {
				return err
			}
			if !yes {
				if err := g.print(cmd, all); err != nil {
					return err
				}
				cmd.PrintErrln("Nothing has been done. Repeat the command with --yes to do it.")
				return errReported
			}
			c.Topics = nil
			for _, p := range all {
				if !slices.Contains(c.Topics, p.Topic) {
					c.Topics = append(c.Topics, p.Topic)
				}
			}
			if all, err = consumer.Reset(ctx, c, start); err != nil {
				return err
			}
			return g.print(cmd, all)
		},
	}
	g.addFlags(cmd)
	cmd.Flags().StringVar(&to, "to", "", "`PLACE` to go on at: earliest, latest, or a time such as 2026-11-30T08:00:00Z")
	cmd.Flags().BoolVar(&yes, "yes", false, yesText)
	return cmd
}

func startOf(to string) (consumer.Start, error) {
	switch to {
	case "earliest":
		return consumer.Earliest(), nil
	case "latest":
		return consumer.Latest(), nil
	}
	at, err := time.Parse(time.RFC3339, to)
	if err != nil || at.UnixMilli() <= 0 {
		return consumer.Start{}, usageErrorf("--to is earliest, latest, or a time such as 2026-11-30T08:00:00Z, not %q", to)
	}
	return consumer.At(at), nil
}

// standing is a line of JSON. Done is -1 where the consumer has not begun.
type standing struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Begin     int64  `json:"begin"`
	Done      int64  `json:"done"`
	End       int64  `json:"end"`
	Behind    int64  `json:"behind"`
}

func (g *group) print(cmd *cobra.Command, all []consumer.PartitionLag) error {
	if g.asJSON {
		lines := make([]standing, 0, len(all))
		for _, p := range all {
			lines = append(lines, standing{p.Topic, p.Partition, p.Begin, p.Done, p.End, p.Behind()})
		}
		return writeJSON(cmd.OutOrStdout(), lines)
	}
	rows := [][]string{{"TOPIC", "PARTITION", "DONE", "END", "BEHIND"}}
	var sum int64
	for _, p := range all {
		done := "not begun"
		if p.Done >= 0 {
			done = strconv.FormatInt(p.Done, 10)
		}
		rows = append(rows, []string{p.Topic, strconv.Itoa(int(p.Partition)), done, strconv.FormatInt(p.End, 10), strconv.FormatInt(p.Behind(), 10)})
		sum += p.Behind()
	}
	if err := writeTable(cmd.OutOrStdout(), rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "\n%d behind in %s.\n", sum, count(len(all), "partition"))
	return err
}

package config

import (
	"fmt"
	"strings"

	"github.com/kafkasync/kafkasync/sink/kafka"
)

func (r *reader) kafka(o *object, c *kafka.Config) {
	const fix = "write kafka: with brokers: [127.0.0.1:9092] below it"
	f, ok := o.need("kafka", fix)
	if !ok {
		return
	}
	k := r.object(f, "brokers", "config", "topics")
	if f, ok := k.need("brokers", "name at least one, such as brokers: [127.0.0.1:9092]"); ok {
		c.Brokers = r.brokers(f)
	}
	if f, ok := k.get("config"); ok {
		c.Properties = r.properties(f, kafka.Refused)
	}
	if f, ok := k.get("topics"); ok {
		r.topics(f, &c.Topics)
	}
}

// brokers reads the list. One entry may hold several brokers with commas between
// them, as an environment variable often does.
func (r *reader) brokers(f field) []string {
	entries, _ := r.list(f, "write a list, such as [127.0.0.1:9092]")
	var brokers []string
	for _, entry := range entries {
		t, ok := r.text(entry, false)
		if !ok {
			continue
		}
		for broker := range strings.SplitSeq(t.value, ",") {
			broker = strings.TrimSpace(broker)
			host, ok := splitAddress(broker)
			if !ok || host == "" || strings.HasSuffix(broker, ":0") {
				r.report(t.at, fmt.Sprintf("%s cannot be %s", entry.path, t.said),
					"write host:port, such as 127.0.0.1:9092; TLS and SASL are set under kafka.config")
				break
			}
			brokers = append(brokers, broker)
		}
	}
	return brokers
}

func (r *reader) topics(f field, c *kafka.Topics) {
	t := r.object(f, "create", "partitions", "replication", "config")
	if create, ok := t.flag("create"); ok {
		c.Create = create
	}
	if n, ok := t.number("partitions", false); ok {
		c.Partitions = n
	}
	if n, ok := t.number("replication", true); ok {
		c.Replication = n
	}
	if f, ok := t.get("config"); ok {
		c.Config = r.properties(f, func(string) string { return "" })
	}
}

// properties reads names and values that librdkafka or the broker knows.
func (r *reader) properties(f field, refused func(string) string) map[string]string {
	pairs, _ := r.pairs(f)
	if len(pairs) == 0 {
		return nil
	}
	properties := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		name := pair.key.Value
		if why := refused(name); why != "" {
			r.report(pair.key, fmt.Sprintf("%s cannot set %s: %s", f.path, name, why), "remove the line")
			continue
		}
		if t, ok := r.scalar(pair, true); ok {
			properties[name] = t.value
		}
	}
	return properties
}

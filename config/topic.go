package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kafkasync/kafkasync/sink/kafka"
)

var (
	placeholders = regexp.MustCompile(`\{(pipeline|schema|table)\}`)
	topicNames   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)
)

// expandTopic returns the topic of a rule, as far as the file decides it.
func (one routed) expandTopic() (topic string, known bool) {
	schema, table, _ := strings.Cut(one.rule.Match, ".")
	topic = strings.NewReplacer("{pipeline}", one.pipeline.value, "{schema}", schema, "{table}", table).Replace(one.rule.Topic)
	return topic, !one.bare && (one.names() || isLiteral(one.rule.Match))
}

// names reports whether the rule names its topic, so that it may be shared on purpose.
func (one routed) names() bool {
	return !strings.Contains(one.rule.Topic, "{schema}") && !strings.Contains(one.rule.Topic, "{table}")
}

// say returns the topic for a message, without what a reference stands for.
func (one routed) say() string {
	if one.topic.at != nil {
		return one.topic.said
	}
	if topic, known := one.expandTopic(); known && one.match.plain && one.pipeline.plain {
		return fmt.Sprintf("%q", topic)
	}
	return `"{table}"`
}

// checkTopic reports a topic that cannot exist in Kafka.
func (r *reader) checkTopic(one *routed) {
	const fix = "use at most 249 of a-z, A-Z, 0-9, ., _ and -, and the placeholders {pipeline}, {schema} and {table}"
	topic, known := one.expandTopic()
	if !known {
		topic = placeholders.ReplaceAllString(one.rule.Topic, "x") // what a table is called is known only later
	}
	switch {
	case topicNames.MatchString(topic) && topic != "." && topic != "..":
	case one.topic.at == nil && !one.bare:
		r.report(one.match.at, fmt.Sprintf("%s: the name of this table cannot be the name of a topic", one.path), "name the topic, such as topic: products")
	case one.topic.at != nil:
		r.report(one.topic.at, fmt.Sprintf("Kafka allows no topic named %s", one.topic.said), fix)
	}
}

// checkTopics reports topics that two tables reach by accident. Two tables may
// share a topic only if both rules say so, and never with tombstones: a tombstone
// for row 42 of one would remove row 42 of the other.
func (r *reader) checkTopics(routes *routes) {
	first := map[string]routed{}
	for _, one := range routes.all {
		topic, known := one.expandTopic()
		if one.rule.Skip || !known {
			continue
		}
		at := one.topic.at
		if at == nil {
			at = one.match.at
		}
		if one.rule.Tombstones && !isLiteral(one.rule.Match) {
			r.report(at, fmt.Sprintf("%s sends tombstones to %s, which all tables of its pattern share", one.path, one.say()),
				"use topic: \"{table}\", or a rule per table with a topic of its own")
		}
		before, taken := first[topic]
		if !taken {
			first[topic] = one
			continue
		}
		if before.pipeline.value == one.pipeline.value && before.rule.Match == one.rule.Match {
			continue // the rule is never reached, which has been said
		}
		switch {
		case one.rule.Tombstones || before.rule.Tombstones:
			r.report(at, fmt.Sprintf("the topic %s is used by %s too, and tombstones need a topic of their own", one.say(), before.path),
				"give one of them another topic")
		case !one.names() || !before.names():
			r.report(at, fmt.Sprintf("the topic %s is reached by %s too", one.say(), before.path),
				"give one of them another topic, or name the topic in both rules to share it on purpose")
		}
	}
}

// checkCompaction reports delay messages on topics that new settings compact.
func (r *reader) checkCompaction(topics *kafka.Topics, routes *routes) {
	if !strings.Contains(topics.Config["cleanup.policy"], "compact") {
		return
	}
	i := slices.IndexFunc(routes.all, func(one routed) bool { return one.rule.Delay != 0 })
	if i >= 0 {
		one := routes.all[i]
		r.report(one.at, fmt.Sprintf("%s has a delay of %s, but kafka.topics.config makes new topics compacted", one.path, one.rule.Delay),
			"add delay: 0 to every rule, or remove cleanup.policy: a late delay message would bring a deleted row back")
	}
}

// checkReached reports a rule whose tables an earlier rule takes.
func (r *reader) checkReached(earlier []routed, one routed) {
	for _, before := range earlier {
		if !one.bare && !before.bare && covers(before.rule.Match, one.rule.Match) {
			r.report(one.match.at, fmt.Sprintf("%s is never reached: %s matches the same tables first", one.path, before.path),
				"move the narrower rule up, or remove one")
			return
		}
	}
}

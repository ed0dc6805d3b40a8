package kafka

// Config is what the file says under kafka.
type Config struct {
	Brokers    []string
	Properties map[string]string // any librdkafka property that does not carry our guarantees
	Topics     Topics
}

// Topics says how topics come to be.
type Topics struct {
	Create      bool              // create what is missing; else a missing topic stops the pipeline
	Partitions  int               // of topics that we create
	Replication int               // of topics that we create; -1: the broker's default
	Config      map[string]string // further topic settings of topics that we create
}

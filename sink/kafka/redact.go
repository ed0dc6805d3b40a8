package kafka

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
)

// String shows the settings, but of the properties only the names: any value may
// be a secret of some mechanism.
func (c Config) String() string {
	return fmt.Sprintf("{Brokers:%v Properties:%v Topics:%+v}", c.Brokers, slices.Sorted(maps.Keys(c.Properties)), c.Topics)
}

// GoString is String, so that %#v shows no secret either.
func (c Config) GoString() string { return c.String() }

// MarshalText is String, so that no encoder shows a secret either.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// LogValue is String for a logger.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

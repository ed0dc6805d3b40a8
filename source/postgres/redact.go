package postgres

import (
	"fmt"
	"log/slog"
)

// String shows the settings without the password and without the URL, which may
// hold one.
func (c Config) String() string {
	return fmt.Sprintf("{URL:%s Password:%s Slot:%s Publication:%s}", mask(c.URL), mask(c.Password), c.Slot, c.Publication)
}

// GoString is String, so that %#v shows no secret either.
func (c Config) GoString() string { return c.String() }

// MarshalText is String, so that no encoder shows a secret either.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// LogValue is String for a logger.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

func mask(secret string) string {
	if secret == "" {
		return "(none)"
	}
	return "(set)"
}

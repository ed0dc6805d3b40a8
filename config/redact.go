package config

import (
	"fmt"
	"log/slog"
)

// String shows the configuration without its secrets: HTTP and the Configs of
// other packages, which hold them, print themselves without.
func (c Config) String() string {
	type plain Config
	return fmt.Sprintf("%+v", plain(c))
}

// GoString is String, so that %#v shows no secret either.
func (c Config) GoString() string { return c.String() }

// LogValue is String for a logger.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// String shows the settings without the tokens.
func (h HTTP) String() string {
	return fmt.Sprintf("{Listen:%s Token:%s ReadToken:%s TLS:%+v}", h.Listen, mask(h.Token), mask(h.ReadToken), h.TLS)
}

// GoString is String, so that %#v shows no secret either.
func (h HTTP) GoString() string { return h.String() }

// MarshalText is String, so that no encoder shows a secret either.
func (h HTTP) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// LogValue is String for a logger.
func (h HTTP) LogValue() slog.Value { return slog.StringValue(h.String()) }

func mask(secret string) string {
	if secret == "" {
		return "(none)"
	}
	return "(set)"
}

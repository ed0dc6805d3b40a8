package mysql

import (
	"fmt"
	"log/slog"

	"github.com/kafkasync/kafkasync"
)

// The flavours.
const (
	MySQL   = "mysql"
	MariaDB = "mariadb"
)

// Config is what the file says under pipelines[].source.mysql or .mariadb.
type Config struct {
	Flavour  string // MySQL or MariaDB
	URL      string // mysql://user@host1:3306,host2:3306/?tls=verify-full
	Password string // apart from the URL, so that no character needs escaping; "": as the URL says
	ServerID uint32 // of this node: unique among all servers and readers of the replication
}

// Validate looks at everything but the server itself, and reads the files that the URL names.
func (c Config) Validate() error {
	_, err := c.address()
	return err
}

// address is where the URL leads to.
func (c Config) address() (*address, error) {
	if c.Flavour != MySQL && c.Flavour != MariaDB {
		return nil, fmt.Errorf("mysql source: the flavour %q is not known, want %s or %s", c.Flavour, MySQL, MariaDB)
	}
	if c.ServerID == 0 {
		return nil, c.fault("server_id is not set", "set server_id to a number that no server and no other reader of the replication has")
	}
	to, err := parseURL(c.URL)
	if err != nil {
		return nil, c.fault("url cannot be used: "+err.Error(), "correct it, as in mysql://cdc@db1:3306,db2:3306/?tls=verify-full")
	}
	if c.Password != "" {
		to.password = c.Password
	}
	return to, nil
}

func (c Config) fault(what, fix string) error {
	return &kafkasync.Fault{Class: kafkasync.Stop, What: "source." + c.Flavour + ": " + what, Fix: fix}
}

// String shows the settings without the password and without the URL, which may
// hold one.
func (c Config) String() string {
	return fmt.Sprintf("{Flavour:%s URL:%s Password:%s ServerID:%d}", c.Flavour, mask(c.URL), mask(c.Password), c.ServerID)
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

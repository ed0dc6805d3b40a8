// Package postgres reads Postgres' logical replication, plugin pgoutput,
// protocol version 1.
//
// It promises that a position is only ever the end of a transaction, or log
// that held nothing for us; that the server hears from us at least every 10
// seconds, also inside a huge transaction; and that the flushed position it is
// told never passes what was confirmed. Memory does not grow with the size of a
// transaction: the server decodes and spills, rows are read as they arrive.
//
// It never creates, alters or writes a table, never re-creates a lost slot,
// never adds a table to its publication whose updates would start to fail, and
// never guesses a value: what it does not know is what the database prints.
package postgres

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync/source"
)

// Options is what a Source is given beside its part of the file.
type Options struct {
	Pipeline    string // as `kafkasync recover` wants it
	Application string // application_name of our connections; at most 63 bytes are shown by the server
	Node        string // that reads; "" if it is alone
	Selector    source.Selector
	Logger      *slog.Logger
}

// Source is one Postgres database whose log is followed through one slot.
type Source struct {
	cfg         Config
	pipeline    string
	application string
	node        string
	selector    source.Selector
	log         *slog.Logger
	conn        *pgx.ConnConfig
	published   atomic.Pointer[[]string]
	retained    atomic.Int64
	textOnly    atomic.Bool // see binary.go
	keys        keyOrders
	uncovered   atomic.Pointer[map[string]string]
}

// New validates and assigns; it connects to nothing.
func New(cfg Config, o Options) (*Source, error) {
	if cfg.Slot == "" || cfg.Publication == "" {
		return nil, errors.New("postgres source: slot and publication must be set")
	}
	if o.Selector == nil || o.Logger == nil {
		return nil, errors.New("postgres source: a selector and a logger must be set")
	}
	conn, err := connConfig(cfg, o.Application)
	if err != nil {
		return nil, err
	}
	return &Source{cfg: cfg, pipeline: o.Pipeline, application: o.Application, node: o.Node, selector: o.Selector, log: o.Logger, conn: conn}, nil
}

// Tables names the tables whose changes are read, as of the last Open; nil before it.
func (s *Source) Tables() []string {
	if published := s.published.Load(); published != nil {
		return *published
	}
	return nil
}

// connConfig parses the URL and fixes what decoding relies on: values are
// decoded from the text form that these settings give them.
func connConfig(cfg Config, application string) (*pgx.ConnConfig, error) {
	conn, err := pgx.ParseConfig(cfg.URL)
	if err != nil {
		return nil, classify(err, "reading source.postgres.url")
	}
	if cfg.Password != "" {
		conn.Password = cfg.Password
	}
	requirePrimary(conn)
	shareTime(conn, connectTimeout)
	set := conn.RuntimeParams
	set["application_name"] = application
	set["client_encoding"] = "UTF8"
	set["DateStyle"] = "ISO"
	set["IntervalStyle"] = "postgres"
	set["bytea_output"] = "hex"
	set["extra_float_digits"] = "1" // floats as short as they can be, and exact
	set["TimeZone"] = "UTC"
	set["statement_timeout"] = "0"
	set["lock_timeout"] = "0"
	set["idle_in_transaction_session_timeout"] = "0"
	// Poolers in transaction mode cannot keep prepared statements.
	conn.DefaultQueryExecMode = pgx.QueryExecModeExec
	return conn, nil
}

// replicationConfig is connConfig for a walsender, with w reading all that it sends.
func (s *Source) replicationConfig(w *wire, application string) *pgconn.Config {
	conn := s.conn.Config.Copy()
	asWalsender(conn)
	conn.RuntimeParams["application_name"] = application
	conn.BuildFrontend = w.frontend
	return conn
}

// asWalsender makes the settings of an ordinary connection those of a walsender.
func asWalsender(conn *pgconn.Config) {
	conn.RuntimeParams["replication"] = "database"
	// A warning of the server may be all that says that changes are missing: see skipped.
	conn.RuntimeParams["client_min_messages"] = "warning"
	conn.ValidateConnect = requireDirect
}

// quoteName quotes an identifier for the replication grammar and for SQL.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteTable quotes the name of a captured table, schema.table.
func quoteTable(name string) string {
	schema, table, _ := strings.Cut(name, ".") // no rule captures a schema with a dot in its name
	return quoteName(schema) + "." + quoteName(table)
}

// quoteText quotes a string literal.
func quoteText(text string) string { return `'` + strings.ReplaceAll(text, `'`, `''`) + `'` }

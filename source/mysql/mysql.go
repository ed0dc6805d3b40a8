// Package mysql follows the binary log of MySQL and MariaDB.
//
// It promises that a position is always the end of a transaction, and that it says
// whose it is: GTIDs, which every server of a replication knows, or a file and an offset beside the
// identity of the one server that has them. Memory does not grow with the size of a
// transaction: rows are read as they arrive.
//
// It writes nothing to the server, and never guesses: an event that it does not know, a
// statement in place of rows, a table whose description does not fit its rows stop
// the pipeline.
package mysql

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/kafkasync/kafkasync/source"
)

// Options is what a Source is given beside its part of the file.
type Options struct {
	Pipeline    string // as `kafkasync recover` wants it
	Application string // what the server shows of our connections
	Node        string // that reads; "" if it is alone
	Selector    source.Selector
	Logger      *slog.Logger
	Folder      string // which must exist, for files that end with the process; "": the system's
}

// Source is one MySQL or MariaDB whose log is followed.
type Source struct {
	cfg      Config
	to       *address
	pipeline string
	// application is what SHOW REPLICAS lists us as.
	application string
	node        string
	// takes is for how long the server waits for us to take what it sends.
	takes    time.Duration
	folder   string
	selector source.Selector
	log      *slog.Logger
	tables   atomic.Pointer[[]string]
}

// New validates and assigns; it connects to nothing.
func New(cfg Config, o Options) (*Source, error) {
	to, err := cfg.address()
	if err != nil {
		return nil, err
	}
	if o.Selector == nil || o.Logger == nil {
		return nil, errors.New("mysql source: a selector and a logger must be set")
	}
	return &Source{
		cfg: cfg, to: to, pipeline: o.Pipeline, application: o.Application, node: o.Node, takes: netWriteTimeout, folder: o.Folder, selector: o.Selector, log: o.Logger,
	}, nil
}

// Tables names the tables whose changes are read, as of the last Open; nil before it.
func (s *Source) Tables() []string {
	if tables := s.tables.Load(); tables != nil {
		return *tables
	}
	return nil
}

// Withdraw is "": a table that no rule captures is not looked at, and nothing is to be done on the server.
func (s *Source) Withdraw(string) string { return "" }

func (s *Source) mariaDB() bool { return s.cfg.Flavour == MariaDB }

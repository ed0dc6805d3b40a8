package node

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/mysql"
	"github.com/kafkasync/kafkasync/source/postgres"
)

// database is what a node needs of a source beside what a pipeline does.
type database interface {
	source.Repairable
	// Reach returns nil if the database answers before ctx ends, and lets a run in.
	Reach(ctx context.Context) error
	// Withdraw is the statement that ends the publishing of a table; "" if the database needs none.
	Withdraw(table string) string
}

// follower is a database whose log is followed.
type follower interface {
	source.Source
	database
	// Tables names the tables whose changes are read, as of the last Open; nil before it.
	Tables() []string
}

// engine is a kind of database, with the settings of one.
type engine interface {
	open(o openOptions) (follower, error)
	check(ctx context.Context, sel source.Selector, o CheckOptions) []kafkasync.Finding
	slots() bool // the server keeps its log for us
}

// openOptions is what a source is given beside its part of the file.
type openOptions struct {
	Pipeline    string
	Application string // what the server shows of our connections
	Node        string
	Selector    source.Selector
	Logger      *slog.Logger
}

// CheckOptions is what is known of a pipeline beside its part of the file.
type CheckOptions struct {
	// Checkpoint asks a running node for the pipeline's position, "" if there is
	// none yet. nil: no node runs, and nobody else knows.
	Checkpoint func(context.Context) (source.Position, error)

	pipeline, application string
	nodes                 int
}

// engineOf is the only place that tells the kinds apart.
func engineOf(cfg *config.Config, p config.Pipeline) engine {
	if p.MySQL.Flavour != "" {
		return mysqlEngine{p.MySQL, cfg.NodeNumber(), filepath.Join(cfg.DataDir, cfg.NodeID)}
	}
	return postgresEngine{p.Postgres}
}

// Check looks over the database of a pipeline, as `kafkasync check` does.
func Check(ctx context.Context, cfg *config.Config, p config.Pipeline, sel source.Selector, o CheckOptions) []kafkasync.Finding {
	o.pipeline, o.application, o.nodes = p.Name, applicationOf(cfg, p.Name), max(1, len(cfg.Cluster.Nodes))
	return engineOf(cfg, p).check(ctx, sel, o)
}

// applicationOf is what a server lists our connections as.
func applicationOf(cfg *config.Config, pipeline string) string {
	return "kafkasync " + cfg.Name + "/" + pipeline
}

type postgresEngine struct{ cfg postgres.Config }

func (e postgresEngine) open(o openOptions) (follower, error) {
	return postgres.New(e.cfg, postgres.Options(o))
}

func (e postgresEngine) check(ctx context.Context, sel source.Selector, o CheckOptions) []kafkasync.Finding {
	return postgres.Check(ctx, e.cfg, sel, postgres.CheckOptions{Pipeline: o.pipeline, Checkpoint: o.Checkpoint})
}

func (postgresEngine) slots() bool { return true }

type mysqlEngine struct {
	cfg    mysql.Config
	number int    // of the node
	folder string // of the node, for what it puts aside
}

// open gives each node a server id of its own: while one takes over from another, both read.
func (e mysqlEngine) open(o openOptions) (follower, error) {
	e.cfg.ServerID += uint32(e.number)
	return mysql.New(e.cfg, mysql.Options{
		Pipeline: o.Pipeline, Application: o.Application, Node: o.Node, Selector: o.Selector, Logger: o.Logger, Folder: e.folder,
	})
}

func (e mysqlEngine) check(ctx context.Context, sel source.Selector, o CheckOptions) []kafkasync.Finding {
	return mysql.Check(ctx, e.cfg, sel, mysql.CheckOptions{
		Pipeline: o.pipeline, Application: o.application, Nodes: o.nodes, Checkpoint: o.Checkpoint,
	})
}

func (mysqlEngine) slots() bool { return false }

package mysql

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/go-mysql-org/go-mysql/client"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/findings"
)

// CheckOptions is what is known of a pipeline beside its part of the file.
type CheckOptions struct {
	Pipeline    string // as `kafkasync recover` wants it
	Application string // as the nodes give it to New: by this name, the server lists our own readers
	Nodes       int    // of the cluster, each with a server id of its own, from that of the Config on
	// Checkpoint asks a running node for the pipeline's position, "" if there is
	// none yet. nil: no node runs, and nobody else knows.
	Checkpoint func(context.Context) (source.Position, error)
}

// Check looks over the servers of the URL and the tables that sel captures. It changes nothing; it opens the log
// for a moment, under a server id of its own. The findings come in that
// order, errors and warnings first, each with what fixes it; then one for each
// check that passed, which may still have a hint. If no connection can be made,
// or the server is none that can be followed, that is the last finding and the
// rest is not looked at.
//
// A Fix that begins with SQL is SQL to its end, remarks as comments. What it
// needs more than our user may do is for an administrator.
func Check(ctx context.Context, cfg Config, sel source.Selector, opts CheckOptions) []kafkasync.Finding {
	c := &checkup{cfg: cfg, sel: sel, opts: opts}
	c.run(ctx)
	return c.All()
}

// checkup is one run of Check: what was seen of the server, and what is wrong with it.
type checkup struct {
	findings.List

	cfg    Config
	sel    source.Selector
	opts   CheckOptions
	source *Source // that reads under a server id of its own, so that it takes no reader's place

	conn     *client.Conn
	server   facts
	tables   []facet // all that the user sees
	captured []facet
}

func (c *checkup) run(ctx context.Context) {
	probe := c.cfg
	// MariaDB ends the connection of one reader for that of another with its id.
	probe.ServerID = math.MaxUint32 - rand.Uint32N(1<<20)
	var err error
	c.source, err = New(probe, Options{
		Pipeline: c.opts.Pipeline, Application: "kafkasync check", Selector: c.sel, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		c.failed("M27", err)
		return
	}
	if !c.connect(ctx) {
		return
	}
	defer hangUp(c.conn)
	c.checkLine(ctx)
	c.checkLog(c.server)
	c.checkPositions(c.server)
	c.checkKeeping(c.server)
	c.checkManaged(ctx)
	c.checkReplica(ctx)
	c.checkCluster(c.server)
	c.checkWaiting(c.server)
	c.checkReaders(ctx)
	c.checkTransactions(ctx)
	if err := c.look(ctx); err != nil {
		c.failed("T01", err)
		return
	}
	c.checkRules()
	c.checkTables()
	c.checkImages()
	c.checkCascades()
	c.checkRole(ctx)
	c.checkReading(ctx)
}

// hangUp ends a connection; nothing depends on how it goes.
func hangUp(conn *client.Conn) { _ = conn.Close() }

// failed reports that nobody could look.
func (c *checkup) failed(id string, err error) { c.Failed(id, err, c.command) }

// command is one of the ways out as an operator types it.
func (c *checkup) command(fix string) string {
	if c.opts.Pipeline == "" {
		return fix
	}
	return strings.ReplaceAll(fix, namePlace, c.opts.Pipeline)
}

func (c *checkup) mariaDB() bool { return c.cfg.Flavour == MariaDB }

// lasting is the statement that sets a variable for good. MariaDB keeps what is set only in its file.
func (c *checkup) lasting(variable, value string) string {
	if c.mariaDB() {
		return fmt.Sprintf("SET GLOBAL %s = %s; -- and in the server's file, for its next start", variable, value)
	}
	return fmt.Sprintf("SET PERSIST %s = %s;", variable, value)
}

// inFile says how a variable is set that cannot be changed while the server runs.
func inFile(lines string) string {
	return fmt.Sprintf("write %s into the server's file, under [mysqld], and restart it", lines)
}

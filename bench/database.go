package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// database is a server of its own with the table products, whose log is read. Its
// background work that would hit one side of a comparison only is done in tidy.
type database interface {
	session

	names() names
	// about returns the version, with what is not as by default, and how many bytes a row has.
	about(ctx context.Context) (version string, width float64, err error)
	source() string // as in kafkasync's configuration
	create(ctx context.Context, rows int) error
	connect(ctx context.Context) (session, error)

	tidy(ctx context.Context) error
	// mark changes one row; after it, all that was committed before is in the log that readers get.
	mark(ctx context.Context) error
	logEnd(ctx context.Context) (place, error)
	placeOf(position string) (place, error) // no position is the beginning

	// reader returns the server's process or thread that reads for a pipeline; 0: there is none yet.
	reader(ctx context.Context, pipeline string) (tid int, err error)
	// hangUp returns once nobody reads any more for a node that has ended.
	hangUp(ctx context.Context) error
	// passed reports whether a node that has come to target would begin behind it as well.
	passed(ctx context.Context, target place) (bool, error)
	// renew lets the bare reader begin at the end of the log.
	renew(ctx context.Context) error
	// readAlone lets it read up to end.
	readAlone(ctx context.Context, end place) (sample, error)
	// forget removes what the server would keep for a pipeline that does not come back.
	forget(ctx context.Context, pipeline string) error
}

// session is a connection.
type session interface {
	exec(ctx context.Context, sql string) error
	close(ctx context.Context) error
}

// names are what a database is called, and what it leads to in a message.
type names struct {
	server, alone string // alone: the bare reader
	table, pos    string
}

// place is a place in a log: of Postgres its LSN, of a binlog the number of the last transaction.
type place uint64

// kind is a kind of database.
type kind struct {
	component devstack.Component
	start     func(ctx context.Context, o options) (database, error)
}

func kinds() map[string]kind {
	return map[string]kind{
		"postgres": {devstack.ComponentPostgres, startPostgres},
		"mysql":    {devstack.ComponentMySQL, startMySQL},
		"mariadb":  {devstack.ComponentMariaDB, startMariaDB},
	}
}

const sources = "postgres, mysql or mariadb"

// touch is what changes rows: all, or those that a condition names.
func touch(where string) string {
	return strings.TrimSpace("UPDATE products SET featured = NOT featured, updated_at = now() " + where)
}

func touchOne(id int64) string { return touch(fmt.Sprintf("WHERE id = %d", id)) }

package demo

import (
	"context"
	"fmt"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// onStock is that one product in so many is on stock.
const onStock = 200

// database is the one that is changed: database shop, table products.
type database interface {
	about() about
	// do runs a statement that inserts or updates rows of products, as a transaction, and asks the
	// database, not the statement, which rows that were.
	do(ctx context.Context, sql string) (*change, error)
	// done returns the place of the log before which nothing is left to do, for a pipeline at that position.
	done(ctx context.Context, position string) (uint64, error)
	close() error
}

// about is what is shown of a database, and written into the nodes' file.
type about struct {
	version, addr string
	source        []string // lines below source:
	match         string
	shell         string // the command that opens a client
}

// kind is a kind of database.
type kind struct {
	name      string
	component devstack.Component
	prompt    string // of its client
	place     func(pos string) (uint64, error)
	start     func(ctx context.Context, rows int) (database, error)
	seconds   bool // its log tells the time of a commit by the second
}

// kindOf returns the kind of that name.
func kindOf(source string) (kind, error) {
	switch source {
	case "", "postgres":
		return kind{name: "Postgres", component: devstack.ComponentPostgres, prompt: "shop=#", place: parseLSN, start: startPostgres}, nil
	case "mysql":
		return kind{name: "MySQL", component: devstack.ComponentMySQL, prompt: "mysql>", place: parseGTID, start: mysqlStarter(devstack.StartMySQL)}, nil
	case "mariadb":
		return kind{
			name: "MariaDB", component: devstack.ComponentMariaDB, prompt: "MariaDB [shop]>", place: parseGTID, start: mysqlStarter(devstack.StartMariaDB), seconds: true,
		}, nil
	}
	return kind{}, fmt.Errorf("starting the demo: the source %q is not known, want postgres, mysql or mariadb", source)
}

// change is one transaction of the application, as the database knows it.
type change struct {
	sql      string
	tag      string // what its client would answer, "UPDATE 1000"
	rows     map[string]bool
	from, to uint64 // its place in the log lies between these
}

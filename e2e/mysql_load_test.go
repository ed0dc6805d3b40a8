package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/client"
	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
)

// mysqlSchema has a table of the ledger, one with rows of each writer, and one with a key of two columns.
const mysqlSchema = `CREATE TABLE ledger (id BIGINT PRIMARY KEY);
	CREATE TABLE items (id BIGINT PRIMARY KEY, owner INT NOT NULL, n INT NOT NULL DEFAULT 0, name VARCHAR(40) CHARACTER SET latin1, KEY (owner));
	CREATE TABLE pairs (tenant VARCHAR(20) COLLATE utf8mb4_bin, n BIGINT, PRIMARY KEY (tenant, n))`

// mysqlLoad writes transactions to a MySQL or MariaDB.
type mysqlLoad struct {
	*crew

	server   *devstack.MySQL
	database string
}

func newMySQLLoad(server *devstack.MySQL, database, topics string, seed uint64) *mysqlLoad {
	l := &mysqlLoad{crew: newCrew(topics, seed, "ledger", "items", "pairs"), server: server, database: database}
	l.open = func(ctx context.Context, writer int) (session, error) { return l.join(ctx, writer) }
	return l
}

// mysqlSession is a writer with rows of its own, so that it knows what a statement does to which of them.
type mysqlSession struct {
	load  *mysqlLoad
	conn  *client.Conn
	owner int
	mine  []int64 // rows that are there
	lost  bool
}

// join connects a writer, who looks which of his rows are there: how his last transaction ended he may not have heard.
func (l *mysqlLoad) join(ctx context.Context, owner int) (*mysqlSession, error) {
	conn, err := l.server.Connect(ctx, l.database)
	if err != nil {
		return nil, err
	}
	s := &mysqlSession{load: l, conn: conn, owner: owner}
	// So that writers lock no rows of one another.
	_, err = conn.Execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
	if err == nil && l.server.Flavour() == "mysql" && owner%2 != 0 {
		_, err = conn.Execute("SET SESSION binlog_transaction_compression = ON")
	}
	var rows *gomysql.Result
	if err == nil {
		rows, err = conn.Execute(fmt.Sprintf("SELECT id FROM items WHERE owner = %d ORDER BY id", owner))
	}
	for i := 0; err == nil && i < rows.RowNumber(); i++ {
		var id int64
		id, err = rows.GetInt(i, 0)
		s.mine = append(s.mine, id)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
}

func (s *mysqlSession) ended() bool { return s.lost }

func (s *mysqlSession) close(context.Context) { _ = s.conn.Close() } // nothing depends on how it goes

func (s *mysqlSession) transact(_ context.Context, rng *rand.Rand) error {
	_, err := s.attempt(rng, (*mysqlStep).some)
	return err
}

// attempt runs one transaction, and reports whether it is known to have committed. Its error is what the load did not expect.
func (s *mysqlSession) attempt(rng *rand.Rand, do func(*mysqlStep) error) (bool, error) {
	if err := s.conn.Begin(); err != nil {
		return false, s.expected(err)
	}
	id := s.load.serial.Add(1)
	step := &mysqlStep{load: s.load, id: id, conn: s.conn, rng: rng, owner: s.owner, mine: slices.Clone(s.mine), did: changes{}}
	err := do(step)
	if err == nil {
		step.note("ledger", strconv.FormatInt(id, 10), kafkasync.Created)
		err = step.run("INSERT INTO ledger VALUES (%d)", id)
	}
	if err != nil || rng.IntN(20) == 0 {
		s.load.ledger.enter(id, step.did, rolledBack)
		s.lost = s.conn.Rollback() != nil // with which it ends as well
		return false, s.expected(err)
	}
	s.load.ledger.enter(id, step.did, unknown) // before COMMIT, because nobody knows where it will break
	if err := s.conn.Commit(); err != nil {
		s.lost = true
		return false, s.expected(err)
	}
	s.load.ledger.enter(id, step.did, committed)
	s.mine = step.mine
	return true, nil
}

// expected passes over what belongs to a load: deadlocks, and servers that end.
func (s *mysqlSession) expected(err error) error {
	const (
		killed = 1927 // says MariaDB, whose connections end before it does
		hooked = 3100 // says a MySQL that ends, of a COMMIT: "Error on observer while running replication hook"
	)
	var answer *gomysql.MyError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &answer): // the connection
	case answer.Code == gomysql.ER_LOCK_DEADLOCK:
		return nil
	case !slices.Contains([]uint16{gomysql.ER_SERVER_SHUTDOWN, gomysql.ER_QUERY_INTERRUPTED, killed, hooked}, answer.Code):
		return fmt.Errorf("the load failed: %w", err)
	}
	s.lost = true
	return nil
}

// mysqlStep is one transaction under way.
type mysqlStep struct {
	load  *mysqlLoad
	id    int64 // in the ledger
	conn  *client.Conn
	rng   *rand.Rand
	owner int
	mine  []int64 // rows of the writer
	did   changes
}

func (s *mysqlStep) note(table, key string, op kafkasync.Op) {
	s.did[change{s.load.topic(table), key, op}]++
}

func (s *mysqlStep) run(sql string, args ...any) error {
	result, err := s.conn.Execute(fmt.Sprintf(sql, args...))
	if result != nil {
		result.Close()
	}
	return err
}

// some does a few things at random.
func (s *mysqlStep) some() error {
	steps := []func() error{
		s.insert, s.insert, s.insert, s.change, s.change, s.change, s.change, s.change,
		s.upsert, s.upsert, s.move, s.move, s.pair, s.pair, s.remove, s.remove, s.undone, s.all,
	}
	for range 1 + s.rng.IntN(4) {
		if err := steps[s.rng.IntN(len(steps))](); err != nil {
			return err
		}
	}
	return nil
}

func (s *mysqlStep) insert() error {
	var values []string
	for range 1 + s.rng.IntN(8) {
		id := s.load.ids.Add(1)
		s.mine = append(s.mine, id)
		s.note("items", strconv.FormatInt(id, 10), kafkasync.Created)
		values = append(values, fmt.Sprintf("(%d, %d, 0, 'Käse')", id, s.owner))
	}
	return s.run("INSERT INTO items VALUES %s", strings.Join(values, ", "))
}

// any takes a row of the writer; 0 if it has none.
func (s *mysqlStep) any() (at int, id int64) {
	if len(s.mine) == 0 {
		return 0, 0
	}
	at = s.rng.IntN(len(s.mine))
	return at, s.mine[at]
}

func (s *mysqlStep) change() error {
	_, id := s.any()
	if id == 0 {
		return nil
	}
	s.note("items", strconv.FormatInt(id, 10), kafkasync.Updated)
	return s.run("UPDATE items SET n = n + 1 WHERE id = %d", id)
}

// all is what callbacks miss.
func (s *mysqlStep) all() error {
	for _, id := range s.mine {
		s.note("items", strconv.FormatInt(id, 10), kafkasync.Updated)
	}
	return s.run("UPDATE items SET n = n + 1 WHERE owner = %d", s.owner)
}

func (s *mysqlStep) remove() error {
	at, id := s.any()
	if id == 0 {
		return nil
	}
	s.mine = append(s.mine[:at], s.mine[at+1:]...)
	s.note("items", strconv.FormatInt(id, 10), kafkasync.Deleted)
	if len(s.mine) < 60 {
		return s.run("DELETE FROM items WHERE id = %d", id)
	}
	for _, id := range s.mine { // and the rest with it
		s.note("items", strconv.FormatInt(id, 10), kafkasync.Deleted)
	}
	s.mine = nil
	return s.run("DELETE FROM items WHERE owner = %d", s.owner)
}

func (s *mysqlStep) move() error {
	at, id := s.any()
	if id == 0 {
		return nil
	}
	to := s.load.ids.Add(1)
	s.mine[at] = to
	s.note("items", strconv.FormatInt(id, 10), kafkasync.Deleted)
	s.note("items", strconv.FormatInt(to, 10), kafkasync.Created)
	return s.run("UPDATE items SET id = %d WHERE id = %d", to, id)
}

func (s *mysqlStep) upsert() error {
	_, id := s.any()
	if id == 0 {
		return nil
	}
	s.note("items", strconv.FormatInt(id, 10), kafkasync.Updated)
	return s.run("INSERT INTO items VALUES (%d, %d, 0, 'again') ON DUPLICATE KEY UPDATE n = n + 1", id, s.owner)
}

func (s *mysqlStep) pair() error {
	n := s.load.ids.Add(1)
	s.note("pairs", fmt.Sprintf(`["wörld",%d]`, n), kafkasync.Created)
	return s.run("INSERT INTO pairs VALUES ('wörld', %d)", n)
}

// undone is rolled back to a savepoint.
func (s *mysqlStep) undone() error {
	return errors.Join(s.run("SAVEPOINT here"),
		s.run("INSERT INTO items (id, owner) VALUES (%d, -1)", s.load.ids.Add(1)), s.run("ROLLBACK TO here"))
}

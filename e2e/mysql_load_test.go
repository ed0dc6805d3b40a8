package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-mysql-org/go-mysql/client"
	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
)

// mysqlSchema has a table of the ledger, one with rows of each writer, and one with a key of two columns.
const mysqlSchema = `CREATE TABLE ledger (id BIGINT PRIMARY KEY);
	CREATE TABLE items (id BIGINT PRIMARY KEY, owner INT NOT NULL, n INT NOT NULL DEFAULT 0, name VARCHAR(40) CHARACTER SET latin1);
	CREATE TABLE pairs (tenant VARCHAR(20) COLLATE utf8mb4_bin, n BIGINT, PRIMARY KEY (tenant, n))`

// mysqlLoad writes transactions to a MySQL or MariaDB until it is stopped, and
// remembers what must come of those that committed.
type mysqlLoad struct {
	server   *devstack.MySQL
	database string
	topics   string // prefix
	ledger   *ledger
	serial   atomic.Int64 // of transactions
	ids      atomic.Int64 // of rows
	stop     chan struct{}
	wait     sync.WaitGroup
	failed   chan error
}

func newMySQLLoad(server *devstack.MySQL, database, topics string) *mysqlLoad {
	return &mysqlLoad{
		server: server, database: database, topics: topics, ledger: newLedger(), stop: make(chan struct{}), failed: make(chan error, writers),
	}
}

func (l *mysqlLoad) topic(table string) string { return l.topics + "-" + table }

func (l *mysqlLoad) topicNames() []string {
	return []string{l.topic("ledger"), l.topic("items"), l.topic("pairs")}
}

func (l *mysqlLoad) start(t testing.TB, seed uint64) {
	t.Helper()
	ctx := t.Context()
	for w := range writers {
		l.wait.Go(func() {
			if err := l.write(ctx, w, rand.New(rand.NewPCG(seed, uint64(w)))); err != nil {
				l.failed <- err
			}
		})
	}
}

// finish ends the writers; whatever was under way is finished.
func (l *mysqlLoad) finish(t testing.TB) {
	t.Helper()
	close(l.stop)
	l.wait.Wait()
	select {
	case err := <-l.failed:
		t.Fatal(err)
	default:
	}
}

func (l *mysqlLoad) write(ctx context.Context, owner int, rng *rand.Rand) error {
	conn, err := l.server.Connect(ctx, l.database)
	if err != nil {
		return err
	}
	defer conn.Close()
	// So that writers lock no rows of one another.
	if _, err := conn.Execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"); err != nil {
		return err
	}
	var mine []int64
	for {
		select {
		case <-l.stop:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		s := &mysqlStep{load: l, conn: conn, rng: rng, owner: owner, mine: append([]int64(nil), mine...), did: changes{}}
		committed, err := s.transact()
		if err != nil {
			return err
		}
		if committed {
			mine = s.mine
		}
	}
}

// mysqlStep is one transaction under way.
type mysqlStep struct {
	load  *mysqlLoad
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

// transact reports whether it has committed.
func (s *mysqlStep) transact() (bool, error) {
	if err := s.conn.Begin(); err != nil {
		return false, err
	}
	id := s.load.serial.Add(1)
	err := s.some()
	if err == nil {
		s.note("ledger", strconv.FormatInt(id, 10), kafkasync.Created)
		err = s.run("INSERT INTO ledger VALUES (%d)", id)
	}
	var deadlock *gomysql.MyError
	rolls := s.rng.IntN(15) == 0
	switch {
	case errors.As(err, &deadlock) && deadlock.Code == gomysql.ER_LOCK_DEADLOCK:
		rolls = true
	case err != nil:
		return false, fmt.Errorf("the load failed: %w", err)
	}
	if rolls {
		s.load.ledger.enter(id, s.did, rolledBack)
		return false, s.conn.Rollback()
	}
	if err := s.conn.Commit(); err != nil {
		return false, fmt.Errorf("the load failed: %w", err)
	}
	s.load.ledger.enter(id, s.did, committed)
	return true, nil
}

// some does a few things at random.
func (s *mysqlStep) some() error {
	steps := []func() error{s.insert, s.insert, s.change, s.all, s.remove, s.move, s.upsert, s.pair, s.undone}
	for range 1 + s.rng.IntN(4) {
		if err := steps[s.rng.IntN(len(steps))](); err != nil {
			return err
		}
	}
	return nil
}

func (s *mysqlStep) insert() error {
	var values []string
	for range 1 + s.rng.IntN(20) {
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
	if len(s.mine) < 200 {
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

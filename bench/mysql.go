package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/client"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// mysql is a MySQL or MariaDB, and our connection to it.
type mysql struct {
	mysqlSession
	server *devstack.MySQL
	called names
	thread string // the query for the system's id of a thread, up to the condition
	begin  logPlace
}

func startMySQL(ctx context.Context, _ options) (database, error) {
	return openMySQL(ctx, devstack.StartMySQL, "innodb_redo_log_capacity", &mysql{
		called: names{server: "MySQL", pos: "3e11fa47-71ca-11e1-9e33-c80aa9429562:23"},
		thread: "SELECT thread_os_id FROM performance_schema.threads WHERE processlist_",
	})
}

func startMariaDB(ctx context.Context, _ options) (database, error) {
	return openMySQL(ctx, devstack.StartMariaDB, "innodb_log_file_size", &mysql{
		called: names{server: "MariaDB", pos: "0-1-100"},
		thread: "SELECT tid FROM information_schema.processlist WHERE ",
	})
}

func openMySQL(ctx context.Context, start func(context.Context, devstack.MySQLConfig) (*devstack.MySQL, error), redo string, m *mysql) (database, error) {
	// The table in memory, and room for what a round writes: else the server would go on writing pages while its log is read.
	server, err := start(ctx, devstack.MySQLConfig{Settings: map[string]string{"innodb_buffer_pool_size": "1G", redo: "2G"}})
	if err != nil {
		return nil, err
	}
	m.server, m.called.alone, m.called.table = server, rawDrain, databaseName+".products"
	if err := m.open(ctx); err != nil {
		return nil, errors.Join(err, m.close(ctx))
	}
	return m, nil
}

func (m *mysql) open(ctx context.Context) (err error) {
	if err := m.server.CreateDatabase(ctx, databaseName); err != nil {
		return err
	}
	m.conn, err = m.server.Connect(ctx, databaseName)
	return err
}

func (m *mysql) close(ctx context.Context) error {
	return errors.Join(m.mysqlSession.close(ctx), m.server.Close())
}

func (m *mysql) names() names { return m.called }

func (m *mysql) about(ctx context.Context) (version string, width float64, err error) {
	if err := m.exec(ctx, "ANALYZE TABLE products"); err != nil {
		return "", 0, fmt.Errorf("measuring the table: %w", err)
	}
	rows, err := m.server.Query(ctx, databaseName,
		"SELECT @@version, avg_row_length FROM information_schema.tables WHERE table_schema = database() AND table_name = 'products'")
	if err != nil || len(rows) != 1 {
		return "", 0, fmt.Errorf("asking %s what it is: got %d rows, want 1: %w", m.called.server, len(rows), err)
	}
	width, err = strconv.ParseFloat(rows[0][1], 64)
	return rows[0][0] + ", row images and metadata FULL, GTIDs, sync_binlog 0, a buffer pool and a redo log that hold a round", width, err
}

func (m *mysql) source() string {
	return fmt.Sprintf("{%s: {url: %q}}", m.server.Flavour(), m.server.URL(""))
}

// create makes the table that Postgres has.
func (m *mysql) create(ctx context.Context, rows int) error {
	statements := []string{mysqlTable, fmt.Sprintf(mysqlProcedure, touch("WHERE id = i")), fmt.Sprintf(mysqlRows, "SELECT 1 n")}
	for n := 1; n < rows; n *= 2 { // behind those that are there, as many again
		statements = append(statements, fmt.Sprintf(mysqlRows, fmt.Sprintf("SELECT id + %d n FROM products WHERE id <= %d", n, rows-n)))
	}
	for _, sql := range statements {
		if err := m.exec(ctx, sql); err != nil {
			return fmt.Errorf("creating table products: %w", err)
		}
	}
	return nil
}

const (
	mysqlTable = `
		CREATE TABLE products (
			id          BIGINT PRIMARY KEY,
			sku         VARCHAR(40) NOT NULL,
			name        VARCHAR(100) NOT NULL,
			description TEXT NOT NULL,
			brand       VARCHAR(40) NOT NULL,
			category    VARCHAR(40) NOT NULL,
			price       DECIMAL(10,2) NOT NULL,
			on_stock    BOOLEAN NOT NULL,
			featured    BOOLEAN NOT NULL,
			created_at  DATETIME(6) NOT NULL,
			updated_at  DATETIME(6) NOT NULL
		)`
	mysqlProcedure = `
		CREATE PROCEDURE one_by_one(n INT)
		BEGIN
			DECLARE i INT DEFAULT 1;
			WHILE i <= n DO
				%s;
				SET i = i + 1;
			END WHILE;
		END`
	// MySQL 9 has no MD5.
	mysqlRows = `
		INSERT INTO products
			SELECT n, CONCAT('SKU-', LPAD(n, 12, '0')), CONCAT('Product number ', n), LEFT(REPEAT(SHA2(n, 256), 6), 370),
			       CONCAT('Brand ', n %% 500), CONCAT('Category ', n %% 50), (n %% 100000) / 100.0, n %% 2 = 0, false, now(), now()
			FROM (%s) numbers`
)

func (m *mysql) connect(ctx context.Context) (session, error) {
	conn, err := m.server.Connect(ctx, databaseName)
	if err != nil {
		return nil, err
	}
	return mysqlSession{conn}, nil
}

// mysqlSession is a connection to a MySQL.
type mysqlSession struct{ conn *client.Conn }

// exec closes the connection when ctx ends.
func (s mysqlSession) exec(ctx context.Context, sql string) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Conn.Conn.Close() }) // which fails what is under way
	_, err := s.conn.Execute(sql)
	if !stop() {
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}

func (s mysqlSession) close(context.Context) error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	if errors.Is(err, net.ErrClosed) { // by exec
		return nil
	}
	return err
}

// tidy begins a file of the log.
func (m *mysql) tidy(ctx context.Context) error {
	if err := m.exec(ctx, "FLUSH BINARY LOGS"); err != nil {
		return fmt.Errorf("beginning a file of the log: %w", err)
	}
	return nil
}

func (m *mysql) mark(ctx context.Context) error {
	if err := m.exec(ctx, touchOne(1)); err != nil {
		return fmt.Errorf("marking the end: %w", err)
	}
	return nil
}

func (m *mysql) logEnd(ctx context.Context) (place, error) {
	executed, err := m.server.Executed(ctx)
	if err != nil {
		return 0, err
	}
	return m.placeOf(executed)
}

// placeOf reads the last number of a GTID, or of all up to one: of a single server, they are in order.
func (m *mysql) placeOf(position string) (place, error) {
	if position == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(position[strings.LastIndexAny(position, ":-")+1:], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the position %q: want a number at its end", position)
	}
	return place(n), nil
}

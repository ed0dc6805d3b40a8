package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/client"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// mysql is a MySQL or MariaDB, and the application's connection to it.
type mysql struct {
	server  *devstack.MySQL
	app     *client.Conn
	version string
	shell   []string
}

func mysqlStarter(start func(context.Context, devstack.MySQLConfig) (*devstack.MySQL, error)) func(context.Context, int) (database, error) {
	return func(ctx context.Context, rows int) (database, error) {
		server, err := start(ctx, devstack.MySQLConfig{})
		if err != nil {
			return nil, err
		}
		m := &mysql{server: server}
		if err := m.prepare(ctx, rows); err != nil {
			return nil, errors.Join(err, m.close())
		}
		return m, nil
	}
}

func (m *mysql) prepare(ctx context.Context, rows int) (err error) {
	if err := m.server.CreateDatabase(ctx, "shop"); err != nil {
		return err
	}
	if m.shell, err = m.server.Shell("shop"); err != nil {
		return err
	}
	err = m.server.Exec(ctx, "shop", fmt.Sprintf(`
		CREATE TABLE products (
			id       BIGINT AUTO_INCREMENT PRIMARY KEY,
			name     VARCHAR(100) NOT NULL,
			price    DECIMAL(12, 4) NOT NULL DEFAULT 10,
			on_stock BOOLEAN NOT NULL DEFAULT FALSE,
			featured BOOLEAN NOT NULL DEFAULT FALSE
		);
		INSERT INTO products (id, name, on_stock) %s`, numbered(rows)))
	if err != nil {
		return fmt.Errorf("creating table products: %w", err)
	}
	if m.app, err = m.server.Connect(ctx, "shop"); err != nil {
		return err
	}
	m.version, _, _ = strings.Cut(strings.TrimPrefix(m.app.GetServerVersion(), "5.5.5-"), "-")
	return nil
}

// numbered selects so many products, without a recursion, whose depth the server bounds.
func numbered(rows int) string {
	digit := "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5" +
		" UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
	number, tables, power := "1", "", 1
	for i := 0; power < rows; i++ {
		number += fmt.Sprintf(" + d%d.d * %d", i, power)
		if i > 0 {
			tables += ", "
		}
		tables += fmt.Sprintf("%s d%d", digit, i)
		power *= 10
	}
	return fmt.Sprintf("SELECT n, CONCAT('product ', n), n %% %d = 0 FROM (SELECT %s AS n FROM %s) numbers WHERE n <= %d ORDER BY n", onStock, number, tables, rows)
}

func (m *mysql) close() error {
	var err error
	if m.app != nil {
		err = m.app.Close()
	}
	return errors.Join(err, m.server.Close())
}

func (m *mysql) about() about {
	return about{
		version: m.version, addr: m.server.Addr(), source: []string{m.server.Flavour() + ":", "  url: " + strconv.Quote(m.server.URL(""))},
		match: "shop.*", shell: strings.Join(m.shell, " "),
	}
}

// do compares the table before and after, since no row says which transaction wrote it.
func (m *mysql) do(ctx context.Context, sql string) (_ *change, err error) {
	stop := context.AfterFunc(ctx, func() { _ = m.app.Close() }) // which fails what is under way
	defer stop()
	c := &change{sql: sql, rows: map[string]bool{}}
	defer func() {
		if err != nil {
			err = fmt.Errorf("running %s: %w", sql, err)
		}
	}()
	if c.from, err = m.next(ctx); err != nil {
		return nil, err
	}
	if err := m.app.Begin(); err != nil {
		return nil, err
	}
	before, err := m.table()
	if err != nil {
		return nil, err
	}
	result, err := m.app.Execute(sql)
	if err != nil {
		return nil, err
	}
	after, err := m.table()
	if err != nil {
		return nil, err
	}
	for id, row := range after {
		if before[id] != row {
			c.rows[fmt.Sprintf(`{"id":%d}`, id)] = true
		}
	}
	if uint64(len(c.rows)) != result.AffectedRows {
		return nil, fmt.Errorf("got %d rows that it wrote, want the %d that it says", len(c.rows), result.AffectedRows)
	}
	if err := m.app.Commit(); err != nil {
		return nil, err
	}
	c.tag = fmt.Sprintf("Query OK, %d rows affected", result.AffectedRows)
	c.to, err = m.next(ctx)
	return c, err
}

// table returns a sum of each row, by id.
func (m *mysql) table() (map[int64]uint64, error) {
	result, err := m.app.Execute("SELECT id, 1 + CRC32(CONCAT_WS(',', name, price, on_stock, featured)) FROM products")
	if err != nil {
		return nil, err
	}
	rows := make(map[int64]uint64, result.RowNumber())
	for i := range result.RowNumber() {
		id, err := result.GetInt(i, 0)
		if err != nil {
			return nil, err
		}
		if rows[id], err = result.GetUint(i, 1); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// next returns the number of the next transaction.
func (m *mysql) next(ctx context.Context) (uint64, error) {
	executed, err := m.server.Executed(ctx)
	if err != nil {
		return 0, err
	}
	n, err := parseGTID(executed)
	return n + 1, err
}

// done is behind the newest transaction of the position: a server is told nothing.
func (m *mysql) done(_ context.Context, position string) (uint64, error) {
	n, err := parseGTID(position)
	return n + 1, err
}

// parseGTID reads the last number of a GTID, or of all up to one: of a single server, they are in order.
func parseGTID(text string) (uint64, error) {
	n, err := strconv.ParseUint(text[strings.LastIndexAny(text, ":-")+1:], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the GTID %q: want a number at its end", text)
	}
	return n, nil
}

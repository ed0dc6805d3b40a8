package devstack

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

// Command returns one of the server's own programs, mysql or mysqlbinlog for
// example, which MariaDB has as mariadb and mariadb-binlog.
func (m *MySQL) Command(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
	line, err := m.tree.command(program, args...)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir = m.dir
	cmd.Env = serverEnv()
	return cmd, nil
}

// Shell is the command line of the server's own client, in a database as root.
func (m *MySQL) Shell(database string) ([]string, error) {
	program := m.flavour.key // they are called so
	return m.tree.command(program, "--no-defaults", "-h", "127.0.0.1", "-P", strconv.Itoa(m.port), "-u", "root", "-D", database)
}

// Connect opens a connection as root to a database, "" for none. Several
// statements in one text are allowed on it. The end of ctx does not close it.
func (m *MySQL) Connect(ctx context.Context, database string) (*client.Conn, error) {
	return m.ConnectAs(ctx, "root", m.cfg.Password, database)
}

// ConnectAs is Connect for another user.
func (m *MySQL) ConnectAs(ctx context.Context, user, password, database string) (*client.Conn, error) {
	config, err := m.TLSConfig()
	if err != nil {
		return nil, err
	}
	conn, err := client.ConnectWithContext(ctx, m.Addr(), user, password, database, 10*time.Second, func(c *client.Conn) error {
		c.SetTLSConfig(config)
		return c.SetCapability(mysql.CLIENT_MULTI_STATEMENTS)
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", m.name, err)
	}
	return conn, nil
}

// Exec runs SQL, one statement or several, in a database ("" for none) as root.
func (m *MySQL) Exec(ctx context.Context, database, sql string) error {
	return m.with(ctx, database, func(conn *client.Conn) error {
		var failed error
		_, err := conn.ExecuteMultiple(sql, func(result *mysql.Result, err error) {
			failed = errors.Join(failed, err)
		})
		return errors.Join(err, failed)
	})
}

// Query runs one statement as root and returns its rows as text; what is NULL is "".
func (m *MySQL) Query(ctx context.Context, database, sql string) (rows [][]string, err error) {
	err = m.with(ctx, database, func(conn *client.Conn) error {
		result, err := conn.Execute(sql)
		if err != nil {
			return err
		}
		if result.Resultset == nil {
			return nil
		}
		rows, err = texts(result.Resultset)
		return err
	})
	return rows, err
}

func texts(set *mysql.Resultset) ([][]string, error) {
	rows := make([][]string, set.RowNumber())
	for i := range rows {
		rows[i] = make([]string, set.ColumnNumber())
		for j := range rows[i] {
			text, err := set.GetString(i, j)
			if err != nil {
				return nil, fmt.Errorf("reading column %d: %w", j+1, err)
			}
			rows[i][j] = text
		}
	}
	return rows, nil
}

// with runs do with a connection, which the end of ctx closes.
func (m *MySQL) with(ctx context.Context, database string, do func(*client.Conn) error) error {
	conn, err := m.Connect(ctx, database)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // do then fails
	err = do(conn)
	if !stop() {
		return errors.Join(context.Cause(ctx), err)
	}
	return errors.Join(err, conn.Close())
}

// value is the first column of a query's only row.
func (m *MySQL) value(ctx context.Context, sql string) (string, error) {
	rows, err := m.Query(ctx, "", sql)
	if err != nil {
		return "", err
	}
	if len(rows) != 1 {
		return "", fmt.Errorf("asking %s: got %d rows, want 1", m.name, len(rows))
	}
	return rows[0][0], nil
}

// CreateDatabase creates an empty database.
func (m *MySQL) CreateDatabase(ctx context.Context, name string) error {
	if err := m.Exec(ctx, "", "CREATE DATABASE "+identifier(name)); err != nil {
		return fmt.Errorf("creating database %s: %w", name, err)
	}
	return nil
}

// DropDatabase drops a database, and whoever uses it.
func (m *MySQL) DropDatabase(ctx context.Context, name string) error {
	users, err := m.Query(ctx, "", "SELECT id FROM information_schema.processlist WHERE db = "+literal(name))
	if err != nil {
		return fmt.Errorf("dropping database %s: %w", name, err)
	}
	for _, user := range users {
		const gone = 1094
		var answer *mysql.MyError
		if err := m.Exec(ctx, "", "KILL "+user[0]); err != nil && (!errors.As(err, &answer) || answer.Code != gone) {
			return fmt.Errorf("dropping database %s: ending its users: %w", name, err)
		}
	}
	// Else it would wait for a prepared transaction for a year.
	if err := m.Exec(ctx, "", "SET lock_wait_timeout = 30; DROP DATABASE IF EXISTS "+identifier(name)); err != nil {
		return fmt.Errorf("dropping database %s: %w", name, err)
	}
	return nil
}

// CreateUser creates a user who may connect from anywhere, with a plugin that
// checks the password: caching_sha2_password, or of MariaDB mysql_native_password
// or ed25519. What it may do is for GRANT to say.
func (m *MySQL) CreateUser(ctx context.Context, name, plugin, password string) error {
	sql := fmt.Sprintf(m.flavour.words.createUser, literal(name), plugin, literal(password))
	if err := m.Exec(ctx, "", sql); err != nil {
		return fmt.Errorf("creating user %s: %w", name, err)
	}
	return nil
}

// setPassword gives root its password, without leaving a trace in the log.
func (m *MySQL) setPassword(ctx context.Context) error {
	if m.cfg.Password == "" {
		return nil
	}
	open := *m
	open.cfg.Password = "" // as it still is
	sql := "SET sql_log_bin = 0; " + fmt.Sprintf(m.flavour.words.password, literal(m.cfg.Password))
	if err := open.Exec(ctx, "", sql); err != nil {
		return fmt.Errorf("setting the password of root: %w", err)
	}
	return nil
}

func identifier(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`, "\x00", `\0`).Replace(text) + "'"
}

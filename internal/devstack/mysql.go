package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// MySQLConfig says what a MySQL or a MariaDB is to be like.
type MySQLConfig struct {
	Dir string // "": a temporary folder, removed at Close; else it stays, and a server found in it is started again
	// Settings are written to my.cnf, over ours, by names with underscores: a binary log of rows with GTIDs, FULL metadata and
	// FULL images, UTC, and no waiting for the disk, so that only a machine that goes down loses anything.
	// "skip_log_bin": "1" makes a server without a log; "wsrep_on": "ON" a MariaDB that is all of a Galera cluster.
	Settings map[string]string
	Password string   // of root; "": root needs none
	TLS      []string // the names in the server's certificate; nil: it takes no TLS
}

// MySQL is a MySQL or MariaDB server. Its methods may be called at the same time,
// as a test does that kills the server its code is using.
type MySQL struct {
	*instance
	cfg     MySQLConfig
	flavour mysqlFlavour
	tree    debianTree
	port    int
}

// StartMySQL starts a MySQL and returns once it accepts connections. ctx bounds
// the start; the server then runs until Close.
func StartMySQL(ctx context.Context, cfg MySQLConfig) (*MySQL, error) {
	return startMySQL(ctx, flavourMySQL(), cfg)
}

// StartMariaDB is StartMySQL for a MariaDB.
func StartMariaDB(ctx context.Context, cfg MySQLConfig) (*MySQL, error) {
	return startMySQL(ctx, flavourMariaDB(), cfg)
}

func startMySQL(ctx context.Context, f mysqlFlavour, cfg MySQLConfig) (*MySQL, error) {
	m, err := newMySQL(f, cfg)
	if err != nil {
		return nil, err
	}
	if err := m.first(ctx); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func newMySQL(f mysqlFlavour, cfg MySQLConfig) (*MySQL, error) {
	if !f.installed() {
		return nil, fmt.Errorf("this machine has no %s: devstack.Install was not called", f.name)
	}
	dir, err := f.dir()
	if err != nil {
		return nil, err
	}
	inst, err := newInstance(f.name, cfg.Dir, "KILL") // its log is made for that
	if err != nil {
		return nil, err
	}
	return &MySQL{instance: inst, cfg: cfg, flavour: f, tree: debianTree{filepath.Join(dir, mysqlTree)}}, nil
}

// first creates what is missing and starts the server on a free port; another
// port if a stranger was faster.
func (m *MySQL) first(ctx context.Context) error {
	if exists(m.data()) {
		return m.startOnFreePort(ctx)
	}
	if err := m.initialize(ctx); err != nil {
		return err
	}
	if m.cfg.TLS != nil {
		if err := m.configureTLS(); err != nil {
			return err
		}
	}
	if err := m.startOnFreePort(ctx); err != nil {
		return err
	}
	return m.setPassword(ctx)
}

func (m *MySQL) startOnFreePort(ctx context.Context) error {
	return onFreePort(ctx, func(port int) error {
		m.port = port
		return m.Start(ctx)
	})
}

// initialize makes the data folder: a copy of the one that was made at the
// installation, unless the settings want one that is laid out in another way.
func (m *MySQL) initialize(ctx context.Context) error {
	var layout []string
	for _, name := range []string{"lower_case_table_names", "innodb_page_size", "innodb_data_file_path", "innodb_undo_tablespaces"} {
		if value, ok := m.cfg.Settings[name]; ok {
			layout = append(layout, "--"+name+"="+value)
		}
	}
	if layout != nil {
		if err := m.flavour.create(ctx, m.tree, m.data(), layout); err != nil {
			return fmt.Errorf("creating the data folder of %s: %w", m.name, err)
		}
		return nil
	}
	ready := filepath.Join(filepath.Dir(m.tree.root), mysqlData)
	if err := run(ctx, m.dir, "cp", "-a", "--sparse=always", ready, m.data()); err != nil {
		return fmt.Errorf("creating the data folder of %s: %w", m.name, err)
	}
	return nil
}

// configure writes my.cnf, which also names the port.
func (m *MySQL) configure() error {
	settings := map[string]string{
		"bind_address":                   "127.0.0.1",
		"port":                           strconv.Itoa(m.port),
		"server_id":                      strconv.Itoa(m.port), // unique on this machine
		"socket":                         "mysqld.sock",        // in the data folder: a path of a socket must be short
		"pid_file":                       "mysqld.pid",
		"tmpdir":                         m.dir, // a MariaDB that starts deletes the tables of others in a common one
		"log_bin":                        "binlog",
		"binlog_format":                  "ROW",
		"binlog_row_image":               "FULL",
		"binlog_row_metadata":            "FULL",
		"sync_binlog":                    "0",
		"innodb_flush_log_at_trx_commit": "2", // with 0, a kill would lose what the binary log has
		"character_set_server":           "utf8mb4",
		"default_time_zone":              "+00:00",
		"secure_file_priv":               "",
		"relay_log":                      "relay",
		"relay_log_recovery":             "ON",  // a killed replica's may end in half an event
		"max_connections":                "400", // of all tests of a package, some of which have killed their clients
	}
	maps.Copy(settings, m.flavour.settings)
	maps.Copy(settings, m.tlsSettings())
	m.mu.Lock()
	if m.cfg.Settings["wsrep_on"] != "" {
		maps.Copy(settings, m.galeraSettings())
	}
	maps.Copy(settings, m.cfg.Settings)
	m.mu.Unlock()
	var conf strings.Builder
	conf.WriteString("[mysqld]\n")
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&conf, "%s = \"%s\"\n", name, quote.Replace(settings[name]))
	}
	return m.write("my.cnf", conf.String())
}

// galeraSettings make a cluster of this server alone, which others might join, but for the port.
func (m *MySQL) galeraSettings() map[string]string {
	return map[string]string{
		"wsrep_provider":         m.tree.file("usr/lib/galera/libgalera_smm.so"),
		"wsrep_provider_options": "gmcast.listen_addr=tcp://127.0.0.1:0",
		"wsrep_cluster_address":  "gcomm://",
		"wsrep_node_address":     "127.0.0.1",
	}
}

// write writes a file that only the server may read.
func (m *MySQL) write(name, text string) error {
	if err := os.WriteFile(m.file(name), []byte(text), 0o600); err != nil {
		return fmt.Errorf("configuring %s: %w", m.name, err)
	}
	return nil
}

func (m *MySQL) file(name string) string { return filepath.Join(m.dir, name) }

func (m *MySQL) data() string { return m.file("data") }

// Flavour returns "mysql" or "mariadb", as go-mysql names them.
func (m *MySQL) Flavour() string { return m.flavour.key }

// Addr returns the server's address, 127.0.0.1:port; it stays over restarts.
func (m *MySQL) Addr() string { return loopback(m.port) }

// URL returns the address of a database ("" for none) for root, with the password
// if there is one.
func (m *MySQL) URL(database string) string {
	u := url.URL{Scheme: "mysql", User: url.User("root"), Host: m.Addr(), Path: "/" + database}
	if m.cfg.Password != "" {
		u.User = url.UserPassword("root", m.cfg.Password)
	}
	return u.String()
}

// Start starts the server again after Stop or Kill, on the same port and folder.
func (m *MySQL) Start(ctx context.Context) error {
	if err := m.configure(); err != nil {
		return err
	}
	line, err := m.tree.command(m.flavour.daemon, mysqlPaths(m.tree, m.data(), "--defaults-file="+m.file("my.cnf"))...)
	if err != nil {
		return err
	}
	proc, err := m.begin(command{line: line})
	if err != nil {
		return err
	}
	// Said once its port is its own: a connection instead could meet a stranger there.
	return proc.ready(ctx, func(context.Context) bool { return strings.Contains(m.Log(), "ready for connections") })
}

// Stop shuts the server down in order and keeps its folder.
func (m *MySQL) Stop() error { return m.end(syscall.SIGTERM) }

// Restart stops the server in order and starts it on the same port.
func (m *MySQL) Restart(ctx context.Context) error {
	if err := m.Stop(); err != nil {
		return err
	}
	return m.Start(ctx)
}

// Kill ends the server with SIGKILL, as a power cut would; what was committed is
// there again after Start.
func (m *MySQL) Kill() error { return m.end(syscall.SIGKILL) }

// Close ends the server at once and removes its folder, if that is temporary.
func (m *MySQL) Close() error { return m.close(syscall.SIGKILL) }

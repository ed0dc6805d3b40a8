package devstack

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// mysqlFlavour is what is different between MySQL and MariaDB.
type mysqlFlavour struct {
	name     string // for people, and in the name of a server's folder
	key      string // as in a configuration, and for go-mysql
	folder   string // in the cache
	packages debianPackages
	says     string // what an installation says
	daemon   string // the server's program
	settings map[string]string
	// create makes a data folder, not yet existing, of a server with these settings.
	create func(ctx context.Context, tree debianTree, data string, settings []string) error
	words  mysqlWords
}

// mysqlWords are the statements and variables that have other names.
type mysqlWords struct {
	executed     string // what the server has in its log
	password     string // sets root's: a password
	createUser   string // a name, a plugin, a password
	follow       string // a port, a password, whether to use TLS (0, 1)
	stop         string // following
	forget       string // whom it followed
	received     string // the column of SHOW REPLICA STATUS with what is in the relay log
	semiSource   string // the prefix of the variables of a semi-synchronous primary
	semiReplica  string // and of its replica
	semiClients  string // the status variable that counts these
	readOnly     string // the variable that stops even root
	waitExecuted string // a query that is 1 once the server has executed a set of GTIDs
}

func flavourMySQL() mysqlFlavour {
	return mysqlFlavour{
		name: "MySQL", key: "mysql", folder: "mysql-sid", daemon: "mysqld",
		packages: debianPackages{release: "sid", with: []string{"mysql-server-core", "mysql-client-core"}},
		says:     "MySQL (apt-get, 66 MB, unpacked beside the system)",
		settings: map[string]string{
			"gtid_mode":                "ON",
			"enforce_gtid_consistency": "ON",
			"mysqlx":                   "OFF",
			"auto_generate_certs":      "OFF",
			"plugin_load_add":          "rpl_semi_sync_source=semisync_source.so;rpl_semi_sync_replica=semisync_replica.so",
		},
		create: createMySQL,
		words: mysqlWords{
			executed:   "SELECT @@global.gtid_executed",
			password:   "ALTER USER root@localhost IDENTIFIED BY %s",
			createUser: "CREATE USER %s@'%%' IDENTIFIED WITH %s BY %s",
			follow: `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = %d, SOURCE_USER = 'root', SOURCE_PASSWORD = %s,
				SOURCE_SSL = %d, SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1; START REPLICA`,
			stop:         "STOP REPLICA",
			forget:       "RESET REPLICA ALL",
			received:     "Retrieved_Gtid_Set",
			semiSource:   "rpl_semi_sync_source",
			semiReplica:  "rpl_semi_sync_replica",
			semiClients:  "Rpl_semi_sync_source_clients",
			readOnly:     "super_read_only",
			waitExecuted: "SELECT GTID_SUBSET(%s, @@global.gtid_executed)",
		},
	}
}

func flavourMariaDB() mysqlFlavour {
	return mysqlFlavour{
		name: "MariaDB", key: "mariadb", folder: "mariadb-bookworm-galera", daemon: "mariadbd",
		packages: debianPackages{
			release: "bookworm", with: []string{"mariadb-server-core", "mariadb-client-core"},
			alone: []string{"mariadb-server", "mariadb-client", "galera-4"}, // for auth_ed25519, mariadb-binlog and wsrep_on
		},
		says: "MariaDB (apt-get, 24 MB, unpacked beside the system)",
		settings: map[string]string{
			"gtid_strict_mode":                "ON",
			"log_slave_updates":               "ON",
			"plugin_load_add":                 "auth_ed25519",
			"rpl_semi_sync_master_wait_point": "AFTER_SYNC", // as MySQL does: the other one loses what readers have seen
		},
		create: createMariaDB,
		words: mysqlWords{
			executed:   "SELECT @@global.gtid_binlog_pos",
			password:   "ALTER USER root@localhost IDENTIFIED BY %s",
			createUser: "CREATE USER %s@'%%' IDENTIFIED VIA %s USING PASSWORD(%s)",
			follow: `CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %d, MASTER_USER = 'root', MASTER_PASSWORD = %s,
				MASTER_SSL = %d, MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1; START SLAVE`,
			stop:         "STOP SLAVE",
			forget:       "RESET SLAVE ALL",
			received:     "Gtid_IO_Pos",
			semiSource:   "rpl_semi_sync_master",
			semiReplica:  "rpl_semi_sync_slave",
			semiClients:  "Rpl_semi_sync_master_clients",
			readOnly:     "read_only",
			waitExecuted: "SELECT MASTER_GTID_WAIT(%s, 0.02) = 0",
		},
	}
}

// createMySQL takes two seconds, most of which are for the tables of mysql and sys.
func createMySQL(ctx context.Context, tree debianTree, data string, settings []string) error {
	// A small redo log makes a small folder, which every server's begins as a copy of.
	args := append(mysqlPaths(tree, data, "--no-defaults"), "--initialize-insecure", "--innodb-redo-log-capacity=8M", "--auto-generate-certs=OFF", "--mysqlx=OFF")
	line, err := tree.command("mysqld", append(args, settings...)...)
	if err != nil {
		return err
	}
	if err := run(ctx, filepath.Dir(data), line...); err != nil {
		return err
	}
	// Its identity: a server without one makes one for itself.
	if err := os.Remove(filepath.Join(data, "auto.cnf")); err != nil {
		return fmt.Errorf("removing the server's identity: %w", err)
	}
	return nil
}

// createMariaDB does what mariadb-install-db does, which would look for its
// programs elsewhere, and leaves out a test database and users without a name.
func createMariaDB(ctx context.Context, tree debianTree, data string, settings []string) error {
	if err := os.Mkdir(data, 0o700); err != nil {
		return fmt.Errorf("creating the data folder: %w", err)
	}
	sql := []io.Reader{strings.NewReader("CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n")}
	for _, name := range []string{
		"mysql_system_tables", "mysql_performance_tables", "mysql_system_tables_data", "maria_add_gis_sp_bootstrap", "mysql_sys_schema",
	} {
		text, err := os.Open(tree.file("usr/share/mysql/" + name + ".sql"))
		if err != nil {
			return fmt.Errorf("opening the system tables' definition: %w", err)
		}
		defer text.Close() //nolint:errcheck // only read from
		sql = append(sql, text)
	}
	sql = append(sql, strings.NewReader("\nDELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';\n"))
	args := append(mysqlPaths(tree, data, "--no-defaults"), "--bootstrap", "--innodb-log-file-size=4M", "--max-allowed-packet=8M")
	line, err := tree.command("mariadbd", append(args, settings...)...)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir = filepath.Dir(data)
	cmd.Stdin = io.MultiReader(sql...)
	return output(cmd)
}

// mysqlPaths are the arguments that say where a server's files are.
func mysqlPaths(tree debianTree, data, defaults string) []string {
	args := []string{
		defaults, // must come first
		"--basedir=" + tree.file("usr"), "--lc-messages-dir=" + tree.file("usr/share/mysql"),
		"--plugin-dir=" + tree.file("usr/lib/mysql/plugin"), "--datadir=" + data,
	}
	if os.Geteuid() == 0 {
		args = append(args, "--user=root") // it refuses to run as root unless told to
	}
	return args
}

package mysql

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
)

// facts is what is known of a server, and of our user on it.
type facts struct {
	host      string
	version   string
	user      string // as a statement names it: 'cdc'@'%'
	standby   bool   // one of several, and takes no writes
	encrypted bool   // the connection
	variables map[string]string
}

// variablesSQL asks for those that one of the checks looks at; which of them there are depends on flavour and version.
const variablesSQL = `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'binlog_row_image', 'binlog_row_metadata',
	'binlog_row_value_options', 'gtid_mode', 'enforce_gtid_consistency', 'gtid_strict_mode', 'server_id', 'read_only',
	'log_replica_updates', 'log_slave_updates', 'replica_parallel_workers', 'slave_parallel_workers', 'replica_preserve_commit_order',
	'slave_preserve_commit_order', 'binlog_expire_logs_seconds', 'binlog_expire_logs_auto_purge', 'expire_logs_days',
	'binlog_transaction_compression', 'log_bin_compress', 'innodb_native_foreign_keys', 'gtid_slave_pos', 'wsrep_on', 'wsrep_gtid_mode',
	'group_replication_group_name', 'rpl_semi_sync_source_enabled', 'rpl_semi_sync_master_enabled', 'rpl_semi_sync_source_wait_point', 'rpl_semi_sync_master_wait_point')`

func lookAtServer(ctx context.Context, conn *client.Conn, host string) (facts, error) {
	// MariaDB hides its version behind one that every client knows.
	version := strings.TrimPrefix(conn.GetServerVersion(), "5.5.5-")
	f := facts{host: host, version: version, variables: map[string]string{}}
	rows, err := askTexts(ctx, conn, "looking at the settings of "+host, variablesSQL)
	if err != nil {
		return f, err
	}
	for _, row := range rows {
		f.variables[strings.ToLower(row[0])] = row[1]
	}
	if rows, err = askTexts(ctx, conn, "asking for the user", "SELECT CURRENT_USER()"); err != nil {
		return f, err
	}
	at := strings.LastIndexByte(rows[0][0], '@')
	f.user = quoteSQL(rows[0][0][:at]) + "@" + quoteSQL(rows[0][0][at+1:])
	return f, nil
}

// is reports whether a variable has one of the values, in any spelling.
func (f facts) is(variable string, values ...string) bool {
	has, ok := f.variables[variable]
	for _, value := range values {
		if ok && strings.EqualFold(has, value) {
			return true
		}
	}
	return false
}

// either returns the first of the variables that the server has: many were renamed.
func (f facts) either(names ...string) (name, value string) {
	for _, name := range names {
		if value, ok := f.variables[name]; ok {
			return name, value
		}
	}
	return "", ""
}

func (f facts) on(names ...string) bool {
	_, value := f.either(names...)
	return strings.EqualFold(value, "ON") || value == "1"
}

// atLeast compares the version.
func (f facts) atLeast(major, minor int) bool {
	parts := strings.SplitN(f.version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	has, err := strconv.Atoi(parts[0])
	hasMinor, minorErr := strconv.Atoi(parts[1])
	return err == nil && minorErr == nil && (has > major || has == major && hasMinor >= minor)
}

// keeps returns for how long the server keeps its log; 0: for ever.
func (f facts) keeps() (time.Duration, error) {
	if f.is("binlog_expire_logs_auto_purge", "OFF") {
		return 0, nil
	}
	unit := time.Second
	name, value := f.either("binlog_expire_logs_seconds", "expire_logs_days")
	if name == "expire_logs_days" {
		unit = 24 * time.Hour
	}
	if value == "" {
		return 0, nil
	}
	n, err := strconv.ParseFloat(value, 64) // MariaDB takes parts of a day
	return time.Duration(n * float64(unit)), err
}

// quoteSQL quotes a name or a text for a person to type.
func quoteSQL(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// quoteName quotes an identifier.
func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

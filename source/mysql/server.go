package mysql

import (
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/client"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/gtid"
)

// server is what must be known of one before its log is read.
type server struct {
	host     string      // as the URL names it, with the port
	secure   *tls.Config // of its connections; nil: none
	identity string      // differs from that of any other server
	uuid     gtid.UUID
	version  string
	readOnly bool
	gtid     bool // every transaction has one
	folds    bool // names of tables are kept in lower case
}

// identify asks a server who it is, and refuses one that cannot be read.
func (s *Source) identify(ctx context.Context, conn *client.Conn, host string) (server, error) {
	found := server{host: host, version: conn.GetServerVersion()}
	if err := s.requireFlavour(found.version); err != nil {
		return server{}, err
	}
	who, gtidMode := "@@global.server_uuid", "@@global.gtid_mode"
	if s.mariaDB() {
		who, gtidMode = "CONCAT_WS('/', @@global.server_id, @@hostname, @@port, @@datadir)", "'ON'"
	}
	rows, err := askTexts(ctx, conn, "asking the server who it is",
		"SELECT "+who+", @@global.read_only, "+gtidMode+", @@global.lower_case_table_names, @@global.log_bin")
	if err != nil {
		return server{}, err
	}
	row := rows[0]
	found.identity, found.readOnly, found.gtid, found.folds = row[0], row[1] == "1", row[2] == "ON", row[3] != "0"
	if row[4] != "1" {
		return server{}, &kafkasync.Fault{
			Class: kafkasync.Wait, What: fmt.Sprintf("the server at %s writes no binary log", host),
			Fix: "start it with log_bin=binlog, binlog_format=ROW and binlog_row_metadata=FULL",
		}
	}
	if !s.mariaDB() {
		if found.uuid, err = gtid.ParseUUID(found.identity); err != nil {
			return server{}, fmt.Errorf("asking the server who it is: server_uuid: %w", err)
		}
	}
	return found, nil
}

func (s *Source) requireFlavour(version string) error {
	is := MySQL
	if strings.Contains(version, "MariaDB") {
		is = MariaDB
	}
	if is == s.cfg.Flavour {
		return nil
	}
	return &kafkasync.Fault{
		Class: kafkasync.Stop, What: fmt.Sprintf("the server is %s %s", map[string]string{MySQL: "MySQL", MariaDB: "MariaDB"}[is], version),
		Fix: fmt.Sprintf("write %s: in place of %s: below source in the file", is, s.cfg.Flavour),
	}
}

// showStatus is the statement that shows where the log ends. MySQL renamed it in 8.2, and dropped
// the old name in 8.4.
func (s server) showStatus(mariaDB bool) string {
	if mariaDB || s.before(8, 2) {
		return "SHOW MASTER STATUS"
	}
	return "SHOW BINARY LOG STATUS"
}

// before compares the version of a MySQL.
func (s server) before(major, minor int) bool {
	parts := strings.SplitN(s.version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	has, err := strconv.Atoi(parts[0])
	hasMinor, minorErr := strconv.Atoi(parts[1])
	return err == nil && minorErr == nil && (has < major || has == major && hasMinor < minor)
}

// end returns where the log of the server ends, as a position that reading can begin at.
func (c *session) end(ctx context.Context, mariaDB bool) (place, error) {
	switch {
	case mariaDB:
		text, err := c.askTexts(ctx, "asking for the end of the log", "SELECT @@global.gtid_binlog_pos")
		if err != nil {
			return place{}, err
		}
		at, err := gtid.ParseMariaPosition(text[0][0])
		return place{kind: kindMariaDB, maria: at}, err
	case c.server.gtid:
		text, err := c.askTexts(ctx, "asking for the end of the log", "SELECT @@global.gtid_executed")
		if err != nil {
			return place{}, err
		}
		at, err := gtid.ParseSet(text[0][0])
		return place{kind: kindMySQL, set: at}, err
	default:
		file, at, err := c.logEnd(ctx, mariaDB)
		if err == nil && at > 1<<32-1 {
			err = fmt.Errorf("the log file %s is larger than 4 GiB; reading can begin in the next one, after FLUSH BINARY LOGS", file)
		}
		return place{kind: kindFile, file: offset{c.server.uuid, file, uint32(at)}}, err
	}
}

// logEnd returns the file that the server writes its log to, and how far it is.
func (c *session) logEnd(ctx context.Context, mariaDB bool) (file string, at uint64, err error) {
	rows, err := c.askTexts(ctx, "asking for the end of the log", c.server.showStatus(mariaDB))
	if err != nil {
		return "", 0, err
	}
	if len(rows) == 0 || len(rows[0]) < 2 {
		return "", 0, fmt.Errorf("asking for the end of the log: the server shows none")
	}
	at, err = strconv.ParseUint(rows[0][1], 10, 64)
	if err != nil {
		return "", 0, fmt.Errorf("asking for the end of the log: %w", err)
	}
	return rows[0][0], at, nil
}

package mysql

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// checkLog looks whether the server's log holds rows, and says what they are.
func (c *checkup) checkLog(f facts) {
	of := f.name()
	if !f.is("log_bin", "ON", "1") {
		c.Errorf("M03", "there is no log to read", inFile("log_bin=binlog and server_id=1")+" (RDS: switch automated backups on)", "%s writes no binary log", of)
		return // and what is in it is of no interest
	}
	c.Okf("M03", "the server writes a binary log")
	const sessions = "; sessions that are open keep what they have: reconnect the application"
	if format := f.variables["binlog_format"]; !f.is("binlog_format", "ROW", "") && format != "" {
		c.Errorf("M04", "the log holds statements in place of rows, at which the pipeline stops", c.lasting("binlog_format", "'ROW'")+" -- "+sessions[2:],
			"binlog_format of %s is %s", of, format)
	}
	c.Okf("M04", "the log holds rows")
	if image := f.variables["binlog_row_metadata"]; !f.is("binlog_row_metadata", "FULL") {
		c.Warnf(c.flavoured("M06", "R02"), "names and keys of columns are taken from the present, and the pipeline stops at what was written before a table was altered",
			c.lasting("binlog_row_metadata", "'FULL'"), "binlog_row_metadata of %s is %s", of, image)
	}
	c.Okf(c.flavoured("M06", "R02"), "the log names the columns of its rows")
	if f.is("server_id", "0") {
		c.Errorf("M09", "it sends its log to nobody", c.lasting("server_id", "1")+" -- or another number that no other server has", "server_id of %s is 0", of)
	}
	c.Okf("M09", "the server has a server_id")
}

// name is how a sentence calls the server.
func (f facts) name() string {
	if f.standby {
		return "the standby at " + f.host
	}
	return "the server at " + f.host
}

// flavoured is the id of a check that has one of its own for each flavour.
func (c *checkup) flavoured(ofMySQL, ofMariaDB string) string {
	if c.mariaDB() {
		return ofMariaDB
	}
	return ofMySQL
}

// checkPositions looks whether another server could go on where this one ends.
func (c *checkup) checkPositions(f facts) {
	const why = "after a failover, the new primary cannot say where the old one was read up to"
	if c.mariaDB() {
		if !f.on("gtid_strict_mode") {
			c.Warnf("R03", "a server may give a transaction a number that another one has used: after a failover, reading may go on at the wrong place",
				c.lasting("gtid_strict_mode", "ON"), "gtid_strict_mode of %s is OFF", f.name())
		}
		c.Okf("R03", "the numbers of transactions only grow")
		return
	}
	if f.is("gtid_mode", "ON") {
		c.Okf("M08", "every transaction has a GTID")
		return
	}
	const fix = "SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE; SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON; " +
		"-- step by step on all servers; a pipeline that has a position begins anew then: kafkasync recover"
	if len(c.source.to.hosts) > 1 {
		c.Errorf("M08", why, fix, "gtid_mode of %s is %s", f.name(), f.variables["gtid_mode"])
		return
	}
	c.Warnf("M08", why, fix, "gtid_mode of %s is %s", f.name(), f.variables["gtid_mode"])
}

const (
	leastKept = time.Hour
	wellKept  = 7 * 24 * time.Hour
)

// checkKeeping looks at how long the server keeps its log, whoever still needs it.
func (c *checkup) checkKeeping(f facts) {
	kept, err := f.keeps()
	if err != nil {
		c.failed("M13", fmt.Errorf("reading how long %s keeps its log: %w", f.name(), err))
		return
	}
	const why = "once kafkasync has been down for longer, what was changed in between cannot be read any more, and a gap is recorded"
	fix := c.lasting("binlog_expire_logs_seconds", "604800") + " -- 7 days; the disk must hold as much (RDS: CALL mysql.rds_set_configuration('binlog retention hours', 168);)"
	if name, _ := f.either("binlog_expire_logs_seconds", "expire_logs_days"); name == "expire_logs_days" {
		fix = c.lasting("expire_logs_days", "7")
	}
	switch {
	case kept == 0:
		c.Okf("M13", "the server keeps its log until somebody purges it")
	case kept < leastKept:
		c.Errorf("M13", why, fix, "%s keeps its log for %s only", f.name(), kept)
	case kept < wellKept:
		c.Warnf("M13", why, fix, "%s keeps its log for %s only", f.name(), kept)
	default:
		c.Okf("M13", "the server keeps its log for %d days", int(kept/(24*time.Hour)))
	}
}

// checkManaged looks at what Amazon's RDS has in place of the server's own settings.
func (c *checkup) checkManaged(ctx context.Context) {
	const fix = "CALL mysql.rds_set_configuration('binlog retention hours', 168);"
	rows, err := askTexts(ctx, c.conn, "asking how long RDS keeps the log", "SELECT value FROM mysql.rds_configuration WHERE name = 'binlog retention hours'")
	if err != nil || len(rows) != 1 {
		return // no other server has it
	}
	const why = "what was not read by then cannot be read any more, and a gap is recorded"
	hours, err := strconv.Atoi(rows[0][0])
	switch {
	case rows[0][0] == "":
		c.Errorf("M14", why, fix, "RDS throws its log away as soon as it needs it no more itself")
	case err != nil:
		c.failed("M14", fmt.Errorf("asking how long RDS keeps the log: %w", err))
	case hours < 24:
		c.Warnf("M14", why, fix, "RDS keeps its log for %d hours only", hours)
	default:
		c.Okf("M14", "RDS keeps its log for %d hours", hours)
	}
}

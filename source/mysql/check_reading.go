package mysql

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
)

// checkRole says what the user may beyond what it needs: a hint, because it works.
func (c *checkup) checkRole(ctx context.Context) {
	rows, err := askTexts(ctx, c.conn, "asking for the privileges", "SHOW GRANTS")
	if err != nil {
		c.failed("M19", err)
		return
	}
	all := slices.ContainsFunc(rows, func(row []string) bool {
		return strings.HasPrefix(row[0], "GRANT ALL PRIVILEGES ON *.*") || strings.HasPrefix(row[0], "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, SHUTDOWN")
	})
	if all {
		c.Hintf("M32", "whoever gets hold of its password, which is in our file, has the whole server",
			"CREATE USER 'kafkasync'@'%' IDENTIFIED BY '...'; "+c.grant("'kafkasync'@'%'"), "user %s may do everything, and need not", c.server.user)
	}
	c.Okf("M32", "user %s may not do everything", c.server.user)
}

// grant is the statement that gives a user what it needs.
func (c *checkup) grant(user string) string {
	return "GRANT REPLICATION SLAVE, " + c.source.clientPrivilege() + " ON *.* TO " + user + "; GRANT SELECT ON *.* TO " + user +
		"; -- or on the captured tables only: it reads none of their rows, but sees their definitions by it"
}

// checkReading does what a pipeline does first: it asks where the log ends, compares the checkpoint with what the
// server has, and opens the log. What the grants say does not tell what a proxy or a managed service makes of them.
func (c *checkup) checkReading(ctx context.Context) {
	if c.Reported("M03", "M09") {
		return // which have said why there is nothing to read
	}
	server, err := c.source.identify(ctx, c.conn, c.server.host)
	if err != nil {
		c.failed("M18", err)
		return
	}
	session := &session{conn: c.conn, server: server}
	end, err := session.end(ctx, c.mariaDB())
	if err == nil {
		_, _, err = session.logEnd(ctx, c.mariaDB())
	}
	if err == nil {
		_, err = session.logFiles(ctx)
	}
	switch {
	case denied(err):
		c.Errorf("M19", "how far the log reaches cannot be asked", c.grant(c.server.user), "user %s lacks the privilege %s", c.server.user, c.source.clientPrivilege())
		return
	case err != nil:
		c.failed("M18", err)
		return
	}
	c.checkFilters(ctx, server)
	from := c.checkpoint(ctx, session, end)
	if c.Reported("M16") {
		return
	}
	limit, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	switch err := c.source.seek(limit, from); {
	case denied(err):
		c.Errorf("M19", "the server sends its log to nobody else", c.grant(c.server.user), "user %s lacks the privilege REPLICATION SLAVE", c.server.user)
	case err != nil:
		c.failed("M18", err)
	}
	c.Okf("M18", "the log can be read")
	c.Okf("M19", "user %s has the privileges that it needs", c.server.user)
}

// checkFilters looks whether the server keeps captured tables out of its log.
func (c *checkup) checkFilters(ctx context.Context, from server) {
	rows, err := askTexts(ctx, c.conn, "asking what is kept out of the log", from.showStatus(c.mariaDB()))
	if err != nil || len(rows) == 0 || len(rows[0]) < 4 {
		c.failed("M15", errors.Join(errors.New("the server does not say what is kept out of its log"), err))
		return
	}
	only, never := rows[0][2], rows[0][3]
	lists := func(list, schema string) bool { return slices.Contains(strings.Split(list, ","), schema) }
	for i := range c.captured {
		t := &c.captured[i]
		if only != "" && !lists(only, t.schema) || lists(never, t.schema) {
			c.Errorf("M15", "nothing of it is published", "take binlog_do_db and binlog_ignore_db out of the server's file, and restart it; or capture no table of this database",
				"%s is kept out of the log (binlog_do_db=%s, binlog_ignore_db=%s)", t.full(), only, never)
		}
	}
	c.Okf("M15", "the databases of the captured tables are in the log")
}

// checkpoint compares the position of a running node with what the server has, and returns where the
// pipeline would go on.
func (c *checkup) checkpoint(ctx context.Context, server *session, end place) place {
	if c.opts.Checkpoint == nil {
		c.Okf("M16", "the log is not compared with the checkpoint, which only a running node knows")
		return end
	}
	position, err := c.opts.Checkpoint(ctx)
	switch {
	case err != nil:
		c.Okf("M16", "the log is not compared with the checkpoint: %s", strings.Join(strings.Fields(err.Error()), " "))
		return end
	case position == "":
		c.Okf("M16", "the pipeline has no checkpoint yet")
		return end
	}
	at, err := parsePosition(position)
	if err == nil {
		err = c.source.continues(ctx, server, at)
	}
	if err != nil {
		c.failed("M16", err)
		return end
	}
	c.Okf("M16", "the server has what follows the checkpoint")
	return at
}

// checkTransactions looks for what makes a transaction cost memory, or wait.
func (c *checkup) checkTransactions(ctx context.Context) {
	if c.server.on("binlog_transaction_compression") {
		c.Hintf("M25", "a node puts a transaction's compressed form aside in data_dir until it is read to its end, one at a time; MySQL lets none have more than 1 GiB", "",
			"transactions are compressed in the log")
	}
	c.Okf("M25", "transactions are not compressed in the log, or row by row")
	if used, err := counter(ctx, c.conn, "Com_xa_prepare"); err != nil {
		c.failed("M31", err)
	} else if used != "0" {
		c.Warnf("M31", "what an XA transaction has changed is published at its XA COMMIT; until then a node holds it in memory, and stops if it is too large",
			"keep XA transactions short: XA RECOVER; -- lists those that wait", "XA transactions are in use: %s were prepared since the server started", used)
	}
	c.Okf("M31", "no XA transaction was prepared since the server started")
}

// counter returns one of the server's counters.
func counter(ctx context.Context, conn *client.Conn, name string) (string, error) {
	rows, err := askTexts(ctx, conn, "asking for "+name, "SHOW GLOBAL STATUS LIKE '"+name+"'")
	if err != nil || len(rows) == 0 {
		return "0", err
	}
	return rows[0][1], nil
}

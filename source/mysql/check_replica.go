package mysql

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/kafkasync/kafkasync/source/findings"
)

// checkReplica looks whether the server that is read follows another one, and then logs what it gets.
func (c *checkup) checkReplica(ctx context.Context) {
	rows, err := askTexts(ctx, c.conn, "asking whether the server is a replica", c.showReplica())
	switch {
	case denied(err):
		if c.server.variables["gtid_slave_pos"] != "" {
			c.checkApplied(c.server)
		}
		c.Hintf("M11", "a replica has to log what it gets from its primary", "GRANT "+c.replicaPrivilege()+" ON *.* TO "+c.server.user+";",
			"whether the server is a replica is not known: the user may not ask")
	case err != nil:
		c.failed("M11", err)
	case len(rows) == 0:
		c.Okf("M11", "the server is no replica")
	default:
		c.checkApplied(c.server)
	}
}

// showReplica is the statement that shows whom a server follows.
func (c *checkup) showReplica() string {
	if c.mariaDB() || c.server.atLeast(8, 0) {
		return "SHOW REPLICA STATUS"
	}
	return "SHOW SLAVE STATUS"
}

func (c *checkup) replicaPrivilege() string {
	return c.flavoured("REPLICATION CLIENT", "REPLICA MONITOR")
}

// checkApplied looks at a server that follows another one, or may have to step in for it.
func (c *checkup) checkApplied(f facts) {
	name, _ := f.either("log_replica_updates", "log_slave_updates")
	if !f.on(name) && name != "" {
		c.Errorf("M11", "what its primary has written is not in its log, and would not be published", inFile(name+"=ON"), "%s is a replica, and does not log what it gets: %s is OFF", f.name(), name)
	}
	c.Okf("M11", "the server is a replica, and logs what it gets")
	workers, count := f.either("replica_parallel_workers", "slave_parallel_workers")
	n, err := strconv.Atoi(count)
	order, _ := f.either("replica_preserve_commit_order", "slave_preserve_commit_order")
	if order != "" && err == nil && n > 1 && !f.on(order) {
		c.Warnf("M12", "changes of one row may be published in another order than they were made", "STOP REPLICA SQL_THREAD; "+c.lasting(order, "ON")+" START REPLICA SQL_THREAD;",
			"%s applies transactions in parallel (%s=%d) and commits them in any order", f.name(), workers, n)
	}
	c.Okf("M12", "what a replica gets is committed in the order of its primary")
}

// checkCluster looks whether the log of a server has what the others of its Galera cluster take, under numbers that are the same on all.
func (c *checkup) checkCluster(f facts) {
	if !f.on("wsrep_on") {
		return
	}
	if !f.on("log_slave_updates") {
		c.Errorf("R08", "what the other servers of its cluster take is not in its log, and would not be published", inFile("log_slave_updates=ON"),
			"%s is one of a Galera cluster, and logs only what it takes itself: log_slave_updates is OFF", f.name())
	}
	if !f.on("wsrep_gtid_mode") {
		c.Warnf("R08", "each server of the cluster numbers the transactions in its own way: on another one, nobody knows where to go on, and the pipeline stops",
			inFile("wsrep_gtid_mode=ON, the wsrep_gtid_domain_id of its cluster, and a gtid_domain_id of its own"), "%s is one of a Galera cluster, and wsrep_gtid_mode is OFF", f.name())
	}
	c.Okf("R08", "the server logs what its Galera cluster takes, under the cluster's numbers")
}

// checkWaiting looks whether a server commits only what a replica has as well. Else one that is promoted may lack what was published.
func (c *checkup) checkWaiting(f facts) {
	switch {
	case len(c.source.to.hosts) == 1:
		return
	case f.on("wsrep_on") || f.variables["group_replication_group_name"] != "":
		c.Okf("M33", "the servers of its cluster commit together")
		return
	}
	enabled, _ := f.either("rpl_semi_sync_source_enabled", "rpl_semi_sync_master_enabled")
	point, waits := f.either("rpl_semi_sync_source_wait_point", "rpl_semi_sync_master_wait_point")
	const why = "after a failover, the new primary may lack what was published, and the pipeline stops"
	if f.on(enabled) && !f.is(point, "AFTER_SYNC") {
		c.Warnf("M33", why, c.lasting(point, "'AFTER_SYNC'"), "%s commits before it waits for a replica: %s is %s", f.name(), point, waits)
	}
	if !f.on(enabled) && !f.standby {
		c.Hintf("M33", why, "replicate semi-synchronously, with AFTER_SYNC as the wait point and a long timeout: docs/mysql.md", "%s does not wait for a replica before it commits", f.name())
	}
	c.Okf("M33", "a transaction is committed only when a replica has it")
}

// denied reports whether the user lacks a privilege.
func denied(err error) bool {
	var answer *mysql.MyError
	return errors.As(err, &answer) && slices.Contains([]uint16{mysql.ER_SPECIFIC_ACCESS_DENIED_ERROR, mysql.ER_ACCESS_DENIED_ERROR, mysql.ER_TABLEACCESS_DENIED_ERROR, mysql.ER_DBACCESS_DENIED_ERROR}, answer.Code)
}

// checkReaders looks whether somebody else has one of our server ids: the server ends the one's connection for the other's.
func (c *checkup) checkReaders(ctx context.Context) {
	nodes := max(1, c.opts.Nodes)
	ours := func(id string) bool {
		n, err := strconv.ParseUint(id, 10, 32)
		return err == nil && n >= uint64(c.cfg.ServerID) && n < uint64(c.cfg.ServerID)+uint64(nodes)
	}
	const why = "the server would end the connection of the one for that of the other, again and again"
	fix := "set source." + c.cfg.Flavour + ".server_id to a number that no server and no other reader has, or leave it out"
	if nodes > 1 {
		fix += "; each of the " + findings.Counted(nodes, "node") + " has one more than the one before"
	}
	if ours(c.server.variables["server_id"]) {
		c.Errorf("M10", why, fix, "the server itself has the server_id %s", c.server.variables["server_id"])
	}
	show := "SHOW REPLICAS"
	if c.mariaDB() {
		show = "SHOW REPLICA HOSTS"
	}
	rows, err := askTexts(ctx, c.conn, "asking who reads the log", show)
	switch {
	case denied(err):
		c.Okf("M10", "the server does not have our server_id; whether another reader has it is not known: the user may not ask")
		return
	case err != nil:
		c.failed("M10", err)
		return
	}
	for _, row := range rows {
		if len(row) > 1 && ours(row[0]) && row[1] != c.opts.Application {
			c.Errorf("M10", why, fix, "another reader (%q) has the server_id %s", row[1], row[0])
		}
	}
	c.Okf("M10", "nobody else has our server_id")
}

package mysql

import (
	"context"

	"github.com/go-mysql-org/go-mysql/client"
)

// connect looks at each server of the URL, and keeps the connection to the one that would be read. It reports
// whether there is one.
func (c *checkup) connect(ctx context.Context) bool {
	hosts := c.source.to.hosts
	for _, host := range hosts {
		conn, server := c.open(ctx, host)
		switch {
		case conn == nil:
		case c.conn == nil && (len(hosts) == 1 || !server.is("read_only", "ON", "1")):
			c.conn, c.server = conn, server
		default:
			server.standby = true
			c.checkLog(server)
			c.checkPositions(server)
			c.checkKeeping(server)
			c.checkApplied(server)
			c.checkCluster(server)
			c.checkWaiting(server)
			hangUp(conn)
		}
	}
	if c.conn == nil {
		if !c.Reported("M19", "M02", "M01") {
			c.Errorf("M11", "the pipeline waits for one", "wait for the failover, or add the primary to source."+c.cfg.Flavour+".url; to read from a replica, name it alone",
				"no server of the URL accepts writes")
		}
		return false
	}
	c.Okf("M02", "the server is %s", map[string]string{MySQL: "MySQL", MariaDB: "MariaDB"}[c.cfg.Flavour])
	c.Okf("M01", "its version is %s", c.server.version)
	if c.server.is("read_only", "ON", "1") {
		c.Okf("M11", "the server is read-only, and named alone: it is read although it takes no writes")
	}
	return true
}

// open connects to one server, and looks whether it is one that can be followed.
func (c *checkup) open(ctx context.Context, host string) (*client.Conn, facts) {
	limit, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, secure, err := c.source.login(limit, host)
	if err != nil {
		c.failed("M19", err)
		return nil, facts{}
	}
	if err := c.source.requireFlavour(conn.GetServerVersion()); err != nil {
		c.failed("M02", err)
		hangUp(conn)
		return nil, facts{}
	}
	server, err := lookAtServer(ctx, conn, host)
	if err != nil {
		c.failed("M01", err)
		hangUp(conn)
		return nil, facts{}
	}
	if !c.checkVersion(server) {
		hangUp(conn)
		return nil, facts{}
	}
	server.encrypted = secure != nil
	return conn, server
}

// checkVersion reports whether the server is new enough to be followed.
func (c *checkup) checkVersion(f facts) bool {
	const why = "its log does not say what its rows mean"
	switch {
	case c.mariaDB() && !f.atLeast(10, 5):
		c.Errorf("M01", why, "upgrade it to MariaDB 10.6 or later", "the server at %s is MariaDB %s", f.host, f.version)
		return false
	case !c.mariaDB() && !f.atLeast(8, 0):
		c.Errorf("M01", why, "upgrade it to MySQL 8.0 or later", "the server at %s is MySQL %s", f.host, f.version)
		return false
	}
	return true
}

package mysql

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// checkLine looks at what lies between us and the server: the network, a proxy, and two clocks.
func (c *checkup) checkLine(ctx context.Context) {
	if !c.server.encrypted {
		c.Hintf("M26", "who listens on the network sees what is changed, and who answers in the server's place is believed",
			"write tls=verify-full, and ssl-ca with the file of the authority, into source."+c.cfg.Flavour+".url", "the connection is not encrypted")
	}
	c.Okf("M26", "the connection is encrypted")
	c.checkOneServer(ctx)
	c.checkClock(ctx)
}

// checkOneServer looks whether a second connection leads to the same server. A balancer spreads them.
func (c *checkup) checkOneServer(ctx context.Context) {
	first, err := c.source.identify(ctx, c.conn, c.server.host)
	if err != nil {
		return // which checkReading says
	}
	limit, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	second, err := c.source.connectTo(limit, c.server.host)
	if err != nil {
		c.failed("M29", err)
		return
	}
	defer second.close()
	if second.server.identity != first.identity {
		c.Errorf("M29", "the log of one of them would be read, and another one be asked how far it reaches", "name the server itself in source."+c.cfg.Flavour+".url; where there are several, all of them, and no balancer or proxy",
			"two connections to %s lead to two servers", c.server.host)
	}
	c.Okf("M29", "all connections lead to the same server")
}

// aside is by how much two clocks may differ.
const aside = 2 * time.Second

// checkClock compares the server's clock with ours.
func (c *checkup) checkClock(ctx context.Context) {
	asked := time.Now()
	rows, err := askTexts(ctx, c.conn, "asking for the time", "SELECT UNIX_TIMESTAMP(NOW(6))")
	if err != nil {
		c.failed("M28", err)
		return
	}
	answered := time.Now()
	seconds, err := strconv.ParseFloat(rows[0][0], 64)
	if err != nil {
		c.failed("M28", fmt.Errorf("asking for the time: %w", err))
		return
	}
	says := time.UnixMicro(int64(seconds * 1e6))
	by := max(asked.Sub(says), says.Sub(answered)) // at least
	if by > aside {
		c.Warnf("M28", "the time of a change in its message (ts) is the server's, and the lag of the pipeline is counted from it", "let both machines keep the time (NTP)",
			"the clock of %s and that of this machine differ by %s", c.server.name(), by.Round(time.Second))
	}
	c.Okf("M28", "the server's clock and that of this machine agree")
}

package mysql

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/kafkasync/kafkasync"
)

// connectTimeout bounds one attempt over all hosts.
const connectTimeout = 10 * time.Second

// session is an ordinary connection. It is for one goroutine.
type session struct {
	conn   *client.Conn
	server server
}

// close ends the connection; nothing depends on how it goes.
func (c *session) close() { _ = c.conn.Close() }

// ask runs one statement. The end of ctx closes the connection, the network's: the library's own has fields that are
// written beside it.
func ask(ctx context.Context, conn *client.Conn, doing, sql string) (*mysql.Result, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Conn.Conn.Close() })
	result, err := conn.Execute(sql)
	if !stop() {
		return nil, fmt.Errorf("%s: %w", doing, context.Cause(ctx))
	}
	return result, classify(err, doing)
}

// askTexts returns the rows of a query as text; what is NULL is "".
func (c *session) askTexts(ctx context.Context, doing, sql string) ([][]string, error) {
	return askTexts(ctx, c.conn, doing, sql)
}

func askTexts(ctx context.Context, conn *client.Conn, doing, sql string) ([][]string, error) {
	result, err := ask(ctx, conn, doing, sql)
	if err != nil {
		return nil, err
	}
	if result.Resultset == nil {
		return nil, fmt.Errorf("%s: the server answers without rows", doing)
	}
	rows := make([][]string, result.RowNumber())
	for i := range rows {
		rows[i] = make([]string, result.ColumnNumber())
		for j := range rows[i] {
			if rows[i][j], err = result.GetString(i, j); err != nil {
				return nil, fmt.Errorf("%s: reading column %d: %w", doing, j+1, err)
			}
		}
	}
	return rows, nil
}

// connect opens a connection to a server that can be read: where the URL lists several, to
// the one of them that takes writes, since a replica's log may lag behind or lack something.
func (s *Source) connect(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var best error
	for _, host := range s.to.hosts {
		c, err := s.try(ctx, host)
		if err == nil {
			return c, nil
		}
		if best == nil || !kafkasync.Unreachable(err) {
			best = err // a server that was looked at says more than another one that is down
		}
	}
	return nil, best
}

// try connects to one host, in its share of the time.
func (s *Source) try(ctx context.Context, host string) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout/time.Duration(len(s.to.hosts)))
	defer cancel()
	c, err := s.connectTo(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(s.to.hosts) > 1 && c.server.readOnly {
		c.close()
		return nil, &kafkasync.Fault{
			Class: kafkasync.Wait, What: "no server of the URL accepts writes",
			Fix:         fmt.Sprintf("wait for the failover, or add the primary to source.%s.url; to read from a replica, name it alone", s.cfg.Flavour),
			Unreachable: true, // the primary, among those that answer
		}
	}
	return c, nil
}

// connectTo connects to one server, and finds out who it is.
func (s *Source) connectTo(ctx context.Context, host string) (*session, error) {
	conn, secure, err := s.login(ctx, host)
	if err != nil {
		return nil, err
	}
	c := &session{conn: conn}
	if c.server, err = s.identify(ctx, conn, host); err != nil {
		c.close()
		return nil, err
	}
	c.server.secure = secure
	return c, nil
}

// login connects to one server, as securely as the URL says; secure is what it came to.
func (s *Source) login(ctx context.Context, host string) (conn *client.Conn, secure *tls.Config, err error) {
	secure = s.to.tls.config(host)
	conn, err = s.dial(ctx, host, secure, plain)
	if err != nil && s.to.tls.mode == tlsPreferred && takesNoTLS(err) {
		secure = nil
		conn, err = s.dial(ctx, host, secure, plain)
	}
	if err != nil {
		return nil, nil, s.connectFault(err, host)
	}
	return conn, secure, nil
}

// takesNoTLS knows the library's word for a server without TLS.
func takesNoTLS(err error) bool { return strings.Contains(err.Error(), "does not support TLS") }

// plain is what dial wraps an ordinary connection in.
func plain(c net.Conn) (net.Conn, error) { return c, nil }

// dial logs in. The library looks at ctx while it dials, not while it waits for an answer; so
// the end of ctx closes the connection until then.
func (s *Source) dial(ctx context.Context, host string, secure *tls.Config, wrap func(net.Conn) (net.Conn, error)) (*client.Conn, error) {
	stop := func() bool { return true }
	dial := func(ctx context.Context, network, to string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, to)
		if err != nil {
			return nil, err
		}
		stop = context.AfterFunc(ctx, func() { _ = c.Close() })
		return wrap(c)
	}
	conn, err := client.ConnectWithDialer(ctx, "tcp", host, s.to.user, s.to.password, "", dial, func(c *client.Conn) error {
		c.SetTLSConfig(secure)
		c.SetAttributes(map[string]string{"program_name": s.application})
		return nil
	})
	if !stop() {
		return nil, context.Cause(ctx)
	}
	return conn, err
}

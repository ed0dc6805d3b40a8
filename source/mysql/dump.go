package mysql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/kafkasync/kafkasync"
)

// queueBytes is how much of the log is read ahead.
const queueBytes = 8 << 20

// netWriteTimeout is for how many seconds the server waits for us to take what it sends, while Kafka is
// away. Its own minute would end the stream again and again.
const netWriteTimeout = 3600

// dump is a server's log on its way to us. The library asks for it and receives it; the
// queue between it and us is ours, bounded in bytes.
type dump struct {
	line   *line
	syncer *replication.BinlogSyncer
	queue  *queue
	ended  chan struct{} // closed once the library has let go
}

// HandleEvent queues what has arrived. It waits while the queue is full, and the server for us.
func (d *dump) HandleEvent(e *replication.BinlogEvent) error {
	d.line.limit.Store(int64(silenceLimit))
	return d.queue.push(received(e))
}

// startDump asks the server for its log from a place on.
func (s *Source) startDump(ctx context.Context, from server, at place) (*dump, error) {
	d := &dump{line: new(line), queue: newQueue(queueBytes), ended: make(chan struct{})}
	d.line.limit.Store(int64(connectTimeout))
	host, port, err := net.SplitHostPort(from.host)
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	d.syncer = replication.NewBinlogSyncer(replication.BinlogSyncerConfig{
		ServerID: s.cfg.ServerID, Flavor: s.cfg.Flavour, Host: host, Port: uint16(number),
		User: s.to.user, Password: s.to.password, TLSConfig: from.secure, Localhost: s.application,
		RawModeEnabled:          true, // the rows are read by us, and what is compressed as a stream
		SynchronousEventHandler: d,
		EventCacheCount:         1,
		DisableRetrySync:        true, // it would go on in the middle of a transaction
		DiscardGTIDSet:          true,
		VerifyChecksum:          true, // servers send what is in their files
		HeartbeatPeriod:         heartbeatEvery,
		Logger:                  slog.New(slog.DiscardHandler),
		Dialer:                  d.dial,
		Option:                  func(conn *client.Conn) error { return s.prepareDump(ctx, d, from, conn) },
	})
	stop := context.AfterFunc(ctx, d.line.close)
	streamer, err := d.begin(s.cfg.Flavour, at)
	if !stop() {
		err = errors.Join(context.Cause(ctx), err)
	}
	if err != nil {
		d.line.close()
		d.syncer.Close()
		return nil, s.dumpFault(d, from, err)
	}
	go d.wait(context.WithoutCancel(ctx), streamer)
	return d, nil
}

func (d *dump) dial(ctx context.Context, network, to string) (net.Conn, error) {
	if d.line.isClosed() {
		return nil, errClosed
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, to)
	if err != nil {
		return nil, err
	}
	return d.line.wrap(c)
}

// prepareDump makes sure that it is the server that was looked at: a name may lead to another one than a moment ago.
func (s *Source) prepareDump(ctx context.Context, d *dump, from server, conn *client.Conn) error {
	is, err := s.identify(ctx, conn, from.host)
	if err != nil {
		return err
	}
	if is.identity != from.identity {
		return &kafkasync.Fault{What: fmt.Sprintf("the address %s has led to two servers within a moment", from.host)}
	}
	if _, err := ask(ctx, conn, "preparing to read the log", fmt.Sprintf("SET SESSION net_write_timeout = %d", netWriteTimeout)); err != nil {
		return err
	}
	d.line.limit.Store(int64(seekLimit))
	return nil
}

func (d *dump) begin(flavour string, at place) (*replication.BinlogStreamer, error) {
	if at.kind == kindFile {
		return d.syncer.StartSync(mysql.Position{Name: at.file.file, Pos: at.file.at})
	}
	text := at.set.String()
	if at.kind == kindMariaDB {
		text = at.maria.String()
	}
	set, err := mysql.ParseGTIDSet(flavour, text)
	if err != nil {
		return nil, err
	}
	return d.syncer.StartSyncGTID(set)
}

// wait hands on why the library has stopped. ctx never ends.
func (d *dump) wait(ctx context.Context, streamer *replication.BinlogStreamer) {
	defer close(d.ended)
	_, err := streamer.GetEvent(ctx)
	d.queue.end(err)
}

func (d *dump) close() {
	d.queue.close()
	d.line.close() // before the library takes leave: it does so over a new connection
	d.syncer.Close()
	<-d.ended
}

// dumpFault says why the log has ended.
func (s *Source) dumpFault(d *dump, from server, err error) error {
	if silence := d.line.fault(); silence != nil {
		return silence
	}
	var answer *mysql.MyError
	if errors.As(err, &answer) && slices.Contains([]uint16{mysql.ER_ACCESS_DENIED_ERROR, mysql.ER_SPECIFIC_ACCESS_DENIED_ERROR}, answer.Code) {
		return &kafkasync.Fault{
			Class: kafkasync.Wait, What: fmt.Sprintf("user %s may not read the log of %s", s.to.user, from.host), Err: answer,
			Fix: fmt.Sprintf("GRANT REPLICATION SLAVE, %s ON *.* TO '%s';", s.clientPrivilege(), s.to.user),
		}
	}
	return classify(err, "reading the log of "+from.host)
}

// clientPrivilege is the one that shows where the log ends.
func (s *Source) clientPrivilege() string {
	if s.mariaDB() {
		return "BINLOG MONITOR"
	}
	return "REPLICATION CLIENT"
}

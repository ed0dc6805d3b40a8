package mysql

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/kafkasync/kafkasync"
)

// queueBytes is how much of the log is read ahead.
const queueBytes = 2 << 20

// netWriteTimeout is for how long the server waits for us to take what it sends, while Kafka is
// away. Its own minute would end the stream again and again.
const netWriteTimeout = time.Hour

// dump is a server's log on its way to us, through a queue that is bounded in bytes. The library's BinlogSyncer would
// need several times the memory of a large compressed transaction, since its buffer doubles as it grows.
type dump struct {
	line   *line
	conn   *client.Conn
	queue  *queue
	folder string        // for compressed transactions
	ended  chan struct{} // closed once nobody reads the connection
}

// startDump asks the server for its log from a place on. The end of ctx does not end it once it has begun.
func (s *Source) startDump(ctx context.Context, from server, at place) (*dump, error) {
	d := &dump{line: new(line), queue: newQueue(queueBytes), folder: s.folder, ended: make(chan struct{})}
	d.line.limit.Store(int64(connectTimeout))
	stop := context.AfterFunc(ctx, d.line.close)
	err := s.begin(ctx, d, from, at)
	if !stop() {
		err = errors.Join(context.Cause(ctx), err)
	}
	if err != nil {
		d.line.close()
		return nil, s.dumpFault(d, from, err)
	}
	go d.run()
	return d, nil
}

// begin does what a replica does. It makes sure that it is the server that was looked at: a name may lead to
// another one than a moment ago.
func (s *Source) begin(ctx context.Context, d *dump, from server, at place) (err error) {
	if d.conn, err = s.dial(ctx, from.host, from.secure, d.line.wrap); err != nil {
		return s.connectFault(err, from.host)
	}
	is, err := s.identify(ctx, d.conn, from.host)
	if err != nil {
		return err
	}
	if is.identity != from.identity {
		return &kafkasync.Fault{What: fmt.Sprintf("the address %s has led to two servers within a moment", from.host)}
	}
	const doing = "preparing to read the log"
	for _, setting := range s.dumpSettings(at) {
		if _, err := ask(ctx, d.conn, doing, "SET "+setting); err != nil {
			return err
		}
	}
	if err := d.command(registration(s.cfg.ServerID, s.application)); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if _, err := d.conn.ReadOKPacket(); err != nil {
		return err
	}
	// Before the command: what it is answered with may take that long.
	d.line.limit.Store(int64(seekLimit))
	command, err := request(s.cfg.ServerID, at)
	if err == nil {
		err = d.command(command)
	}
	if err != nil {
		return fmt.Errorf("asking for the log: %w", err)
	}
	return nil
}

// dumpSettings are what a replica sets before it asks for the log.
func (s *Source) dumpSettings(at place) []string {
	settings := []string{
		fmt.Sprintf("SESSION net_write_timeout = %d", int(s.takes.Seconds())),
		"@master_binlog_checksum = 'NONE', @source_binlog_checksum = 'NONE'", // says that we know of them
		fmt.Sprintf("@master_heartbeat_period = %d, @source_heartbeat_period = %[1]d", heartbeatEvery.Nanoseconds()),
	}
	if at.kind == kindMariaDB {
		// Able to read GTIDs, and not what is older; and not what a server has of its own in place of a transaction of ours.
		settings = append(settings, "@mariadb_slave_capability = 4", "@slave_gtid_strict_mode = 1", "@slave_connect_state = "+quoteText(at.maria.String()))
	}
	return settings
}

// command sends what the library has no method for: the packet begins behind its own header.
func (d *dump) command(body []byte) error {
	const header = 4
	d.conn.ResetSequence()
	return d.conn.WritePacket(append(make([]byte, header, header+len(body)), body...))
}

// registration makes the server list us among its replicas.
func registration(serverID uint32, application string) []byte {
	const most = 60 // what a host's name may have
	name := application[:min(len(application), most)]
	b := append([]byte{mysql.COM_REGISTER_SLAVE}, binary.LittleEndian.AppendUint32(nil, serverID)...)
	b = append(append(b, byte(len(name))), name...)
	// No user, no password, no port, and what is of no use any more.
	return append(b, make([]byte, 1+1+2+4+4)...)
}

// request asks for the log behind a place. A MariaDB was told of its place before.
func request(serverID uint32, at place) ([]byte, error) {
	le := binary.LittleEndian
	if at.kind == kindMySQL {
		set, err := mysql.ParseMysqlGTIDSet(at.set.String())
		if err != nil {
			return nil, err
		}
		gtids := set.Encode()
		b := le.AppendUint32([]byte{mysql.COM_BINLOG_DUMP_GTID, 0, 0}, serverID)
		b = le.AppendUint64(le.AppendUint32(b, 0), firstOffset) // no file
		return append(le.AppendUint32(b, uint32(len(gtids))), gtids...), nil
	}
	offset, file := uint32(firstOffset), ""
	if at.kind == kindFile {
		offset, file = at.file.at, at.file.file
	}
	b := le.AppendUint32([]byte{mysql.COM_BINLOG_DUMP}, offset)
	return append(le.AppendUint32(append(b, 0, 0), serverID), file...), nil
}

// run reads the connection until it ends.
func (d *dump) run() {
	defer close(d.ended)
	d.queue.end(d.receive())
}

func (d *dump) receive() error {
	p := packet{room: d.queue.reserve, memory: d.queue.memory, aside: func(size int) (*spool, error) { return newSpool(d.folder, size) }}
	defer p.drop()
	checksums := false
	for {
		if err := d.conn.ReadPacketTo(&p); err != nil {
			if p.err != nil {
				return p.err
			}
			return err
		}
		switch {
		case len(p.status) == 0:
			return errors.New("the server sends an empty packet")
		case p.status[0] == mysql.ERR_HEADER:
			return d.conn.HandleErrorPacket(p.status)
		case p.status[0] != mysql.OK_HEADER:
			return errors.New("the server has ended its log")
		}
		e, err := p.take(checksums)
		if err != nil {
			return err
		}
		if e.header.EventType == replication.FORMAT_DESCRIPTION_EVENT {
			if checksums, err = hasChecksums(e.raw); err != nil {
				return err
			}
		}
		if !introduces(e.header.EventType) {
			d.line.limit.Store(int64(silenceLimit))
		}
		d.queue.push(e)
	}
}

// introduces knows what comes at once, before the server has looked for the place to begin at.
func introduces(kind replication.EventType) bool {
	switch kind {
	case replication.ROTATE_EVENT, replication.FORMAT_DESCRIPTION_EVENT, replication.PREVIOUS_GTIDS_EVENT, replication.MARIADB_GTID_LIST_EVENT,
		replication.MARIADB_BINLOG_CHECKPOINT_EVENT, replication.MARIADB_START_ENCRYPTION_EVENT:
		return true
	default:
		return false
	}
}

// hasChecksums reads it from a file's format.
func hasChecksums(format []byte) (bool, error) {
	if len(format) < replication.EventHeaderSize+algorithmOffset {
		return false, errors.New("the log's format is cut short")
	}
	return format[len(format)-algorithmOffset] == byte(replication.BINLOG_CHECKSUM_ALG_CRC32), nil
}

// close ends the connection, waiting for nobody but ourselves.
func (d *dump) close() {
	d.queue.close()
	d.line.close()
	<-d.ended
	d.queue.free()
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

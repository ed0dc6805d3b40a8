package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/kafkasync/kafkasync/source"
)

// withSlot makes what the program makes at its first start.
func (p *patient) withSlot(t *testing.T) {
	t.Helper()
	p.do(t, fmt.Sprintf(`CREATE PUBLICATION shop FOR TABLE products WITH (publish_via_partition_root = true);
		SELECT pg_create_logical_replication_slot('%s', 'pgoutput');`, p.cfg.Slot))
}

// walsenderShows is a setting as the process has it that sends us the log.
func walsenderShows(t *testing.T, url, setting string) string {
	t.Helper()
	cfg, err := pgconn.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.RuntimeParams["replication"] = "database"
	conn, err := pgconn.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	result, err := conn.Exec(t.Context(), "SHOW "+setting).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return string(result[0].Rows[0][0])
}

func TestDecodingOverTheDiskIsCuredByMoreMemory(t *testing.T) {
	p := admit(t, sharedDatabase(t))
	p.withSlot(t)
	p.healthy(t)
	p.do(t, fmt.Sprintf(`INSERT INTO products SELECT i, repeat('x', 100) FROM generate_series(1, 5000) i;
		SET logical_decoding_work_mem = '64kB';
		SELECT count(*) FROM pg_logical_slot_get_binary_changes('%s', NULL, NULL, 'proto_version', '1', 'publication_names', 'shop');`, p.cfg.Slot))
	fix := p.diagnosed(t, warns, "P25", "(1 transaction) went over the server's disk").Fix
	p.do(t, fix)
	p.healthy(t)
	const setting, want = "logical_decoding_work_mem", "256MB"
	if got := walsenderShows(t, p.cfg.URL, setting); got != want {
		t.Errorf("by the role: got %s, want %s", got, want)
	}
	p.do(t, fmt.Sprintf("ALTER ROLE %s IN DATABASE %s RESET logical_decoding_work_mem;", p.role, p.database))
	_, option, _ := strings.Cut(fix, "source.postgres.url: ")
	p.cfg.URL += "?" + option
	if got := walsenderShows(t, p.cfg.URL, setting); got != want {
		t.Errorf("by %s in the URL: got %s, want %s", option, got, want)
	}
	p.healthy(t)
}

func TestAPublicationMadeAnewIsFoundByTheHeartbeat(t *testing.T) {
	p := admit(t, sharedDatabase(t))
	p.withSlot(t)
	p.do(t, `DROP PUBLICATION shop; INSERT INTO products VALUES (1, 'a');
		CREATE PUBLICATION shop FOR TABLE products WITH (publish_via_partition_root = true);`)
	before := p.at(t, 0)
	p.options.Pipeline = "shop"
	fix := p.diagnosed(t, fails, "P26", "the publication did not exist when a change was written").Fix
	if !strings.HasPrefix(fix, "kafkasync recover shop --new-slot") {
		t.Errorf("got the fix %q, want the command", fix)
	}
	if after := p.at(t, 0); after != before {
		t.Errorf("the check moved the slot from %s to %s", before, after)
	}
}

func TestTheHeartbeatIsLeftToTheNodeThatRuns(t *testing.T) {
	p := admit(t, sharedDatabase(t))
	p.withSlot(t)
	p.options.Checkpoint = func(context.Context) (source.Position, error) {
		system, _, _ := strings.Cut(p.at(t, 0), ":")
		return source.Position(system + ":1:" + query(t, p.adminURL, "SELECT pg_current_wal_flush_lsn()")), nil
	}
	stop := p.follow(t, true)
	if got := p.said(t, "P26"); !strings.Contains(got, "the running node confirmed a heartbeat") {
		t.Errorf("got %q, want that the node confirmed it", got)
	}
	stop()
	stop = p.follow(t, false)
	defer stop()
	p.diagnosed(t, warns, "P26", "has not confirmed a heartbeat")
}

// follow reads the slot as a node does, and confirms all of it or nothing.
func (p *patient) follow(t *testing.T, confirms bool) (stop func()) {
	t.Helper()
	cfg, err := pgconn.ParseConfig(p.cfg.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg.RuntimeParams["replication"], cfg.RuntimeParams["application_name"] = "database", "kafkasync shop"
	conn, err := pgconn.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = pglogrepl.StartReplication(t.Context(), conn, p.cfg.Slot, 0, pglogrepl.StartReplicationOptions{
		PluginArgs: []string{"proto_version '1'", "publication_names 'shop'", "messages 'true'"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- confirm(ctx, conn, confirms) }()
	return func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("reading the slot: %v", err)
		}
		_ = conn.Close(context.WithoutCancel(t.Context()))
		eventually(t, func() bool {
			return query(t, p.adminURL, "SELECT count(*) FROM pg_replication_slots WHERE active AND slot_name = '"+p.cfg.Slot+"'") == "0"
		})
	}
}

func confirm(ctx context.Context, conn *pgconn.PgConn, all bool) error {
	for {
		m, err := conn.ReceiveMessage(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		data, ok := m.(*pgproto3.CopyData)
		if !ok || !all {
			continue
		}
		var end pglogrepl.LSN
		if data.Data[0] == pglogrepl.PrimaryKeepaliveMessageByteID {
			alive, err := pglogrepl.ParsePrimaryKeepaliveMessage(data.Data[1:])
			if err != nil {
				return err
			}
			end = alive.ServerWALEnd
		} else {
			log, err := pglogrepl.ParseXLogData(data.Data[1:])
			if err != nil {
				return err
			}
			end = log.ServerWALEnd
		}
		status := pglogrepl.StandbyStatusUpdate{WALWritePosition: end, ReplyRequested: true, ClientTime: time.Now()}
		if err := pglogrepl.SendStandbyStatusUpdate(ctx, conn, status); err != nil {
			return err
		}
	}
}

package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Standby starts a streaming standby of the running server p, on a port of its
// own, and returns once it answers queries. It has a physical slot on p
// (StandbySlot), sends p its feedback and, from version 17 on, keeps the logical
// slots with the option failover in sync. cfg.Settings come over those of p;
// version, password and certificates are those of p.
//
// For failover under load, p must hold back its logical walsenders until the
// standby has what they send: synchronized_standby_slots, which is left to the caller.
func (p *Postgres) Standby(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	if len(cfg.HBA) > 0 || cfg.Version != "" || cfg.Password != "" || cfg.TLS != nil {
		return nil, errors.New("starting a standby: access rules, version, password and certificates are those of its primary")
	}
	inst, err := newInstance("Standby", cfg.Dir, "QUIT")
	if err != nil {
		return nil, err
	}
	s := &Postgres{
		instance: inst, cfg: p.cfg, bin: p.bin, clients: p.clients, user: p.user,
		slot: fmt.Sprintf("standby_%08x", rand.Uint32()),
	}
	if err := s.follow(ctx, p, cfg.Settings); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// follow makes p, whose folder is empty, a copy of primary and starts it.
func (p *Postgres) follow(ctx context.Context, primary *Postgres, settings map[string]string) error {
	if err := p.give(p.dir); err != nil {
		return err
	}
	// First the slot: from now on the primary keeps what the copy will ask for.
	version, err := primary.queryInt(ctx, "SELECT current_setting('server_version_num')::int FROM pg_create_physical_replication_slot($1, true)", p.slot)
	if err != nil {
		return fmt.Errorf("creating the slot of a standby: %w", err)
	}
	if err := p.copyFrom(ctx, primary, version); err != nil {
		return fmt.Errorf("copying the primary: %w", err)
	}
	all := map[string]string{}
	maps.Copy(all, primary.cfg.Settings)
	all["primary_conninfo"], all["primary_slot_name"] = primary.conninfo(p.slot), p.slot
	all["hot_standby_feedback"] = "on"
	if version >= 170000 {
		all["sync_replication_slots"] = "on"
	}
	maps.Copy(all, settings)
	p.cfg.Settings = all
	p.cfg.HBA = nil // copied
	if err := errors.Join(p.configure(), p.write(p.dataFile("standby.signal"), "")); err != nil {
		return err
	}
	return p.startOnFreePort(ctx)
}

// conninfo is how a standby reaches p. It names a database, which only the
// synchronisation of slots needs.
func (p *Postgres) conninfo(name string) string {
	quote := func(v string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
	}
	info := fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres application_name=%s", p.port, name)
	if p.cfg.Password != "" {
		info += " password=" + quote(p.cfg.Password)
	}
	return info
}

// StandbySlot returns the name of the physical slot that a standby has on its primary.
func (p *Postgres) StandbySlot() string { return p.slot }

// Promote makes a standby a primary, on a new timeline, and returns once it
// accepts writes. Its port stays: clients list both servers.
func (p *Postgres) Promote(ctx context.Context) error {
	// It waits by itself, for up to a minute.
	if err := p.ask(ctx, "SELECT pg_promote()"); err != nil {
		return fmt.Errorf("promoting the standby: %w", err)
	}
	return nil
}

// WaitReplayed waits until a standby has replayed the log up to lsn.
func (p *Postgres) WaitReplayed(ctx context.Context, lsn string) error {
	if err := p.ask(ctx, "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", lsn); err != nil {
		return fmt.Errorf("waiting for the standby to replay %s: %w", lsn, err)
	}
	return nil
}

// WaitSlot waits until a standby of version 17 or later has a copy of a failover
// slot that would survive its promotion, and whose confirmed position is at
// least lsn. The server's own worker makes it, which looks every 200 ms while the slot
// moves and ever more rarely, down to every 30 s, while it does not.
func (p *Postgres) WaitSlot(ctx context.Context, slot, lsn string) error {
	err := p.ask(ctx, `SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1 AND synced
		AND NOT temporary AND invalidation_reason IS NULL AND confirmed_flush_lsn >= $2::text::pg_lsn)`, slot, lsn)
	if err != nil {
		return fmt.Errorf("waiting for the standby's copy of slot %s at %s: %w", slot, lsn, err)
	}
	return nil
}

// ask asks the server again and again until it says yes.
func (p *Postgres) ask(ctx context.Context, sql string, args ...any) error {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // only read from
	for {
		var yes bool
		if err := conn.QueryRow(ctx, sql, args...).Scan(&yes); err != nil {
			return fmt.Errorf("asking the server: %w", err)
		}
		if yes {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func (p *Postgres) queryInt(ctx context.Context, sql string, args ...any) (n int, err error) {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return 0, fmt.Errorf("connecting: %w", err)
	}
	err = conn.QueryRow(ctx, sql, args...).Scan(&n)
	return n, errors.Join(err, conn.Close(ctx))
}

package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Command returns one of Postgres' own programs, to be run as the server's user.
func (p *Postgres) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	path := filepath.Join(p.bin, program)
	if _, err := os.Stat(path); err != nil {
		path = filepath.Join(p.clients, program)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = p.dir
	cmd.Env = serverEnv()
	if p.user != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.user}
	}
	return cmd
}

// CreateDatabase creates an empty database.
func (p *Postgres) CreateDatabase(ctx context.Context, name string) error {
	if err := p.Exec(ctx, "postgres", "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("creating database %s: %w", name, err)
	}
	return nil
}

// DropDatabase drops a database, the replication slots in it, and whoever is
// connected to it.
func (p *Postgres) DropDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return fmt.Errorf("dropping database %s: %w", name, err)
	}
	err = dropSlots(ctx, conn, name)
	if err == nil {
		_, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
	}
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		return fmt.Errorf("dropping database %s: %w", name, err)
	}
	return nil
}

// dropSlots drops the slots of a database. A walsender ends a moment after it
// was told to, and its client may come back meanwhile: so again until none is left.
func dropSlots(ctx context.Context, conn *pgx.Conn, database string) error {
	for {
		_, err := conn.Exec(ctx, `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
			WHERE database = $1 AND active_pid IS NOT NULL`, database)
		if err != nil {
			return fmt.Errorf("ending the readers of its slots: %w", err)
		}
		_, err = conn.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
			WHERE database = $1 AND NOT active`, database)
		if err == nil {
			var left int
			err = conn.QueryRow(ctx, "SELECT count(*) FROM pg_replication_slots WHERE database = $1", database).Scan(&left)
			if err == nil && left == 0 {
				return nil
			}
		}
		if ctx.Err() != nil || conn.IsClosed() {
			return fmt.Errorf("dropping its slots: %w", err)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("dropping its slots: %w", err)
		}
	}
}

// Exec runs SQL, one statement or several, in a database as the superuser.
func (p *Postgres) Exec(ctx context.Context, database, sql string) error {
	conn, err := pgx.Connect(ctx, p.URL(database))
	if err != nil {
		return fmt.Errorf("connecting to database %s: %w", database, err)
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

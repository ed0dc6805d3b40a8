package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// PgBouncerConfig says what a PgBouncer is to be like.
type PgBouncerConfig struct {
	Mode     string            // session, transaction or statement; "": session
	Settings map[string]string // written to pgbouncer.ini, over ours
}

// PgBouncer is a connection pooler before a Postgres whose roles need no
// password. It lets everybody in whom that server knows.
type PgBouncer struct {
	*instance
	cfg      PgBouncerConfig
	upstream *Postgres
	program  string
	port     int
}

// StartPgBouncer starts a pooler before a running server and returns once it
// listens. ctx bounds the start; the pooler then runs until Close.
func StartPgBouncer(ctx context.Context, upstream *Postgres, cfg PgBouncerConfig) (*PgBouncer, error) {
	program, err := pgBouncerProgram()
	if err != nil {
		return nil, err
	}
	inst, err := newInstance("PgBouncer", "", "KILL") // it holds nothing that could be lost
	if err != nil {
		return nil, err
	}
	b := &PgBouncer{instance: inst, cfg: cfg, upstream: upstream, program: program}
	err = give(b.dir, upstream.user) // it refuses to run as root, too
	if err == nil {
		err = onFreePort(ctx, func(port int) error {
			b.port = port
			if err := b.configure(); err != nil {
				return err
			}
			return b.start(ctx)
		})
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *PgBouncer) configure() error {
	settings := map[string]string{
		"listen_addr":     "127.0.0.1",
		"listen_port":     fmt.Sprint(b.port),
		"unix_socket_dir": "",
		"auth_type":       "trust",
		"auth_user":       "postgres",
		"auth_query":      "SELECT rolname, '' FROM pg_roles WHERE rolname = $1",
		"auth_file":       b.file("users.txt"),
		"pool_mode":       "session",
	}
	if b.cfg.Mode != "" {
		settings["pool_mode"] = b.cfg.Mode
	}
	maps.Copy(settings, b.cfg.Settings)
	var ini strings.Builder
	fmt.Fprintf(&ini, "[databases]\n* = host=127.0.0.1 port=%d\n\n[pgbouncer]\n", b.upstream.port)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&ini, "%s = %s\n", name, settings[name])
	}
	return errors.Join(
		b.upstream.write(b.file("users.txt"), "\"postgres\" \"\"\n"),
		b.upstream.write(b.file("pgbouncer.ini"), ini.String()),
	)
}

func (b *PgBouncer) file(name string) string { return filepath.Join(b.dir, name) }

func (b *PgBouncer) start(ctx context.Context) error {
	proc, err := b.begin(command{line: []string{b.program, b.file("pgbouncer.ini")}, user: b.upstream.user})
	if err != nil {
		return err
	}
	return proc.ready(ctx, func(context.Context) bool { return strings.Contains(b.Log(), "process up") })
}

// Addr returns the pooler's address, 127.0.0.1:port.
func (b *PgBouncer) Addr() string { return loopback(b.port) }

// URL returns the connection string of a database of the server, through the
// pooler, for the superuser.
func (b *PgBouncer) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Host: b.Addr(), Path: "/" + database}
	return u.String()
}

// Close ends the pooler and removes its folder.
func (b *PgBouncer) Close() error { return b.close(syscall.SIGKILL) }

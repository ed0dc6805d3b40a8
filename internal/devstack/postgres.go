package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// PostgresConfig says what a Postgres is to be like.
type PostgresConfig struct {
	Dir      string            // "": a temporary folder, removed at Close; else it stays, and a server found in it is started again
	Settings map[string]string // written to postgresql.conf, over ours: logical WAL, 20 slots and walsenders, UTC
	HBA      []string          // lines that pg_hba.conf begins with
	Password string            // of the superuser postgres; "": everyone on this machine is trusted
	Version  string            // "14" to "18", once PostgresVersion is installed; "": Debian's
	TLS      []string          // the names in the server's certificate; nil: it takes no TLS
}

// Postgres is a PostgreSQL server. Its methods may be called at the same time,
// as a test does that kills the server its code is using.
type Postgres struct {
	*instance
	cfg     PostgresConfig
	bin     string // of the server
	clients string
	user    *syscall.Credential
	port    int
	slot    string // of a standby, on its primary
}

// StartPostgres starts a server and returns once it accepts connections. ctx
// bounds the start; the server then runs until Close.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	bin, clients, err := binDirs(cfg.Version)
	if err != nil {
		return nil, err
	}
	user, err := postgresUser()
	if err != nil {
		return nil, err
	}
	inst, err := newInstance("Postgres", cfg.Dir, "QUIT") // on SIGQUIT it stops at once, its children first
	if err != nil {
		return nil, err
	}
	p := &Postgres{instance: inst, cfg: cfg, bin: bin, clients: clients, user: user}
	if err := p.first(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// first creates what is missing and starts the server on a free port; another
// port if a stranger was faster.
func (p *Postgres) first(ctx context.Context) error {
	if err := p.initialize(ctx); err != nil {
		return err
	}
	return p.startOnFreePort(ctx)
}

func (p *Postgres) startOnFreePort(ctx context.Context) error {
	return onFreePort(ctx, func(port int) error {
		p.port = port
		return p.Start(ctx)
	})
}

func (p *Postgres) initialize(ctx context.Context) error {
	if _, err := os.Stat(p.dataFile("PG_VERSION")); err == nil {
		return nil
	}
	if err := p.give(p.dir); err != nil {
		return err
	}
	line := []string{"-D", p.data(), "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", "--auth=trust"}
	if p.cfg.Password != "" {
		pwfile := filepath.Join(p.dir, "password")
		if err := p.write(pwfile, p.cfg.Password+"\n"); err != nil {
			return err
		}
		line = append(line[:len(line)-1], "--auth=scram-sha-256", "--pwfile="+pwfile)
	}
	cmd := p.Command(ctx, "initdb", line...)
	if err := output(cmd); errors.Is(err, os.ErrPermission) && p.user != nil {
		return fmt.Errorf("creating a database cluster as user postgres, who needs access to every folder above %s: %w", p.dir, err)
	} else if err != nil {
		return fmt.Errorf("creating a database cluster: %w", err)
	}
	if p.cfg.TLS != nil {
		if err := p.configureTLS(); err != nil {
			return err
		}
	}
	return p.configure()
}

func (p *Postgres) configure() error {
	settings := map[string]string{
		"wal_level":               "logical",
		"max_replication_slots":   "20",
		"max_wal_senders":         "20",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
	}
	if p.cfg.TLS != nil {
		settings["ssl"], settings["ssl_ca_file"] = "on", caCertFile
	}
	maps.Copy(settings, p.cfg.Settings)
	var conf strings.Builder
	quote := strings.NewReplacer(`'`, `''`, `\`, `\\`)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&conf, "%s = '%s'\n", name, quote.Replace(settings[name]))
	}
	if err := p.write(p.dataFile("postgresql.conf"), conf.String()); err != nil {
		return err
	}
	if len(p.cfg.HBA) == 0 {
		return nil
	}
	path := p.dataFile("pg_hba.conf")
	hba, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading pg_hba.conf: %w", err)
	}
	return p.write(path, strings.Join(p.cfg.HBA, "\n")+"\n"+string(hba))
}

// write writes a file that only the server may read.
func (p *Postgres) write(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("configuring Postgres: %w", err)
	}
	return p.give(path)
}

// give makes the server's user the owner of a file or folder.
func (p *Postgres) give(path string) error { return give(path, p.user) }

func give(path string, user *syscall.Credential) error {
	if user == nil {
		return nil
	}
	if err := os.Chown(path, int(user.Uid), int(user.Gid)); err != nil {
		return fmt.Errorf("giving %s to user postgres: %w", filepath.Base(path), err)
	}
	return nil
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

func (p *Postgres) dataFile(name string) string { return filepath.Join(p.data(), name) }

// Addr returns the server's address, 127.0.0.1:port; it stays over restarts.
func (p *Postgres) Addr() string { return loopback(p.port) }

// BinDir returns the folder of psql, pg_recvlogical and the other clients. They
// are Debian's if the server's build has none, and so may be older than it.
func (p *Postgres) BinDir() string { return p.clients }

// URL returns the connection string of a database for the superuser, with the
// password if there is one.
func (p *Postgres) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Host: p.Addr(), Path: "/" + database}
	if p.cfg.Password != "" {
		u.User = url.UserPassword("postgres", p.cfg.Password)
	}
	return u.String()
}

// Start starts the server again after Stop or Kill, on the same port and folder.
func (p *Postgres) Start(ctx context.Context) error {
	proc, err := p.begin(command{
		line: []string{filepath.Join(p.bin, "postgres"), "-D", p.data(), "-p", strconv.Itoa(p.port)},
		user: p.user,
	})
	if err != nil {
		return err
	}
	return proc.ready(ctx, func(context.Context) bool { return p.accepts(proc.pid()) })
}

// accepts reads postmaster.pid as pg_ctl does: its first line is the process, its
// last one the state. A connection instead could meet a stranger on our port.
func (p *Postgres) accepts(pid int) bool {
	text, err := os.ReadFile(p.dataFile("postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[0] == strconv.Itoa(pid) && strings.TrimSpace(lines[len(lines)-1]) == "ready"
}

// Shutdown is a way for Postgres to stop.
type Shutdown syscall.Signal

// The ways to stop.
const (
	Fast      = Shutdown(syscall.SIGINT)  // disconnects everyone, then writes a checkpoint
	Immediate = Shutdown(syscall.SIGQUIT) // as in a crash: the next start recovers from the WAL
)

// Stop shuts the server down in order and keeps its folder. Walsenders whose
// client does not confirm can hold it up: after a minute it is killed, an error.
func (p *Postgres) Stop() error { return p.end(syscall.Signal(Fast)) }

// Restart stops the server in the given way and starts it on the same port.
func (p *Postgres) Restart(ctx context.Context, how Shutdown) error {
	if err := p.end(syscall.Signal(how)); err != nil {
		return err
	}
	return p.Start(ctx)
}

// Kill ends the server and all its processes with SIGKILL, as a power cut would.
func (p *Postgres) Kill() error {
	p.mu.Lock()
	var children []int
	if p.proc != nil {
		children = childrenOf(p.proc.pid())
	}
	p.mu.Unlock()
	err := p.end(syscall.SIGKILL)
	return errors.Join(err, killAll(children))
}

// Close stops the server at once and removes its folder, if that is temporary.
func (p *Postgres) Close() error { return p.close(syscall.Signal(Immediate)) }

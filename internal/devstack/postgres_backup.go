package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// copyFrom copies the data of a running server, as pg_basebackup would, which
// the builds from Maven do not hold. What is written meanwhile the copy gets from the log.
func (p *Postgres) copyFrom(ctx context.Context, primary *Postgres, version int) error {
	start, stop := "SELECT pg_backup_start('devstack', true)", "SELECT labelfile FROM pg_backup_stop(false)"
	if version < 150000 {
		start, stop = "SELECT pg_start_backup('devstack', true, false)", "SELECT labelfile FROM pg_stop_backup(false, false)"
	}
	// The backup lasts as long as this session.
	conn, err := pgx.Connect(ctx, primary.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the session has done its work, or failed
	if _, err := conn.Exec(ctx, start); err != nil {
		return fmt.Errorf("beginning the backup: %w", err)
	}
	if err := p.copyTree(primary.data()); err != nil {
		return err
	}
	var label string
	if err := conn.QueryRow(ctx, stop).Scan(&label); err != nil {
		return fmt.Errorf("ending the backup: %w", err)
	}
	return p.write(p.dataFile("backup_label"), label)
}

// copyTree copies a data folder into ours. Files that end while it does are
// passed over: the log knows about that.
func (p *Postgres) copyTree(from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the folder: %w", err)
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return fmt.Errorf("reading the folder: %w", err)
		}
		switch {
		case isOfTheServerAlone(name):
			return nil
		case entry.IsDir():
			return p.makeDir(p.dataFile(name))
		case entry.Type().IsRegular():
			return p.copyFile(path, p.dataFile(name))
		}
		return fmt.Errorf("copying %s: it is neither file nor folder, and tablespaces are not copied", name)
	})
}

// isOfTheServerAlone reports what the manual says to leave out of a backup: files
// of the running server, and all that lies in folders which it fills by itself.
func isOfTheServerAlone(name string) bool {
	switch filepath.Base(name) {
	case "postmaster.pid", "postmaster.opts", "pg_internal.init", "backup_label", "standby.signal":
		return true
	}
	top, below, _ := strings.Cut(name, string(filepath.Separator))
	switch top {
	case "pg_wal": // it wants its folders
		return below != "" && below != "archive_status" && below != "summaries"
	case "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans":
		return below != ""
	}
	return strings.HasPrefix(filepath.Base(name), "pgsql_tmp")
}

func (p *Postgres) makeDir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return fmt.Errorf("creating a folder: %w", err)
	}
	return p.give(path)
}

func (p *Postgres) copyFile(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("copying a file: %w", err)
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return errors.Join(fmt.Errorf("copying a file: %w", err), in.Close())
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close(), in.Close()); err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
	}
	return p.give(to)
}

package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// postgresBinDir finds the server's programs: the newest of Debian's versions,
// else what is on the PATH.
func postgresBinDir() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", fmt.Errorf("looking for PostgreSQL: %w", err)
	}
	newest, version := "", 0
	for _, path := range found {
		dir := filepath.Dir(path)
		if v, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && v > version {
			newest, version = dir, v
		}
	}
	if newest != "" {
		return newest, nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("this machine has no PostgreSQL server: install Debian's package postgresql, or put its programs on the PATH")
	}
	return filepath.Dir(path), nil
}

// binDirs finds the programs of a server, and its clients, which not every build has.
func binDirs(version string) (server, clients string, err error) {
	debian, err := postgresBinDir()
	if version == "" {
		return debian, debian, err
	}
	hasClients := err == nil
	if server, err = versionBinDir(version); hasClients {
		return server, debian, err
	}
	return server, server, err
}

// installPostgres installs Debian's newest version. Its package creates and
// starts a server of its own on port 5432 unless told not to, and nobody asked
// for that one.
func installPostgres(ctx context.Context, log io.Writer) error {
	const dir, file = "/etc/postgresql-common/createcluster.d", "/etc/postgresql-common/createcluster.d/kafkasync.conf"
	if err := aptInstall(ctx, log, "postgresql-common"); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return aptInstall(ctx, log, "postgresql")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("asking for no server of its own: %w", err)
	}
	if err := os.WriteFile(file, []byte("create_main_cluster = false\n"), 0o644); err != nil {
		return fmt.Errorf("asking for no server of its own: %w", err)
	}
	err := aptInstall(ctx, log, "postgresql")
	return errors.Join(err, os.Remove(file)) // what a person installs later is theirs to decide
}

// postgresUser returns whom the server runs as: Postgres refuses to run as root.
func postgresUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // no credential means: as we are
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("Postgres refuses to run as root: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading the id of user postgres: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading the group of user postgres: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

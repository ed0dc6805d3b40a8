package devstack

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
)

// pgBouncerProgram finds the program; Debian puts it where only root looks for programs.
func pgBouncerProgram() (string, error) {
	const debian = "/usr/sbin/pgbouncer"
	if _, err := os.Stat(debian); err == nil {
		return debian, nil
	}
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		return "", errors.New("this machine has no PgBouncer: devstack.Install was not called")
	}
	return path, nil
}

// installPgBouncer installs Debian's package. Where systemd runs, that starts a
// pooler of its own on port 6432, and nobody asked for that one.
func installPgBouncer(ctx context.Context, log io.Writer) error {
	if err := aptInstall(ctx, log, "pgbouncer"); err != nil {
		return err
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil //nolint:nilerr // no systemd, no service
	}
	return asRoot(ctx, "systemctl", "disable", "--now", "pgbouncer")
}

package devstack

import (
	"errors"
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

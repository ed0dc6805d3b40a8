package devstack

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// aptInstall installs Debian packages, as root or through sudo where that asks
// for no password.
func aptInstall(ctx context.Context, log io.Writer, packages ...string) error {
	if !onPath("apt-get") {
		return fmt.Errorf("this machine has no apt-get: install %s yourself", strings.Join(packages, ", "))
	}
	if _, err := fmt.Fprintf(log, "installing %s (apt-get)\n", strings.Join(packages, ", ")); err != nil {
		return fmt.Errorf("saying what is installed: %w", err)
	}
	install := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	if err := aptGet(ctx, install...); err == nil {
		return nil
	}
	// No list yet, or one so old that its packages are gone.
	if err := aptGet(ctx, "update"); err != nil {
		return err
	}
	return aptGet(ctx, install...)
}

// aptInstallServer installs the package of a server. Where systemd runs, that starts one on the port
// that everybody knows, and nobody asked for that one.
func aptInstallServer(ctx context.Context, log io.Writer, name string) error {
	if err := aptInstall(ctx, log, name); err != nil {
		return err
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil //nolint:nilerr // no systemd, no service
	}
	return asRoot(ctx, "systemctl", "disable", "--now", name)
}

func aptGet(ctx context.Context, args ...string) error {
	return asRoot(ctx, append([]string{
		"env", "DEBIAN_FRONTEND=noninteractive",
		"apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confold",
	}, args...)...)
}

func asRoot(ctx context.Context, line ...string) error {
	if os.Geteuid() != 0 {
		if !onPath("sudo") {
			return fmt.Errorf("not root, and no sudo: run as root: %s", strings.Join(line, " "))
		}
		line = append([]string{"sudo", "-n"}, line...)
	}
	return run(ctx, "", line...)
}

// run runs a program to its end; the error of one that fails shows the end of
// what it printed.
func run(ctx context.Context, dir string, line ...string) error {
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir = dir
	return output(cmd)
}

func output(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("running %s: %w\n%s", strings.Join(cmd.Args, " "), err, lastLines(string(out), 20))
	}
	return nil
}

func onPath(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

package devstack_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// victim is this test binary in another role: it starts a server, says where, and
// waits to be killed.
func victim(what string) int {
	ctx := context.Background()
	var dir, addr string
	switch what {
	case "postgres":
		p, err := devstack.StartPostgres(ctx, devstack.PostgresConfig{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		dir, addr = p.Dir(), p.Addr()
	case "kafka":
		k, err := devstack.StartKafka(ctx, devstack.KafkaConfig{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		dir, addr = k.Dir(), k.Brokers()
	case "programs":
		p, err := writers(ctx)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		dir, addr = p.Dir(), p.All[0].Addr()
	}
	if _, err := fmt.Fprintln(os.Stdout, dir, addr); err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0 // our parent has gone: without Close, as a test binary ends
}

// startVictim returns the running victim, its stdin, and its server's folder and address.
func startVictim(t *testing.T, what string) (cmd *exec.Cmd, stdin io.Closer, dir, addr string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "DEVSTACK_VICTIM="+what)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("waiting for the victim's server: %v", err)
	}
	if _, err := fmt.Sscan(line, &dir, &addr); err != nil {
		t.Fatalf("reading %q: %v", line, err)
	}
	return cmd, in, dir, addr
}

func TestNoServerOutlivesAProcessThatIsKilled(t *testing.T) {
	install(t, devstack.ComponentPostgres, devstack.ComponentKafka)
	for _, what := range []string{"postgres", "kafka", "programs"} {
		t.Run(what, func(t *testing.T) {
			cmd, _, dir, addr := startVictim(t, what)
			if n := len(processesIn(t, dir)); n == 0 {
				t.Fatal("got no process in the server's folder, want the server")
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // "signal: killed"
			expectNothingLeft(t, dir, addr)
		})
	}
}

func TestNoServerOutlivesAProcessThatForgetsToCloseIt(t *testing.T) {
	install(t, devstack.ComponentPostgres)
	cmd, stdin, dir, addr := startVictim(t, "postgres")
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	expectNothingLeft(t, dir, addr)
}

func TestCloseLeavesNothing(t *testing.T) {
	p := startPostgres(t, devstack.PostgresConfig{})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p.Dir()); !os.IsNotExist(err) || len(processesIn(t, p.Dir())) > 0 {
		t.Errorf("got folder %v and processes %v, want none", err, processesIn(t, p.Dir()))
	}
}

func expectNothingLeft(t *testing.T, dir, addr string) {
	t.Helper()
	eventually(t, func() bool {
		if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr); err == nil {
			conn.Close()
			return false
		}
		_, err := os.Stat(dir)
		return os.IsNotExist(err) && len(processesIn(t, dir)) == 0
	})
}

// processesIn lists the processes that work in a folder: the server's whole family
// does, whatever name it gives itself.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir) {
			found = append(found, link)
		}
	}
	return found
}

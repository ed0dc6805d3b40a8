package devstack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// guardScript cleans up after its parent. It reads process ids from a pipe, an
// empty line for none; the last one counts. The pipe ends when the parent has
// gone, however it went: then the server is stopped, and its temporary folder
// removed. SIGCONT is for a server that a test had frozen.
const guardScript = `
signal=$1 folder=$2 pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
	kill -s CONT "$pid"
	kill -s "$signal" "$pid"
	n=0
	while [ $n -lt 100 ] && kill -0 "$pid"; do sleep 0.1; n=$((n + 1)); done
	kill -s KILL "$pid"
fi
[ -z "$folder" ] || rm -rf -- "$folder"
`

// wrapScript tells the guard its own process id and then becomes the server, so
// that there is no instant at which the server runs and the guard does not know it.
const wrapScript = `echo $$ >&3; exec 3>&-; exec "$@"`

// guard is a process that outlives this one by as long as it takes to stop a
// server. A parent death signal would not do: it is Linux's alone, bound to a
// thread, and removes no folder.
type guard struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// newGuard starts a guard that stops its server with the named signal and then
// removes folder, unless that is empty. While it lives it holds the pipes of guards that are to wait for it.
func newGuard(signal, folder string, waiting ...*os.File) (*guard, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("opening the guard's pipe: %w", err)
	}
	cmd := exec.Command("/bin/sh", "-c", guardScript, "devstack-guard", signal, folder) //nolint:noctx // it must outlive every context
	cmd.Stdin, cmd.ExtraFiles = r, waiting
	cmd.Dir = "/"
	// A session of its own: Ctrl-C and a kill of our process group do not reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	if closed := r.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the guard: %w", err), w.Close())
	}
	return &guard{cmd: cmd, pipe: w}, nil
}

// forget tells the guard that its server has ended.
func (g *guard) forget() error {
	if _, err := g.pipe.WriteString("\n"); err != nil {
		return fmt.Errorf("telling the guard that the server ended: %w", err)
	}
	return nil
}

// close lets the guard do its work now, and waits for its end. Closing again does nothing.
func (g *guard) close() error {
	if err := g.pipe.Close(); errors.Is(err, os.ErrClosed) {
		return nil
	} else if err != nil {
		return fmt.Errorf("closing the guard's pipe: %w", err)
	}
	// What the script's last command says is not ours to judge: a folder may be gone already.
	if err := g.cmd.Wait(); err != nil && !isExit(err) {
		return fmt.Errorf("waiting for the guard: %w", err)
	}
	return nil
}

func isExit(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit)
}

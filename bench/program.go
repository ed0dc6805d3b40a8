package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kafkasync/kafkasync/internal/web"
)

// ourSlot is the slot that kafkasync makes for the pipeline below.
const ourSlot = "kafkasync_bench"

// The delay is the default's cost, a header, without its messages coming back during the run.
const configText = `
data_dir: %s
http: {listen: %q}
kafka:
  brokers: [%q]
pipelines:
  - name: bench
    source: {postgres: {url: %q}}
    tables:
      - {match: public.products, delay: 6h}
`

// program is a built kafkasync with its configuration.
type program struct {
	binary, file, address, log string
}

// newProgram builds kafkasync, unless there is one to be used, and writes its file.
func (b *bench) newProgram(ctx context.Context) (*program, error) {
	p := &program{
		binary: b.o.binary, file: filepath.Join(b.dir, "kafkasync.yaml"), log: filepath.Join(b.dir, "kafkasync.log"),
	}
	if p.binary == "" {
		b.say("building kafkasync")
		p.binary = filepath.Join(b.dir, "kafkasync")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=auto", "-o", p.binary, "github.com/kafkasync/kafkasync/cmd/kafkasync")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building kafkasync: %w: %s", err, out)
		}
	}
	var err error
	if p.address, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	url := b.pg.URL(database)
	if b.o.parameters != "" {
		url += "?" + b.o.parameters
	}
	text := fmt.Sprintf(configText, filepath.Join(b.dir, "data"), p.address, b.kafka.Brokers(), url)
	if err := os.WriteFile(p.file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return p, nil
}

func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// running is one run of the program.
type running struct {
	*program

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended; err says how
	err  error
}

func (p *program) start(ctx context.Context) (*running, error) {
	log, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("creating the log of kafkasync: %w", err)
	}
	cmd := exec.CommandContext(ctx, p.binary, "run", "-c", p.file)
	cmd.Stdout, cmd.Stderr = log, log
	// It does not outlive us, not even if we are killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	if closed := log.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, fmt.Errorf("starting kafkasync: %w", err)
	}
	r := &running{program: p, cmd: cmd, done: make(chan struct{})}
	go func() {
		r.err = cmd.Wait()
		close(r.done)
	}()
	return r, nil
}

// alive returns the end of the log if the program has ended by itself.
func (r *running) alive() error {
	select {
	case <-r.done:
		return fmt.Errorf("kafkasync has ended (%w):\n%s", errors.Join(r.err, errors.New("by itself")), r.lastWords())
	default:
		return nil
	}
}

func (r *running) lastWords() string {
	text, err := os.ReadFile(r.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// stop ends the run in order and waits for it.
func (r *running) stop() error {
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping kafkasync: %w", err)
	}
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case <-r.done:
	case <-timer.C:
		return errors.Join(errors.New("stopping kafkasync: still there after a minute"), r.cmd.Process.Kill())
	}
	if r.err != nil {
		return fmt.Errorf("stopping kafkasync: %w:\n%s", r.err, r.lastWords())
	}
	return nil
}

// reached asks the program how far its checkpoint is. It is an error if the pipeline has stopped.
func (p *program) reached(ctx context.Context) (lsn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+"/api/status", http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("asking for the status: %w", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("asking for the status: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	var status web.Status
	if err := json.NewDecoder(answer.Body).Decode(&status); err != nil {
		return 0, fmt.Errorf("asking for the status: %w", err)
	}
	if len(status.Pipelines) != 1 || status.Pipelines[0].State == "stopped" {
		return 0, fmt.Errorf("the pipeline does not run: %+v", status.Pipelines)
	}
	return placeOf(status.Pipelines[0].Position)
}

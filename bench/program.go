package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/kafkasync/kafkasync/internal/web"
)

const configText = `
name: %s
data_dir: %s
http: {listen: %q}
kafka:
  brokers: [%q]
pipelines:
  - name: %s
    source: %s
    tables:
      - {match: %s, topic: %s, delay: %s}
`

// program is a built kafkasync with its configuration.
type program struct {
	binary, file, address, log string
	placeOf                    func(position string) (place, error)
}

// settings are what differs between the configurations.
type settings struct {
	name, pipeline, topic string
	delay                 time.Duration
}

// build builds kafkasync, unless there is one to be used.
func (b *bench) build(ctx context.Context) (binary string, err error) {
	if b.o.binary != "" {
		return b.o.binary, nil
	}
	b.say("building kafkasync")
	binary = filepath.Join(b.dir, "kafkasync")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=auto", "-o", binary, "github.com/kafkasync/kafkasync/cmd/kafkasync")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building kafkasync: %w: %s", err, out)
	}
	return binary, nil
}

// configure writes a file for a program that has its data in a folder of its own.
func (b *bench) configure(ctx context.Context, s settings) (*program, error) {
	p := &program{binary: b.binary, file: filepath.Join(b.dir, s.name+".yaml"), log: filepath.Join(b.dir, s.name+".log"), placeOf: b.db.placeOf}
	var err error
	if p.address, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(configText, s.name, filepath.Join(b.dir, s.name+".data"), p.address, b.kafka.Brokers(), s.pipeline,
		b.db.source(), b.db.names().table, s.topic, s.delay)
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
	*child
}

// start starts a program once nobody reads the log for one before it.
func (b *bench) start(ctx context.Context, p *program) (*running, error) {
	if err := b.db.hangUp(ctx); err != nil {
		return nil, err
	}
	c, err := launch("kafkasync", exec.CommandContext(ctx, p.binary, "run", "-c", p.file), p.log)
	if err != nil {
		return nil, fmt.Errorf("starting kafkasync: %w", err)
	}
	return &running{program: p, child: c}, nil
}

// reached asks the program how far its checkpoint is. It is an error if the pipeline has stopped.
func (p *program) reached(ctx context.Context) (place, error) {
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
	return p.placeOf(status.Pipelines[0].Position)
}

package demo

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// keep leaves everything up until ctx ends, and starts the node again whenever it
// ends, as a service manager would.
func (d *demo) keep(ctx context.Context) error {
	psql := "psql"
	if _, err := exec.LookPath(psql); err != nil {
		psql = filepath.Join(d.stack.pg.BinDir(), psql)
	}
	d.say.title("All of it stays up until Ctrl-C. In other terminals:")
	d.say.line("  %s consume %s --brokers %s", d.cfg.Call, topic, d.stack.brokers())
	d.say.line("  %s %s", psql, d.stack.pg.URL("shop"))
	d.say.line("  %s status -c %s", d.cfg.Call, d.stack.file)
	d.say.line("  kill -9 %d   %s", d.stack.node.PID(), d.say.dim("# the node; it is started again"))
	d.say.line("Status page: %s", d.stack.statusPage())
	for d.say.err == nil {
		select {
		case <-ctx.Done():
			d.say.line("\nstopping; nothing is left behind")
			return d.say.err
		case <-d.stack.node.Ended():
		}
		if err := d.again(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return d.say.err
}

// again starts a node that has ended.
func (d *demo) again(ctx context.Context) error {
	ended := time.Now()
	if err := d.stack.node.Start(ctx); err != nil {
		return err
	}
	var outcome string // a person may have broken what it needs, which is then for them to read
	if err := d.stack.streaming(ctx); err != nil {
		outcome = err.Error()
	} else {
		outcome = fmt.Sprintf("it reads the log again after %s", span(time.Since(ended)))
	}
	if ctx.Err() == nil {
		d.say.line("the node had ended and was started again, as process %d; %s", d.stack.node.PID(), outcome)
	}
	return d.say.err
}

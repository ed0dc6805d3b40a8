package demo

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// pause is what lies between two attempts to start a node that does not start.
const pause = time.Second

// keep leaves everything up until ctx ends, and starts each node again whenever it
// ends, as a service manager would.
func (d *demo) keep(ctx context.Context) error {
	if err := d.toPlayWith(ctx); err != nil {
		return interrupted(ctx, err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	news := make(chan string)
	var nodes sync.WaitGroup
	for _, n := range d.stack.nodes.All {
		nodes.Go(func() { d.stack.supervise(ctx, n, news) })
	}
	go func() {
		nodes.Wait()
		close(news)
	}()
	for text := range news {
		if d.say.line("%s", text); d.say.err != nil {
			stop()
		}
	}
	d.say.line("\nstopping; nothing is left behind")
	return d.say.err
}

// toPlayWith says what a person may try.
func (d *demo) toPlayWith(ctx context.Context) error {
	leader, _, err := d.stack.leading(ctx)
	if err != nil {
		return err
	}
	d.say.title("All of it stays up until Ctrl-C. In other terminals:")
	d.say.line("  %s consume %s --brokers %s", d.cfg.Call, topic, d.stack.brokers())
	d.say.line("  %s", d.stack.db.about().shell)
	d.say.line("  %s status -c %s   %s", d.cfg.Call, d.stack.file, d.say.dim("# of whichever node answers"))
	d.say.line("  kill -9 %d   %s", leader.PID(), d.say.dim("# node "+leader.Name()+", which leads; whichever node ends is started again"))
	for _, n := range d.stack.nodes.All {
		d.say.line("Status page of node %s: %s", n.Name(), page(n))
	}
	return d.say.err
}

// supervise starts a node again whenever it ends, until ctx does.
func (s *stack) supervise(ctx context.Context, n *devstack.Program, news chan<- string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.Ended():
		}
		ended := time.Now()
		news <- fmt.Sprintf("node %s, process %d, has ended and is started again", n.Name(), n.PID())
		if !s.again(ctx, n, news) {
			return
		}
		text := fmt.Sprintf("node %s is back after %s, as process %d", n.Name(), span(time.Since(ended)), n.PID())
		// Which one leads is worth knowing, but the person may have broken what an answer needs.
		if answer, ok := s.ask(ctx); ok {
			if leader := s.node(answer.Cluster.Leader); leader != nil {
				text += fmt.Sprintf("; node %s leads, process %d", leader.Name(), leader.PID())
			}
		}
		news <- text
	}
}

// again starts a node, however often it takes; the person may have taken its port. It
// returns false if ctx ends first.
func (s *stack) again(ctx context.Context, n *devstack.Program, news chan<- string) bool {
	for said := false; ; said = true {
		err := n.Start(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if !said {
			news <- fmt.Sprintf("node %s does not start, which is tried again every second; the end of its log:\n  %s", n.Name(), lastLines(n, 3))
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
}

// lastLines returns the end of a node's log, indented.
func lastLines(n *devstack.Program, count int) string {
	lines := strings.Split(strings.TrimSpace(n.Log()), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n  ")
}

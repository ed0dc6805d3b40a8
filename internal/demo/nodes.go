package demo

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// startNodes starts a cluster: one file, and a process for each of its nodes.
func (s *stack) startNodes(ctx context.Context, executable string) (err error) {
	names := []string{"a", "b", "c"}
	s.nodes, err = devstack.StartPrograms(ctx, devstack.ProgramsConfig{
		Name: "Nodes", Names: names, Ports: 2,
		Lines: func(dir string, ports [][]int) ([][]string, error) {
			s.file = filepath.Join(dir, "kafkasync.yaml")
			var lines [][]string
			for _, name := range names {
				lines = append(lines, []string{"/usr/bin/env", "KAFKASYNC_NODE=" + name, executable, "run", "-c", s.file})
			}
			return lines, s.configure(dir, names, ports)
		},
		Ready: ready,
	})
	return err
}

// configure writes the nodes' file: what a person would write, and a few places.
func (s *stack) configure(dir string, names []string, ports [][]int) error {
	lines := []string{
		"data_dir: " + strconv.Quote(filepath.Join(dir, "data")),
		"cluster:",
		"  nodes:",
	}
	for i, p := range ports {
		lines = append(lines, fmt.Sprintf("    - {id: %s, raft: %q, http: %q}", names[i], loopback(p[1]), loopback(p[0])))
	}
	db := s.db.about()
	lines = append(lines,
		"kafka:",
		"  brokers: ["+strconv.Quote(s.brokers())+"]",
		"pipelines:",
		"  - name: shop",
		"    source:",
	)
	for _, line := range db.source {
		lines = append(lines, "      "+line)
	}
	lines = append(lines,
		"    tables:",
		"      - match: "+db.match,
		"        delay: "+delay.String()+"   # instead of 5m, so that there is something to see",
		"",
	)
	if err := os.WriteFile(s.file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		return fmt.Errorf("writing the nodes' configuration: %w", err)
	}
	return nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// ready reports whether a node is part of the cluster; not yet whether anything streams.
func ready(ctx context.Context, ports []int) bool {
	return get(ctx, loopback(ports[0]), "/readyz", nil) == nil
}

// status is what any node says about the cluster.
type status struct {
	Cluster struct {
		Leader string
		Nodes  []struct {
			ID, Role  string
			Reachable bool
		}
	}
	Pipelines []struct {
		State, Error, Position string
		Epoch                  uint64
	}
}

// role returns a node's role as the leader sees it; "" if it does not answer.
func (s *status) role(node string) string {
	for _, n := range s.Cluster.Nodes {
		if n.ID == node && n.Reachable {
			return n.Role
		}
	}
	return ""
}

// ask asks all nodes and returns the newest answer of those that know a leader: one that has just
// lost the leadership may not know it yet.
func (s *stack) ask(ctx context.Context) (newest status, ok bool) {
	answers := make([]status, len(s.nodes.All))
	var group sync.WaitGroup
	for i, n := range s.nodes.All {
		group.Go(func() {
			if get(ctx, n.Addr(), "/api/status", &answers[i]) != nil {
				answers[i] = status{}
			}
		})
	}
	group.Wait()
	for _, a := range answers {
		if a.Cluster.Leader != "" && len(a.Pipelines) == 1 && (!ok || a.Pipelines[0].Epoch > newest.Pipelines[0].Epoch) {
			newest, ok = a, true
		}
	}
	return newest, ok
}

// leading returns the node that leads once it reads the log, and how many leases there were by then.
func (s *stack) leading(ctx context.Context) (leader *devstack.Program, epoch uint64, err error) {
	state, trouble := "without a leader", ""
	ok, err := until(ctx, func() (bool, int) {
		if answer, ok := s.ask(ctx); ok {
			p := answer.Pipelines[0]
			leader, state, trouble, epoch = s.node(answer.Cluster.Leader), p.State, p.Error, p.Epoch
		}
		return state == "streaming" && leader != nil && leader.PID() != 0 || state == "stopped", 0
	})
	if err == nil && (!ok || state == "stopped") {
		err = fmt.Errorf("it is %q: %s", state, trouble)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("waiting for a node to read the log of %s: %w", s.kind.name, err)
	}
	return leader, epoch, nil
}

// node returns the node of that name; nil if there is none.
func (s *stack) node(name string) *devstack.Program {
	for _, n := range s.nodes.All {
		if n.Name() == name {
			return n
		}
	}
	return nil
}

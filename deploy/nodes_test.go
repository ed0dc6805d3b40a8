package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/kafkasync/kafkasync/config"
)

// where the files are: the root of the repository.
const root = ".."

// placed is a node as one of the files runs it.
type placed struct {
	host  string            // by which the others reach it
	file  string            // the text of its kafkasync.yaml
	env   map[string]string // all that it gets
	data  []string          // where it may write
	ports []string          // to which the network lets others connect; nil: all
}

func read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type service struct {
	Environment map[string]any
	Volumes     []string
	Image       string
}

// composed returns the services of a compose file.
func composed(t testing.TB, text string) map[string]service {
	t.Helper()
	var file struct{ Services map[string]service }
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	return file.Services
}

// inCompose returns the nodes of a compose file.
func inCompose(t testing.TB, text string) []placed {
	t.Helper()
	var nodes []placed
	for host, s := range composed(t, text) {
		if _, ours := s.Environment["KAFKASYNC_NODE"]; !ours {
			continue
		}
		p := placed{host: host, env: map[string]string{}}
		for name, value := range s.Environment {
			p.env[name] = fmt.Sprint(value)
		}
		for _, v := range s.Volumes {
			from, to, _ := strings.Cut(v, ":")
			to, readOnly := strings.CutSuffix(to, ":ro")
			if to == "/etc/kafkasync/kafkasync.yaml" {
				p.file = read(t, from)
			}
			if !readOnly {
				p.data = append(p.data, to)
			}
		}
		nodes = append(nodes, p)
	}
	return nodes
}

// manifest is the part of a Kubernetes object that is looked at.
type manifest struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		Replicas                 int
		ServiceName              string
		ClusterIP                string
		PublishNotReadyAddresses bool
		PodManagementPolicy      string
		Template                 struct {
			Spec struct{ Containers []container }
		}
	}
}

type container struct {
	Args         []string
	Env          []struct{ Name string }
	Ports        []struct{ ContainerPort int }
	VolumeMounts []struct {
		MountPath string
		ReadOnly  bool
	}
}

// manifests returns the objects of a Kubernetes file by kind.
func manifests(t testing.TB, text string) map[string]manifest {
	t.Helper()
	objects := map[string]manifest{}
	for dec := yaml.NewDecoder(strings.NewReader(text)); ; {
		var object any
		err := dec.Decode(&object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		// JSON is what Kubernetes makes of it, and is read without a tag for each key.
		asJSON, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		var m manifest
		if err := json.Unmarshal(asJSON, &m); err != nil {
			t.Fatal(err)
		}
		objects[m.Kind] = m
	}
}

// inKubernetes returns the pods of a StatefulSet.
func inKubernetes(t testing.TB, text string) []placed {
	t.Helper()
	objects := manifests(t, text)
	set := objects["StatefulSet"]
	if len(set.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("got %d containers, want one", len(set.Spec.Template.Spec.Containers))
	}
	c := set.Spec.Template.Spec.Containers[0]
	var nodes []placed
	for i := range set.Spec.Replicas {
		pod := fmt.Sprintf("%s-%d", set.Metadata.Name, i)
		p := placed{
			host: pod + "." + objects["Service"].Metadata.Name, file: objects["ConfigMap"].Data["kafkasync.yaml"],
			env: map[string]string{}, ports: []string{},
		}
		for _, e := range c.Env {
			p.env[e.Name] = "secret"
		}
		p.env["KAFKASYNC_NODE"] = pod
		for _, port := range c.Ports {
			p.ports = append(p.ports, fmt.Sprint(port.ContainerPort))
		}
		for _, m := range c.VolumeMounts {
			if !m.ReadOnly {
				p.data = append(p.data, m.MountPath)
			}
		}
		nodes = append(nodes, p)
	}
	return nodes
}

// misplaced says what does not fit between the nodes that run and those that their file lists.
func misplaced(nodes []placed) []string {
	var wrong []string
	wrongf := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	ran := map[string]bool{}
	var listed []config.Node
	for _, p := range nodes {
		id := p.env["KAFKASYNC_NODE"]
		ran[id] = true
		cfg, err := config.Parse(id, []byte(p.file), func(name string) (string, bool) {
			value, ok := p.env[name]
			return value, ok
		})
		if err == nil {
			err = cfg.UseNode(id)
		}
		if err != nil {
			wrongf("node %s: %v", id, err)
			continue
		}
		listed = cfg.Cluster.Nodes
		if host, _, _ := net.SplitHostPort(cfg.RaftAddress); host != p.host {
			wrongf("node %s is reached at %s, its file says %s", id, p.host, host)
		}
		if !slices.Contains(p.data, cfg.DataDir) {
			wrongf("node %s has data_dir %s, which is no volume: %q", id, cfg.DataDir, p.data)
		}
		for _, address := range []string{cfg.RaftListen, cfg.HTTP.Listen} {
			host, port, err := net.SplitHostPort(address)
			if err != nil || host != "" || p.ports != nil && !slices.Contains(p.ports, port) {
				wrongf("node %s listens at %s, want every address of its container, and a port of %q (%v)", id, address, p.ports, err)
			}
		}
	}
	for _, n := range listed {
		if !ran[n.ID] {
			wrongf("node %s of the file does not run", n.ID)
		}
	}
	if len(nodes) != 3 || len(ran) != 3 {
		wrongf("%d nodes run, as %q, want three", len(nodes), slices.Sorted(maps.Keys(ran)))
	}
	return wrong
}

func TestTheNodesAreThoseOfTheirFile(t *testing.T) {
	for name, nodes := range map[string][]placed{
		"compose":    inCompose(t, read(t, "compose.yaml")),
		"kubernetes": inKubernetes(t, read(t, "deploy/kubernetes/kafkasync.yaml")),
	} {
		for _, wrong := range misplaced(nodes) {
			t.Errorf("%s: %s", name, wrong)
		}
	}
}

func TestNodesThatAreNotThoseOfTheirFileAreSeen(t *testing.T) {
	compose, kubernetes := read(t, "compose.yaml"), read(t, "deploy/kubernetes/kafkasync.yaml")
	tests := []struct{ name, compose, kubernetes, want string }{
		{"a node that the file lacks", swap(t, compose, "KAFKASYNC_NODE: c", "KAFKASYNC_NODE: d"), "", `lists only nodes "a", "b" and "c"`},
		{"a node twice", swap(t, compose, "KAFKASYNC_NODE: c", "KAFKASYNC_NODE: b"), "", "node c of the file does not run"},
		{"another host", swap(t, compose, "  kafkasync-a:\n    <<", "  kafkasync-z:\n    <<"), "", "node a is reached at kafkasync-z"},
		{"a secret that is not passed on", swap(t, compose, "  KAFKASYNC_TOKEN: ${", "  OTHER_TOKEN: ${"), "", "KAFKASYNC_TOKEN is not set"},
		{"data that goes with the container", swap(t, compose, "kafkasync-b:/var/lib/kafkasync", "kafkasync-b:/data"), "", "which is no volume"},
		{"a pod too many", "", swap(t, kubernetes, "replicas: 3", "replicas: 4"), "lists only nodes"},
		{"a port that is not open", "", swap(t, kubernetes, "containerPort: 7400", "containerPort: 7401"), "listens at :7400"},
		{"a secret that the pod lacks", "", swap(t, kubernetes, "- name: PGPASSWORD", "- name: PGPASS"), "PGPASSWORD is not set"},
		{"a mistake in the file", "", swap(t, kubernetes, "brokers: [", "broker: ["), `has no key "broker"`},
		{"one address only", "", swap(t, kubernetes, `raft_listen: ":7400"`, `raft_listen: "127.0.0.1:7400"`), "listens at 127.0.0.1:7400"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var wrong []string
			if tt.compose != "" {
				wrong = misplaced(inCompose(t, tt.compose))
			} else {
				wrong = misplaced(inKubernetes(t, tt.kubernetes))
			}
			if !strings.Contains(strings.Join(wrong, "\n"), tt.want) {
				t.Errorf("got %q, want %q in it", wrong, tt.want)
			}
		})
	}
}

// The cluster could not form, or not again, and no linter knows.
func TestThePodsReachOneAnotherBeforeTheyAreReady(t *testing.T) {
	objects := manifests(t, read(t, "deploy/kubernetes/kafkasync.yaml"))
	set, service := objects["StatefulSet"].Spec, objects["Service"]
	if set.ServiceName != service.Metadata.Name || service.Spec.ClusterIP != "None" || !service.Spec.PublishNotReadyAddresses {
		t.Errorf("got serviceName %s and the service %+v, want it headless, and the addresses of pods that are not ready", set.ServiceName, service)
	}
	if set.PodManagementPolicy != "Parallel" {
		t.Errorf("got podManagementPolicy %q, want Parallel", set.PodManagementPolicy)
	}
}

// swap puts another text in the place of one that must be there.
func swap(t testing.TB, text, old, with string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("there is no %q to be swapped", old)
	}
	return strings.Replace(text, old, with, 1)
}

package devstack

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// KafkaConfig says what a Kafka is to be like.
type KafkaConfig struct {
	Dir      string            // "": a temporary folder, removed at Close; else it stays, and what is found in it is served again
	Settings map[string]string // written to server.properties, over ours
	Heap     string            // of the Java machine, as in -Xmx; default 512m
	Java     []string          // further options of the Java machine
	Fronts   []string          // addresses of proxies; who comes through one is told that the broker is there, and of no other address
}

// Kafka is an Apache Kafka of one node, broker and controller. Its methods
// may be called at the same time, as a test does that kills the server its code
// is using.
type Kafka struct {
	*instance
	cfg        KafkaConfig
	libs       string
	port       int
	controller int
	behind     []int // ports, one for each front
}

//go:embed kafka.log4j2.properties
var kafkaLogging []byte

// StartKafka starts a server and returns once it answers a request for its
// metadata. ctx bounds the start; the server then runs until Close.
func StartKafka(ctx context.Context, cfg KafkaConfig) (*Kafka, error) {
	if !kafkaInstalled() {
		return nil, errors.New("this machine has no Apache Kafka: devstack.Install was not called")
	}
	libs, err := kafkaLibs()
	if err != nil {
		return nil, err
	}
	if cfg.Heap == "" {
		cfg.Heap = "512m"
	}
	inst, err := newInstance("Kafka", cfg.Dir, "KILL")
	if err != nil {
		return nil, err
	}
	k := &Kafka{instance: inst, cfg: cfg, libs: libs}
	if err := k.first(ctx); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// first starts the server on free ports; others if a stranger was faster.
func (k *Kafka) first(ctx context.Context) error {
	if err := os.WriteFile(k.file("log4j2.properties"), kafkaLogging, 0o644); err != nil {
		return fmt.Errorf("configuring Kafka: %w", err)
	}
	return onFreePort(ctx, func(port int) error {
		controller, err := freePort(ctx)
		if err != nil {
			return err
		}
		k.port, k.controller, k.behind = port, controller, nil
		for range k.cfg.Fronts {
			port, err := freePort(ctx)
			if err != nil {
				return err
			}
			k.behind = append(k.behind, port)
		}
		if err := k.configure(); err != nil {
			return err
		}
		if err := k.format(ctx); err != nil {
			return err
		}
		return k.Start(ctx)
	})
}

func (k *Kafka) configure() error {
	settings := map[string]string{
		"process.roles":                                    "broker,controller",
		"node.id":                                          "1",
		"controller.quorum.voters":                         "1@" + loopback(k.controller),
		"listeners":                                        "PLAINTEXT://" + loopback(k.port) + ",CONTROLLER://" + loopback(k.controller),
		"advertised.listeners":                             "PLAINTEXT://" + loopback(k.port),
		"controller.listener.names":                        "CONTROLLER",
		"log.dirs":                                         k.file("data"),
		"num.partitions":                                   "6",
		"offsets.topic.replication.factor":                 "1",
		"offsets.topic.num.partitions":                     "4", // 50 of them take a second and nobody here needs them
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "4",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		"share.coordinator.state.topic.num.partitions":     "4",
		"group.initial.rebalance.delay.ms":                 "0",
		"log.cleaner.dedupe.buffer.size":                   "16777216",
	}
	k.addFronts(settings)
	maps.Copy(settings, k.cfg.Settings)
	var conf strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&conf, "%s=%s\n", name, settings[name])
	}
	if err := os.WriteFile(k.file("server.properties"), []byte(conf.String()), 0o644); err != nil {
		return fmt.Errorf("configuring Kafka: %w", err)
	}
	return nil
}

// addFronts gives each front a listener of its own, by whose name the server knows what to advertise.
func (k *Kafka) addFronts(settings map[string]string) {
	if len(k.cfg.Fronts) == 0 {
		return
	}
	listeners, advertised := []string{settings["listeners"]}, []string{settings["advertised.listeners"]}
	protocols := []string{"PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT"}
	for i, front := range k.cfg.Fronts {
		name := fmt.Sprintf("FRONT%d", i)
		listeners = append(listeners, name+"://"+loopback(k.behind[i]))
		advertised = append(advertised, name+"://"+front)
		protocols = append(protocols, name+":PLAINTEXT")
	}
	settings["listeners"], settings["advertised.listeners"] = strings.Join(listeners, ","), strings.Join(advertised, ",")
	settings["listener.security.protocol.map"] = strings.Join(protocols, ",")
}

// format prepares an empty folder for the server.
func (k *Kafka) format(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(k.file("data"), "meta.properties")); err == nil {
		return nil
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	line := k.java("-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format",
		// In one word: one of 64 ids begins with "-", and would be taken for an option.
		"--cluster-id="+base64.RawURLEncoding.EncodeToString(id[:]), "-c", k.file("server.properties"))
	if err := run(ctx, k.dir, line...); err != nil {
		return fmt.Errorf("preparing Kafka's folder: %w", err)
	}
	return nil
}

// java is the command line that runs a class of Kafka.
func (k *Kafka) java(args ...string) []string {
	return append([]string{"java", "-cp", filepath.Join(k.libs, "*"), "-Dlog4j2.configurationFile=" + k.file("log4j2.properties")}, args...)
}

func (k *Kafka) file(name string) string { return filepath.Join(k.dir, name) }

// Version returns the version of Apache Kafka that it is.
func (k *Kafka) Version() string { return kafkaVersion }

// Brokers returns the address for clients, 127.0.0.1:port; it stays over restarts.
func (k *Kafka) Brokers() string { return loopback(k.port) }

// Behind returns where the server listens for what comes through a front; it stays over restarts.
func (k *Kafka) Behind(front string) string {
	for i, address := range k.cfg.Fronts {
		if address == front {
			return loopback(k.behind[i])
		}
	}
	return ""
}

// Start starts the server again after Stop or Kill, on the same port and folder.
func (k *Kafka) Start(ctx context.Context) error {
	options := append([]string{"-Xmx" + k.cfg.Heap, "-XX:+UseSerialGC"}, k.cfg.Java...)
	proc, err := k.begin(command{line: k.java(append(options, "kafka.Kafka", k.file("server.properties"))...)})
	if err != nil {
		return err
	}
	if err := proc.ready(ctx, func(context.Context) bool {
		return strings.Contains(k.Log(), "Kafka Server started")
	}); err != nil {
		return err
	}
	return proc.ready(ctx, k.answers)
}

func (k *Kafka) answers(ctx context.Context) bool {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers()))
	if err != nil {
		return false
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return client.Ping(ctx) == nil
}

// Stop shuts the server down in order and keeps its folder.
func (k *Kafka) Stop() error { return k.end(syscall.SIGTERM) }

// Kill ends the server with SIGKILL.
func (k *Kafka) Kill() error { return k.end(syscall.SIGKILL) }

// Close kills the server and removes its folder, if that is temporary.
func (k *Kafka) Close() error { return k.close(syscall.SIGKILL) }

package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/sink/kafka"
	"github.com/kafkasync/kafkasync/source/mysql"
	"github.com/kafkasync/kafkasync/source/postgres"
)

// minimal is the shortest file that is right.
const minimal = `kafka: {brokers: ["127.0.0.1:9092"]}
pipelines:
  - name: shop
    source: {postgres: {url: "postgres://cdc@db/shop"}}
    tables: [{match: public.products}]
`

func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func mustParse(t *testing.T, text string, pairs ...string) *config.Config {
	t.Helper()
	c, err := config.Parse("kafkasync.yaml", []byte(text), env(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The unexported part of a Config cannot be written here, so fields are compared.
func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %#v, want %#v", what, got, want)
	}
}

func TestTheExampleOfTheDesignLoads(t *testing.T) {
	t.Setenv("KAFKASYNC_TOKEN", "write-token")
	t.Setenv("READ_TOKEN", "read-token")
	t.Setenv("PGPASSWORD", "p@ss/word?")
	c, err := config.Load("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "name", c.Name, "kafkasync")
	expect(t, "data_dir", c.DataDir, "/var/lib/kafkasync")
	expect(t, "cluster", c.Cluster, config.Cluster{
		Nodes: []config.Node{
			{ID: "a", Raft: "10.0.0.1:7400", HTTP: "10.0.0.1:7480", RaftListen: "10.0.0.1:7400", HTTPListen: "10.0.0.1:7480"},
			{ID: "b", Raft: "10.0.0.2:7400", HTTP: "10.0.0.2:7480", RaftListen: "0.0.0.0:7400", HTTPListen: "10.0.0.2:7480"},
			{ID: "c", Raft: "10.0.0.3:7400", HTTP: "10.0.0.3:7480", RaftListen: "10.0.0.3:7400", HTTPListen: ":7480"},
		},
		TLS:             config.ClusterTLS{Cert: "node.pem", Key: "node.key", CA: "ca.pem"},
		ElectionTimeout: 750 * time.Millisecond,
	})
	expect(t, "node before one is chosen", c.NodeID, "")
	if err := c.UseNode("c"); err != nil {
		t.Fatal(err)
	}
	expect(t, "node", c.NodeID, "c")
	expect(t, "raft", []string{c.RaftAddress, c.RaftListen}, []string{"10.0.0.3:7400", "10.0.0.3:7400"})
	expect(t, "http", c.HTTP, config.HTTP{
		Listen: ":7480", Token: "write-token", ReadToken: "read-token", TLS: config.TLS{Cert: "web.pem", Key: "web.key"},
	})
	expect(t, "kafka", c.Kafka, kafka.Config{
		Brokers: []string{"127.0.0.1:9092"}, Topics: kafka.Topics{Create: true, Partitions: 12, Replication: -1, Delay: 5 * time.Minute},
	})
	expect(t, "postgres", c.Pipelines[0].Postgres, postgres.Config{
		URL:      "postgres://cdc@db1,db2/shop?target_session_attrs=read-write",
		Password: "p@ss/word?", Slot: "kafkasync_shop", Publication: "kafkasync_shop",
	})
	expect(t, "rules", c.Pipelines[0].Rules, []route.Rule{
		{Match: "public.schema_migrations", Skip: true, Topic: "{table}"},
		{
			Match: "public.products", Topic: "products", Payload: []route.Column{{Name: "id", Source: "id"}},
			Key: []string{"id"}, Delay: 5 * time.Minute,
		},
		{Match: "public.*", Topic: "{table}", Delay: 5 * time.Minute},
	})
}

func TestWhatIsLeftOutHasItsDefault(t *testing.T) {
	c := mustParse(t, minimal)
	expect(t, "name", c.Name, "kafkasync")
	expect(t, "data_dir", c.DataDir, "./data")
	expect(t, "node", c.NodeID, "a")
	expect(t, "cluster", c.Cluster, config.Cluster{ElectionTimeout: 500 * time.Millisecond})
	expect(t, "http", c.HTTP, config.HTTP{Listen: "127.0.0.1:7480"})
	expect(t, "topics", c.Kafka.Topics, kafka.Topics{Create: true, Partitions: 12, Replication: -1, Delay: 5 * time.Minute})
	expect(t, "slot", c.Pipelines[0].Postgres.Slot, "kafkasync_shop")
	expect(t, "publication", c.Pipelines[0].Postgres.Publication, "kafkasync_shop")
	expect(t, "encoding", c.Pipelines[0].Encoding, route.Encoding{})
	expect(t, "rules", c.Pipelines[0].Rules, []route.Rule{{Match: "public.products", Topic: "{table}", Delay: 5 * time.Minute}})
}

func TestEveryKeyReachesItsField(t *testing.T) {
	c := mustParse(t, `
name: shop-sync
data_dir: /data
http: {listen: ":80"}
kafka:
  brokers: [a:1, "b:2, c:3"]
  config: {linger.ms: 5, socket.keepalive.enable: true, compression.type: zstd, "sasl.password": 'x'}
  topics: {create: false, partitions: "${PARTITIONS}", replication: 3, config: {retention.ms: 86400000}}
pipelines:
  - name: p1
    source:
      postgres: {url: "postgresql://u%40x@[::1]:5433,h2:5434/db?sslmode=verify-full", slot: s_1, publication: Pub}
    bigint: string
    binary: base64
    tables:
      - match: "*.orders_?"
        topic: "{pipeline}.{schema}.{table}"
        payload: [id, {title: name, n: count}, 'state']
        key:
        - tenant
        - id
        delay: 1d12h
        truncate: skip
      - {match: shop.items, delay: 0, tombstones: true}
`, "PARTITIONS", "24")
	expect(t, "name", c.Name, "shop-sync")
	expect(t, "data_dir", c.DataDir, "/data")
	expect(t, "listen", c.HTTP.Listen, ":80")
	expect(t, "kafka", c.Kafka, kafka.Config{
		Brokers: []string{"a:1", "b:2", "c:3"},
		Properties: map[string]string{
			"linger.ms": "5", "socket.keepalive.enable": "true", "compression.type": "zstd", "sasl.password": "x",
		},
		Topics: kafka.Topics{Partitions: 24, Replication: 3, Config: map[string]string{"retention.ms": "86400000"}, Delay: 36 * time.Hour},
	})
	p := c.Pipelines[0]
	expect(t, "postgres", p.Postgres, postgres.Config{
		URL: "postgresql://u%40x@[::1]:5433,h2:5434/db?sslmode=verify-full", Slot: "s_1", Publication: "Pub",
	})
	expect(t, "encoding", p.Encoding, route.Encoding{BigintAsString: true, BinaryAsBase64: true})
	expect(t, "rules", p.Rules, []route.Rule{
		{
			Match: "*.orders_?", Topic: "{pipeline}.{schema}.{table}",
			Payload: []route.Column{{Name: "id", Source: "id"}, {Name: "title", Source: "name"}, {Name: "n", Source: "count"}, {Name: "state", Source: "state"}},
			Key:     []string{"tenant", "id"}, Delay: 36 * time.Hour, Truncate: route.SkipTruncate,
		},
		{Match: "shop.items", Topic: "{table}", Tombstones: true},
	})
}

func TestTheKeysOfMySQLReachTheirFields(t *testing.T) {
	const file = `
name: sync
kafka: {brokers: ["127.0.0.1:9092"]}
cluster:
  nodes:
    - {id: a, raft: "h1:7400", http: "h1:7480"}
    - {id: b, raft: "h2:7400", http: "h2:7480"}
    - {id: c, raft: "h3:7400", http: "h3:7480"}
pipelines:
  - name: shop
    source:
      mysql: {url: "mysql://cdc@db1:3307,[::1]/?tls=verify-full&ssl-ca=ca.pem", password: "${PASSWORD}", server_id: 7400}
    tables: [{match: "shop.*"}]
  - name: crm
    source: {mariadb: {url: "mariadb://c%40c@db1:3307"}}
    tables: [{match: "crm.*"}]
`
	c := mustParse(t, file, "PASSWORD", "p@ss/word?")
	expect(t, "mysql", c.Pipelines[0].MySQL, mysql.Config{
		Flavour: "mysql", URL: "mysql://cdc@db1:3307,[::1]/?tls=verify-full&ssl-ca=ca.pem", Password: "p@ss/word?", ServerID: 7400,
	})
	expect(t, "postgres", c.Pipelines[0].Postgres, postgres.Config{})
	crm := c.Pipelines[1].MySQL
	expect(t, "flavour", crm.Flavour, "mariadb")
	if crm.ServerID < 1<<30 || crm.ServerID >= 1<<31 || crm.ServerID%16 != 0 {
		t.Errorf("got the server id %d, want one from 2^30 to 2^31 with room for 16 nodes", crm.ServerID)
	}
	if err := crm.Validate(); err != nil {
		t.Errorf("the source refuses it: %v", err)
	}
	for renamed, same := range map[string]bool{"name: sync": true, "name: sync2": false} {
		again := mustParse(t, strings.Replace(file, "name: sync", renamed, 1), "PASSWORD", "x").Pipelines[1].MySQL.ServerID
		if (again == crm.ServerID) != same {
			t.Errorf("with %s: got the server id %d after %d", renamed, again, crm.ServerID)
		}
	}
	for id, want := range map[string]int{"a": 0, "b": 1, "c": 2} {
		if err := c.UseNode(id); err != nil || c.NodeNumber() != want {
			t.Errorf("node %s: got number %d and %v, want %d", id, c.NodeNumber(), err, want)
		}
	}
}

// What the file lets through, the source takes, and the other way round.
func TestTheFileAndTheSourceReadTheURLOfMySQLAlike(t *testing.T) {
	for url, want := range map[string]bool{
		"mysql://cdc@db": true,
		"mariadb://cdc:p%2Fq@db1:1,[::1]:3306,db3/?tls=required": true,
		"mysql://cdc@db/?ssl-ca=x":                               false,
		"mysql://cdc@db/?tls=off":                                false,
		"mysql://cdc@db/?tls=required&tls=required":              false,
		"mysql://cdc@db/?tls=":                                   false,
		"mysql://cdc@db/?charset=utf8":                           false,
		"mysql://cdc@db:0/":                                      false,
		"mysql://cdc@db,/":                                       false,
		"mysql://@db/":                                           false,
		"mysql://db/":                                            false,
		"http://cdc@db/":                                         false,
	} {
		_, err := config.Parse("f", []byte(strings.Replace(minimal, `postgres: {url: "postgres://cdc@db/shop"}`, `mysql: {url: "`+url+`"}`, 1)), env())
		if got := err == nil; got != want {
			t.Errorf("%s: the file: got %v, want it taken: %v", url, err, want)
		}
		if err := (mysql.Config{Flavour: mysql.MySQL, URL: url, ServerID: 1}).Validate(); (err == nil) != want {
			t.Errorf("%s: the source: got %v, want it taken: %v", url, err, want)
		}
	}
}

func TestADelayIsWrittenAsPeopleWriteTimes(t *testing.T) {
	for written, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "1s": time.Second, "1500ms": 1500 * time.Millisecond, "1.5s": 1500 * time.Millisecond,
		"1h30m": 90 * time.Minute, "7d": 7 * 24 * time.Hour, "1d1s": 24*time.Hour + time.Second,
	} {
		c := mustParse(t, strings.Replace(minimal, "match: public.products", "match: public.products, delay: "+written, 1))
		if got := c.Pipelines[0].Rules[0].Delay; got != want {
			t.Errorf("delay: %s: got %v, want %v", written, got, want)
		}
	}
	for _, written := range []string{"300", "-5m", "999ms", "7d1s", "8d", "1.0001s", "5 m", "d", "1d-1s", "1000000d", "true"} {
		_, err := config.Parse("f", []byte(strings.Replace(minimal, "match: public.products", "match: public.products, delay: "+written, 1)), env())
		if err == nil || !strings.Contains(err.Error(), "1s to 7d") {
			t.Errorf("delay: %s: got %v, want an error that names the bounds", written, err)
		}
	}
}

func TestNewTopicsAreForTheLongestDelayOfAllPipelines(t *testing.T) {
	const more = `
  - name: crm
    source: {postgres: {url: "postgres://cdc@db/crm"}}
    tables: [{match: public.people, delay: 2h}, {match: public.log, skip: true}, {match: "public.*", delay: 0}]
`
	c := mustParse(t, strings.TrimSpace(minimal)+more)
	expect(t, "longest delay", c.Kafka.Topics.Delay, 2*time.Hour)
	c = mustParse(t, strings.Replace(minimal, "match: public.products", "match: public.products, delay: 0", 1))
	expect(t, "longest delay without any", c.Kafka.Topics.Delay, time.Duration(0))
}

func TestReferencesAreReplacedOnce(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"unix": "from file\n", "windows": "from file\r\n", "two": "from file\n\n", "bare": "from file", "empty": "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for written, want := range map[string]string{
		"${A}":                        "x${B}",
		"a${A}b${A}c":                 "ax${B}bx${B}c",
		"$${A}":                       "${A}",
		"$$${A}":                      "$${A}",
		"$A $ {A}":                    "$A $ {A}",
		"${file:" + dir + "/unix}":    "from file",
		"${file:" + dir + "/windows}": "from file",
		"${file:" + dir + "/two}":     "from file\n",
		"${file:" + dir + "/bare}-1":  "from file-1",
	} {
		c := mustParse(t, minimal+"http: {token: '"+written+"'}\n", "A", "x${B}")
		if c.HTTP.Token != want {
			t.Errorf("%s: got %q, want %q", written, c.HTTP.Token, want)
		}
	}
	for _, written := range []string{"${B}", "${}", "${A-B}", "${A:-x}", "${A", "${file:}", "${file:" + dir + "}", "${file:" + dir + "/none}", "${file:" + dir + "/empty}", "${file:/dev/zero}"} {
		if _, err := config.Parse("f", []byte(minimal+"http: {token: '"+written+"'}\n"), env("A", "x")); err == nil {
			t.Errorf("%s: got no error", written)
		}
	}
}

func TestAnchorsAreFollowed(t *testing.T) {
	c := mustParse(t, `
kafka: {brokers: &b ["127.0.0.1:9092"]}
pipelines:
  - name: one
    source: {postgres: {url: &url "postgres://cdc@db/shop"}}
    tables: [&rule {match: public.products, payload: [id]}]
  - name: two
    source: {postgres: {url: *url}}
    tables: [{match: "crm.*"}]
`)
	expect(t, "url", c.Pipelines[1].Postgres.URL, "postgres://cdc@db/shop")
}

func TestAFileFromAnotherEditorIsTheSameFile(t *testing.T) {
	want := mustParse(t, minimal)
	expect(t, "with CRLF", mustParse(t, strings.ReplaceAll(minimal, "\n", "\r\n")), want)
	expect(t, "with a byte order mark", mustParse(t, "\ufeff"+minimal), want)
	expect(t, "with a document start", mustParse(t, "---\n"+minimal+"...\n"), want)
}

func TestLinesAndColumnsAreCountedFromOne(t *testing.T) {
	_, err := config.Parse("f", []byte(strings.ReplaceAll(minimal, "\n", "\r\n")+"colour: ü\r\n"), env())
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) != 1 {
		t.Fatalf("got %v, want one problem", err)
	}
	if p := problems[0]; p.Line != 6 || p.Column != 1 || p.File != "f" {
		t.Errorf("got %s:%d:%d, want f:6:1", p.File, p.Line, p.Column)
	}
}

func TestANodeIsChosen(t *testing.T) {
	c := mustParse(t, minimal)
	if err := c.UseNode("b"); err != nil || c.NodeID != "b" {
		t.Errorf("without cluster: got %v and node %q, want node b", err, c.NodeID)
	}
	if err := c.UseNode("../b"); err == nil {
		t.Error("a node whose folder is outside: got no error")
	}
	c = mustParse(t, minimal+"cluster: {nodes: [{id: n1}]}\n")
	expect(t, "node", c.NodeID, "n1")
	for _, id := range []string{"n1", ""} {
		if err := c.UseNode(id); err != nil || c.NodeID != "n1" {
			t.Errorf("choosing %q of one: got %v and node %q, want n1", id, err, c.NodeID)
		}
	}
	if err := c.UseNode("n2"); err == nil || !strings.Contains(err.Error(), `only node "n1"`) {
		t.Errorf("a node that is not listed: got %v, want an error that names n1", err)
	}
}

func TestOneOfSeveralNodesHasToBeChosen(t *testing.T) {
	c := mustParse(t, minimal+`cluster:
  nodes:
    - {id: a, raft: "h1:7400", http: "h1:7480"}
    - {id: b, raft: "h2:7400", http: "h2:7480", raft_listen: ":7400", http_listen: "127.0.0.1:80"}
    - {id: c, raft: "h3:7400", http: "h3:7480"}
`)
	for id, want := range map[string]string{
		"":  `the file lists nodes "a", "b" and "c" under cluster.nodes: say with --node, or KAFKASYNC_NODE, which of them this is`,
		"d": `choosing node "d": the file lists only nodes "a", "b" and "c" under cluster.nodes`,
	} {
		if err := c.UseNode(id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("choosing %q: got %v, want %q", id, err, want)
		}
	}
	if err := c.UseNode("b"); err != nil {
		t.Fatal(err)
	}
	expect(t, "what is chosen", []string{c.NodeID, c.RaftAddress, c.RaftListen, c.HTTP.Listen}, []string{"b", "h2:7400", ":7400", "127.0.0.1:80"})
}

func TestAFileThatCannotBeReadIsNamed(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "kafkasync.yaml")
	if _, err := config.Load(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("no file: got %v, want its path", err)
	}
	if _, err := config.Load(t.TempDir()); err == nil {
		t.Error("a folder: got no error")
	}
}

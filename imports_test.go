package kafkasync_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kafkasync/kafkasync"

// mayImport says what each package may import beside the standard library:
// packages of this module by their folder ("." is the root), other modules by
// their path, which stands for all below it. What is absent is forbidden, and a
// package that has no row may not exist. Tests may import what they like.
//
// Reading from top to bottom, no package knows one that stands below it.
func mayImport() map[string][]string {
	const (
		kafka    = "github.com/confluentinc/confluent-kafka-go/v2"
		raft     = "github.com/hashicorp"
		pgx      = "github.com/jackc/pgx/v5"
		embedded = "github.com/twmb/franz-go"
		gomysql  = "github.com/go-mysql-org/go-mysql"
	)
	everyone := []string{
		".", "config", "source", "source/postgres", "source/mysql", "sink", "sink/kafka", "raftstate", "delayer", "consumer",
		"internal/route", "internal/pipeline", "internal/web", "internal/histogram",
	}
	return map[string][]string{
		// The words.
		".":      nil,
		"source": {"."},
		"sink":   {"."},

		// What a source finds when it looks a server over.
		"source/findings": {"."},

		// What passes changes on, knowing no database and no broker.
		"internal/route":    {".", "source", "internal/glob"},
		"internal/pipeline": {".", "source", "sink", "internal/route", "internal/histogram"},
		"internal/web":      {".", "source", "internal/pipeline", "internal/histogram", "github.com/prometheus"},

		// librdkafka, in batches.
		"internal/rdkafka": {".", kafka},

		// The arithmetic of positions of MySQL and MariaDB.
		"internal/gtid": nil,

		// Counting, for status and metrics.
		"internal/histogram": nil,

		// Names and patterns.
		"internal/glob": nil,

		// Adapters: one outside system each, and never one another.
		"source/postgres": {".", "source", "source/findings", pgx, "github.com/jackc/pglogrepl"},
		"source/mysql":    {".", "source", "source/findings", "internal/gtid", gomysql, "github.com/klauspost/compress/zstd", "golang.org/x/sys/unix", "golang.org/x/text"},
		"sink/kafka":      {".", "sink", "internal/rdkafka", kafka},
		"raftstate":       {".", "source", "internal/glob", raft, "go.etcd.io/bbolt"},

		// What re-sends, reading the topics behind time.
		"delayer": {".", "sink", "internal/rdkafka", "internal/histogram", kafka},

		// The library of an application: no Raft, no database driver.
		"consumer":                 {".", "consumer/internal/broker", "internal/rdkafka", "internal/gtid", kafka},
		"consumer/internal/broker": {".", "internal/rdkafka"},
		"consumer/metrics":         {"consumer", "github.com/prometheus"},
		"consumer/consumertest":    {".", "consumer", "consumer/internal/broker", "internal/rdkafka", kafka},

		// Reading a topic, for a person at a terminal.
		"internal/tail": {".", kafka},

		// The suites that define an adapter.
		"source/sourcetest": {".", "source"},
		"sink/sinktest":     {".", "sink"},

		// Who puts it together.
		"config":                    {".", "source/mysql", "source/postgres", "sink/kafka", "internal/route", "github.com/goccy/go-yaml"},
		"internal/node":             append(everyone, "github.com/prometheus"),
		"internal/devstack":         {pgx, gomysql, kafka, embedded},
		"internal/devstack/devtest": {"internal/devstack", pgx, kafka},
		"internal/devstack/servers": {"internal/devstack"},
		"internal/demo":             {".", "internal/devstack", "internal/tail", pgx, gomysql, embedded},
		"cmd/kafkasync":             append(everyone, "internal/node", "internal/demo", "internal/devstack", "internal/tail", "internal/rdkafka", pgx, kafka, embedded, "github.com/spf13/cobra"),
		"deploy":                    nil,
		"bench":                     append(everyone, "internal/rdkafka", "internal/node", "internal/devstack", "internal/tail", pgx, gomysql, kafka, embedded),
		"e2e":                       append(everyone, "internal/node", "internal/devstack", "internal/tail", pgx, kafka, embedded),
	}
}

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath string
	Imports    []string
}

func TestImportsRunOneWay(t *testing.T) {
	pkgs := listPackages(t)
	if len(pkgs) < 3 || !slices.ContainsFunc(pkgs, func(p listed) bool { return p.ImportPath == module }) {
		t.Fatalf("go list found %d packages, want the whole module", len(pkgs))
	}
	for _, broken := range checkImports(pkgs, mayImport()) {
		t.Error(broken)
	}
}

func TestImportCheckSeesAPlantedViolation(t *testing.T) {
	table := map[string][]string{
		".":               nil,
		"source":          {"."},
		"source/postgres": {"source", "github.com/jackc/pgx/v5"},
	}
	tests := []struct {
		name    string
		pkg     string
		imports []string
		want    string // "" if nothing is wrong
	}{
		{"standard library", module, []string{"context", "encoding/json", "C", "unsafe"}, ""},
		{"a package of its row", module + "/source", []string{"fmt", module}, ""},
		{"a package below a module of its row", module + "/source/postgres", []string{"github.com/jackc/pgx/v5/pgconn"}, ""},
		{"a package that knows one below it", module, []string{module + "/source"}, `. imports source`},
		{"the same words, another package", module + "/source", []string{module + "/source/postgres"}, `source imports source/postgres`},
		{"an adapter that knows an adapter", module + "/source/postgres", []string{module + "/sink/kafka"}, `source/postgres imports sink/kafka`},
		{"another module", module, []string{"github.com/hashicorp/raft"}, `. imports github.com/hashicorp/raft`},
		{"a module whose path only starts alike", module + "/source/postgres", []string{"github.com/jackc/pgx/v50"}, `source/postgres imports github.com/jackc/pgx/v50`},
		{"a package without a row", module + "/internal/util", nil, `internal/util has no row`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := checkImports([]listed{{tt.pkg, tt.imports}}, table)
			if tt.want == "" {
				if len(got) != 0 {
					t.Errorf("got %q, want no finding", got)
				}
				return
			}
			if len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
				t.Errorf("got %q, want one finding that starts with %q", got, tt.want)
			}
		})
	}
}

// The table could also be bent to let a violation pass; these are the lines that must not move.
func TestImportTableKeepsTheLayers(t *testing.T) {
	table := mayImport()
	adapters := []string{"source/postgres", "source/mysql", "sink/kafka", "raftstate"}
	for pkg, allowed := range table {
		for _, a := range allowed {
			switch {
			case pkg == "." || pkg == "source" && a != ".":
				t.Errorf("%s may import %s, want the standard library and, from source, the root", pkg, a)
			case slices.Contains(adapters, pkg) && slices.Contains(adapters, a):
				t.Errorf("the adapter %s may import the adapter %s", pkg, a)
			case a == "internal/node" && !slices.Contains([]string{"cmd/kafkasync", "bench", "e2e"}, pkg):
				t.Errorf("%s may import internal/node, want only programs to know everyone", pkg)
			case strings.HasPrefix(pkg, "consumer") && (strings.Contains(a, "raft") || strings.Contains(a, "hashicorp") || strings.Contains(a, "jackc") || strings.Contains(a, "mysql")):
				t.Errorf("consumer may import %s, want no Raft and no database driver in an application", a)
			}
		}
	}
	if cycle := importCycle(table); cycle != "" {
		t.Errorf("the table allows the cycle %s", cycle)
	}
}

// checkImports returns a sentence for every import that the table does not allow.
func checkImports(pkgs []listed, table map[string][]string) []string {
	var broken []string
	for _, p := range pkgs {
		pkg := folder(p.ImportPath)
		allowed, ok := table[pkg]
		if !ok {
			broken = append(broken, pkg+" has no row in mayImport (imports_test.go): add one that says which layer it is")
			continue
		}
		for _, imp := range p.Imports {
			if !slices.ContainsFunc(allowed, func(a string) bool { return covers(a, imp) }) && !standard(imp) {
				broken = append(broken, fmt.Sprintf("%s imports %s; its row in mayImport (imports_test.go) allows %q", pkg, folder(imp), allowed))
			}
		}
	}
	return broken
}

// covers reports whether a row's entry allows an import. A folder of this module
// is that package alone, another module is all of it.
func covers(entry, imp string) bool {
	if own(imp) {
		return path.Join(module, entry) == imp
	}
	return entry == imp || strings.HasPrefix(imp, entry+"/")
}

// standard reports whether an import is of the standard library: its paths have no dot in their first element.
func standard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}

func own(imp string) bool { return imp == module || strings.HasPrefix(imp, module+"/") }

func folder(imp string) string {
	switch {
	case imp == module:
		return "."
	case own(imp):
		return strings.TrimPrefix(imp, module+"/")
	default:
		return imp
	}
}

// importCycle returns a cycle that the table would allow, or "".
func importCycle(table map[string][]string) string {
	done := map[string]bool{}
	var visit func(pkg string, way []string) string
	visit = func(pkg string, way []string) string {
		if slices.Contains(way, pkg) {
			return strings.Join(append(way, pkg), " -> ")
		}
		if done[pkg] {
			return ""
		}
		for _, next := range table[pkg] {
			if cycle := visit(next, append(slices.Clip(way), pkg)); cycle != "" {
				return cycle
			}
		}
		done[pkg] = true
		return ""
	}
	for pkg := range table {
		if cycle := visit(pkg, nil); cycle != "" {
			return cycle
		}
	}
	return ""
}

// listPackages lists the packages of the module. -e: a package that does not
// build is the compiler's business, and its imports are known all the same.
func listPackages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v: %s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var pkgs []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return pkgs
		case err != nil:
			t.Fatalf("reading the output of go list: %v", err)
		}
		pkgs = append(pkgs, p)
	}
}

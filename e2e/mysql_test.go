package e2e_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/internal/gtid"
)

func TestAPurgedLogOfMySQLIsRecoveredFrom(t *testing.T) {
	t.Parallel()
	for flavour, start := range map[string]func(context.Context, devstack.MySQLConfig) (*devstack.MySQL, error){
		"mysql": devstack.StartMySQL, "mariadb": devstack.StartMariaDB,
	} {
		t.Run(flavour, func(t *testing.T) {
			map[string]func(testing.TB) *devstack.MySQL{"mysql": devtest.MySQL, "mariadb": devtest.MariaDB}[flavour](t) // which installs it
			server, err := start(t.Context(), devstack.MySQLConfig{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { closed(t, server.Close()) })
			brokers := devtest.Kafka(t).Brokers()
			executeMySQL(t, server, "", "CREATE DATABASE shop; CREATE TABLE shop.items (id INT PRIMARY KEY)")
			topic := devtest.Topic(t)
			site := newSite(t, raced, fmt.Sprintf("brokers: [%s]\ntopics: {partitions: %d}", brokers, partitions),
				mysqlPipeline(server, fmt.Sprintf("- {match: shop.items, topic: %s, delay: 0}", topic)))
			text, err := os.ReadFile(site.file)
			if err != nil {
				t.Fatal(err)
			}
			site.write(t, strings.Replace(string(text), "http: {", "http: {token: "+operatorToken+", ", 1))
			if out, errs, code := site.command(t, "check"); code != 0 || !strings.Contains(out, "M18") {
				t.Errorf("check: got exit status %d, want 0 and that the log can be read:\n%s%s", code, out, errs)
			}
			n := site.start(t)
			n.reaches(t, "streaming")
			executeMySQL(t, server, "shop", "INSERT INTO items VALUES (1)")
			drainedMySQL(t, site, server)
			if out, _, code := site.command(t, "position", "show", "shop"); code != 0 || !strings.Contains(out, server.Flavour()+":") {
				t.Errorf("position show: got exit status %d, want a position of %s:\n%s", code, server.Flavour(), out)
			}
			if code := n.terminate(t); code != 0 {
				t.Fatalf("got exit status %d after SIGTERM, want 0", code)
			}
			executeMySQL(t, server, "shop", "INSERT INTO items VALUES (2)")
			purge(t, server)

			n = site.start(t)
			n.reaches(t, "stopped", "purged", "kafkasync recover shop --new-slot")
			if out, errs, code := site.command(t, "recover", "shop", "--adopt-slot"); code != 1 || !strings.Contains(errs, "has no slots") {
				t.Errorf("adopting a slot: got exit status %d, want to hear that there is none:\n%s%s", code, out, errs)
			}
			out, errs, code := site.command(t, "recover", "shop", "--new-slot")
			if code != 0 || !strings.Contains(out, "begins anew where the log ends now") {
				t.Fatalf("recovering: got exit status %d:\n%s%s", code, out, errs)
			}
			n.reaches(t, "streaming")
			if gaps := site.gaps(t); len(gaps) != 1 || gaps[0].Table != "shop.items" || !strings.Contains(gaps[0].Cause, "purged") {
				t.Errorf("got the gaps %+v, want what was purged", gaps)
			}
			executeMySQL(t, server, "shop", "INSERT INTO items VALUES (3)")
			drainedMySQL(t, site, server)
			var keys []string
			readTo(t, brokers, ends(t, brokers, topic), func(r *kgo.Record) { keys = append(keys, string(r.Key)) })
			if got := strings.Join(keys, " "); len(keys) != 2 || !strings.Contains(got, "1") || !strings.Contains(got, "3") {
				t.Errorf("got %s in Kafka, want 1 and 3", got)
			}
		})
	}
}

// purge throws away all of the log but its last file, once the server lets go of it: it keeps what it would
// need itself to start again.
func purge(t testing.TB, server *devstack.MySQL) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		executeMySQL(t, server, "", "FLUSH BINARY LOGS")
		files := queryMySQL(t, server, "SHOW BINARY LOGS")
		executeMySQL(t, server, "", "PURGE BINARY LOGS TO '"+files[len(files)-1][0]+"'")
		if left := queryMySQL(t, server, "SHOW BINARY LOGS"); len(left) != 1 {
			return fmt.Sprintf("%d files are left", len(left))
		}
		return ""
	})
}

// mysqlPipeline is the text of a pipeline in the file.
func mysqlPipeline(server *devstack.MySQL, tables string) string {
	return mysqlPipelineAt("shop", server.Flavour(), server.URL(""), tables)
}

func mysqlPipelineAt(name, flavour, url, tables string) string {
	return fmt.Sprintf("- name: %s\n  source: {%s: {url: %q}}\n  tables:\n%s", name, flavour, url, indent(indent(tables)))
}

func executeMySQL(t testing.TB, server *devstack.MySQL, database, sql string) {
	t.Helper()
	if err := server.Exec(t.Context(), database, sql); err != nil {
		t.Fatalf("running %q: %v", sql, err)
	}
}

func queryMySQL(t testing.TB, server *devstack.MySQL, sql string) [][]string {
	t.Helper()
	rows, err := server.Query(t.Context(), "", sql)
	if err != nil {
		t.Fatalf("running %q: %v", sql, err)
	}
	return rows
}

// drainedMySQL waits until the pipeline has committed all that the server has executed.
func drainedMySQL(t testing.TB, s *site, server *devstack.MySQL) {
	t.Helper()
	drainedMySQLIn(t, time.Minute, s, server)
}

func drainedMySQLIn(t testing.TB, limit time.Duration, s *site, server *devstack.MySQL) {
	t.Helper()
	text, err := server.Executed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := "mariadb:" + text
	if server.Flavour() == "mysql" {
		set, err := gtid.ParseSet(text)
		if err != nil {
			t.Fatal(err)
		}
		want = "mysql:" + set.String()
	}
	eventually(t, limit, func() string {
		p, err := s.pipeline(t.Context())
		switch {
		case err != nil:
			return err.Error()
		case p.Position != want:
			return fmt.Sprintf("the position is %s, want %s (%s)", p.Position, want, p.Error)
		}
		return ""
	})
}

// heldBy returns the transactions after one that the ledger in the database holds.
func heldBy(t testing.TB, server *devstack.MySQL, database string, after int64) []int64 {
	t.Helper()
	var held []int64
	for _, row := range queryMySQL(t, server, fmt.Sprintf("SELECT id FROM %s.ledger WHERE id > %d", database, after)) {
		id, err := strconv.ParseInt(row[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, id)
	}
	return held
}

// numberOf is the last number of a GTID, which only grows on one server.
func numberOf(pos string) (uint64, error) {
	at := strings.LastIndexAny(pos, ":-")
	n, err := strconv.ParseUint(pos[at+1:], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no GTID: %w", pos, err)
	}
	return n, nil
}

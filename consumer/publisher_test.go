package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
	"github.com/kafkasync/kafkasync/internal/gtid"
)

const (
	uuid  = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	other = "4f22fa47-71ca-11e1-9e33-c80aa9429562"
)

func TestAPositionIsComparedWithAPlace(t *testing.T) {
	tests := []struct {
		position, pos string
		want          bool
	}{
		{"738:1:0/16B3748", "0/16B3747", true},
		{"738:1:0/16B3748", "0/16B3748", false}, // a commit record that begins where the position is was not read
		{"738:1:0/16B3748", "1/0", false},
		{"738:2:1/0", "0/FFFFFFFF", true},

		{"mysql:" + uuid + ":1-23", uuid + ":23", true},
		{"mysql:" + uuid + ":1-23", strings.ToUpper(uuid) + ":23", true},
		{"mysql:" + uuid + ":1-23", uuid + ":24", false},
		{"mysql:" + uuid + ":1-23", other + ":1", false},
		{"mysql:", uuid + ":1", false},
		{"mysql:" + uuid + ":1-5:9-23", uuid + ":4-10", false},
		{"mysql:" + uuid + ":1-5:9-23," + other + ":1", uuid + ":2-4:10-11,\n" + other + ":1", true},
		{"mysql:" + uuid + ":1-5:tag:1-3", uuid + ":tag:3", true},
		{"mysql:" + uuid + ":1-5:tag:1-3", uuid + ":tag:4", false},
		{"mysql:" + uuid + ":1-5:tag:1-3", uuid + ":other:1", false},
		{"mysql:" + uuid + ":1-5:tag:1-3", uuid + ":1-2:TAG:1-2", true},

		{"mariadb:0-1-100", "0-1-100", true},
		{"mariadb:0-2-101", "0-1-100", true}, // its primary changed
		{"mariadb:0-2-100", "0-1-100", false},
		{"mariadb:0-1-100", "0-1-101", false},
		{"mariadb:", "0-1-1", false},
		{"mariadb:0-1-100,1-1-7", "1-1-7,0-1-99", true},
		{"mariadb:0-1-100", "1-1-7", false},

		{"file:" + uuid + ":binlog.000003:157", "binlog.000003:157", true},
		{"file:" + uuid + ":binlog.000003:157", "binlog.000003:158", false},
		{"file:" + uuid + ":binlog.000004:4", "binlog.000003:5000000000", true},
		{"file:" + uuid + ":binlog.1000000:4", "binlog.999999:400", true},
	}
	for _, tt := range tests {
		got, err := consumer.Behind(tt.position, tt.pos)
		if err != nil || got != tt.want {
			t.Errorf("a pipeline at %s has published %s: got %t (%v), want %t", tt.position, tt.pos, got, err, tt.want)
		}
		// What the source itself says.
		kind, at, _ := strings.Cut(tt.position, ":")
		switch kind {
		case "mysql":
			ours, err := gtid.ParseSet(at)
			theirs, err2 := gtid.ParseSet(tt.pos)
			if err = errors.Join(err, err2); err != nil || ours.Contains(theirs) != got {
				t.Errorf("%s and %s: the source says something else, or %v", at, tt.pos, err)
			}
		case "mariadb":
			ours, err := gtid.ParseMariaPosition(at)
			theirs, err2 := gtid.ParseMariaPosition(tt.pos)
			if err = errors.Join(err, err2); err != nil || ours.Reached(theirs) != got {
				t.Errorf("%s and %s: the source says something else, or %v", at, tt.pos, err)
			}
		}
	}
}

func TestAPlaceOfAnotherDatabaseIsRefused(t *testing.T) {
	places := map[string]string{
		"738:1:0/16B3748":                     "0/16B3748",
		"mysql:" + uuid + ":1-23":             uuid + ":1",
		"mariadb:0-1-100":                     "0-1-100",
		"file:" + uuid + ":binlog.000003:157": "binlog.000003:157",
	}
	wrong := []string{"", "x", "0/", "/1", "0/1FFFFFFFF", "0-1", "0-1-1-1", "0-1-99999999999999999999", uuid, uuid + ":", uuid + ":5-3", uuid + ":x-y:1", uuid + ":1-2-3", "binlog:1", "binlog.x:1", "binlog.000003:"}
	for position, fits := range places {
		for _, pos := range places {
			if _, err := consumer.Behind(position, pos); (err == nil) != (pos == fits) {
				t.Errorf("%q at %q: got %v", pos, position, err)
			}
		}
		for _, pos := range wrong {
			if is, err := consumer.Behind(position, pos); err == nil || !strings.Contains(err.Error(), "want a place like ") {
				t.Errorf("%q at %q: got %t (%v), want an error that says what would be right", pos, position, is, err)
			}
		}
	}
	if _, err := consumer.Behind("file:"+uuid+":binlog.000003:157", "mysql-bin.000003:157"); err == nil {
		t.Error("a file of another name: got no error")
	}
}

// answering is a node's HTTP: what it says is the test's choice.
func answering(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestAPublisherIsAskedUntilItIsFarEnough(t *testing.T) {
	var asked, down atomic.Int64
	away := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		down.Add(1)
		http.Error(w, "encoding the status: see the log of this node", http.StatusInternalServerError)
	})
	node := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/status" || r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "this needs http.read_token as a bearer token", http.StatusUnauthorized)
			return
		}
		position := map[int64]string{1: "", 2: "738:1:0/FF", 3: "738:1:0/100"}[min(asked.Add(1), 4)]
		if position == "" && asked.Load() > 1 {
			position = "738:1:0/101"
		}
		_, _ = fmt.Fprintf(w, `{"pipelines": [{"name": "blog", "position": "mysql:"}, {"name": "shop", "state": "streaming", "position": %q, "more": {}}]}`, position)
	})
	p := consumer.Publisher{Nodes: []string{away, "http://" + node + "/"}, Pipeline: "shop", Token: "secret"}
	if err := p.Await(t.Context(), "0/100"); err != nil || asked.Load() != 4 || down.Load() != 4 {
		t.Errorf("got %v after %d looks, want to pass at the fourth one, with a node beside it that fails (%d times)", err, asked.Load(), down.Load())
	}
	soon, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := p.Await(soon, "7/0")
	for _, want := range []string{"everything up to 7/0", `pipeline shop is streaming, its position is "738:1:0/101"`} {
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want that the time is over, and %q", err, want)
		}
	}

	tests := []struct {
		name   string
		change func(*consumer.Publisher)
		pos    string
		want   string
	}{
		{"no nodes", func(p *consumer.Publisher) { p.Nodes = nil }, "0/1", "Publisher.Nodes is"},
		{"another token", func(p *consumer.Publisher) { p.Token = "x" }, "0/1", "Publisher.Token"},
		{"another pipeline", func(p *consumer.Publisher) { p.Pipeline = "shoe" }, "0/1", `the pipelines ["blog" "shop"]`},
		{"which pipeline", func(p *consumer.Publisher) { p.Pipeline = "" }, "0/1", `the pipelines ["blog" "shop"]`},
		{"a place of another database", func(*consumer.Publisher) {}, "0-1-1", "want a place like 0/16B3748"},
		{"no address", func(p *consumer.Publisher) { p.Nodes = []string{"a b"} }, "0/1", "Publisher.Nodes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := p
			tt.change(&p)
			// None of these is worth waiting.
			if err := p.Await(t.Context(), tt.pos); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	var fault *kafkasync.Fault
	p.Token = ""
	if err := p.Await(t.Context(), "0/1"); !errors.As(err, &fault) || fault.Class != kafkasync.Stop {
		t.Errorf("got %v without the token, want a fault that waiting does not mend", err)
	}
}

package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/internal/route"
)

// Each of these is a secret in a place of its own; none of their pieces occurs in
// a message of ours.
const secrets = `# password: Zc1Zc2Zc3Zc4
name: kafkasync
http:
  token: Za1Za2Za3Za4
  read_token: "Zb1Zb2Zb3Zb4"
kafka:
  brokers: [127.0.0.1:9092]
  config:
    sasl.password: Zd1Zd2Zd3Zd4
    ssl.key.pem: |
      Ze1Ze2Ze3Ze4
      Zf1Zf2Zf3Zf4
    sasl.username: 'Zg1Zg2Zg3Zg4' # Zh1Zh2Zh3Zh4
    ssl.keystore.password: Zi1Zi2
      Zj1Zj2Zj3Zj4
pipelines:
  - name: shop
    source: {postgres: {password: Zk1Zk2Zk3Zk4, slot: shop, url: postgres://cdc@db/shop}}
    tables: [{match: public.products, payload: [id]}]
  - name: crm
    source:
      postgres:
        url: postgres://cdc:Zl1Zl2Zl3Zl4@db/crm
    tables:
      - match: public.*
        topic: ${TOPIC}
      - {match: "${MATCH}", delay: 0}
  - name: web
    source: {mysql: {password: Zo1Zo2Zo3Zo4, server_id: 7400, url: "mysql://cdc@db/?tls=required"}}
    tables: [{match: shop.*, topic: "web-{table}"}]
  - name: old
    source:
      mariadb:
        url: mysql://cdc:Zp1Zp2Zp3Zp4@db2/
    tables: [{match: shop.*, topic: "old-{table}"}]
`

func secretEnv() func(string) (string, bool) {
	return env("TOPIC", "Zm1Zm2Zm3Zm4", "MATCH", "Zn1.Zn2Zn3")
}

// leak returns a piece of a secret that shows, or "".
func leak(text string) string {
	for i := strings.IndexByte(text, 'Z'); i >= 0 && i+1 < len(text); {
		if c := text[i+1]; c >= 'a' && c <= 'p' {
			return text[i:min(i+12, len(text))]
		}
		next := strings.IndexByte(text[i+1:], 'Z')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return ""
}

func TestNoSecretShowsHoweverTheFileIsBroken(t *testing.T) {
	t.Parallel()
	if _, err := config.Parse("f", []byte(secrets), secretEnv()); err != nil {
		t.Fatalf("the file is right, but: %v", err)
	}
	seen := map[string]bool{}
	try := func(how, text string) {
		_, err := config.Parse("f", []byte(text), secretEnv())
		if err == nil {
			return
		}
		var problems config.Problems
		if !errors.As(err, &problems) {
			t.Fatalf("%s: got %T, want problems", how, err)
		}
		for _, p := range problems {
			seen[p.What] = true
		}
		if piece := leak(problems.Error()); piece != "" {
			t.Errorf("%s: %q shows in\n%v\n\nof\n%s", how, piece, err, text)
		}
	}
	lines := strings.SplitAfter(secrets, "\n")
	for i := range lines {
		without := strings.Join(lines[:i], "") + strings.Join(lines[i+1:], "")
		try(fmt.Sprintf("without line %d", i+1), without)
		try(fmt.Sprintf("line %d twice", i+1), strings.Join(lines[:i+1], "")+strings.Join(lines[i:], ""))
		try(fmt.Sprintf("line %d indented", i+1), strings.Join(lines[:i], "")+"  "+strings.Join(lines[i:], ""))
	}
	inserts := []string{"\n", "\n  ", "\"", "'", "{", "}", "[", "]", ",", ", ", ":", ": ", "#", " #", "&", "*", "!", "|", "%", "@", "\t", "- ", "? ", "x", "${", "\\", "\r\n"}
	for at := range secrets {
		for i := at % 8; i < len(inserts); i += 8 { // an eighth of all pairs, to be quick
			insert := inserts[i]
			try(fmt.Sprintf("%q at %d", insert, at), secrets[:at]+insert+secrets[at:])
		}
		try(fmt.Sprintf("without byte %d", at), secrets[:at]+secrets[at+1:])
		if t.Failed() {
			return // the first is enough to read
		}
	}
	if len(seen) < 100 {
		t.Errorf("got %d different problems, want enough for the test to mean something", len(seen))
	}
}

func TestAPrintedConfigHoldsNoSecret(t *testing.T) {
	c := mustParse(t, secrets, "TOPIC", "orders", "MATCH", "a.b")
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("loaded", "config", c, "http", c.HTTP, "kafka", c.Kafka, "pipeline", c.Pipelines[1])
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.NewBuffer(append(log.Bytes(), encoded...))
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, value := range []any{c, *c, c.HTTP, c.Kafka, c.Pipelines, struct{ C *config.Config }{c}} {
			fmt.Fprintf(out, format+"\n", value)
		}
	}
	printed := out.String()
	if piece := leak(printed); piece != "" {
		t.Errorf("%q shows in\n%s", piece, printed)
	}
	for _, want := range []string{"sasl.password", "public.products", "kafkasync_crm", "Token:(set)"} {
		if !strings.Contains(printed, want) {
			t.Errorf("got %s, want it to hold %q", printed, want)
		}
	}
	if c.HTTP.Token != "Za1Za2Za3Za4" || c.Kafka.Properties["sasl.password"] != "Zd1Zd2Zd3Zd4" {
		t.Error("printing has changed the configuration")
	}
}

func FuzzParseNeverPanicsAndNeverShowsWhatTheEnvironmentHolds(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(secrets))
	f.Add([]byte("${A}: [{&a *a: !b c}, 'd', \"e\\x\", |\n f\n"))
	for _, name := range []string{"full.yaml", "problems/rules.yaml", "problems/references.yaml", "problems/anchors.yaml", "problems/unknown-keys.yaml"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	const value = "Zq1Zq2Zq3Zq4"
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Contains(data, []byte("file:")) && !bytes.Contains(data, []byte("/does/not/exist")) {
			return // no fuzzing of this machine's files
		}
		c, err := config.Parse("f", data, func(string) (string, bool) { return value, true })
		if (c == nil) == (err == nil) {
			t.Fatalf("got %v and %v, want one of the two", c, err)
		}
		if err == nil {
			for _, p := range c.Pipelines {
				if _, err := route.New(p.Name, p.Rules, p.Encoding); err != nil {
					t.Errorf("the file was taken, but its rules are refused: %v", err)
				}
			}
			return
		}
		if strings.Contains(err.Error(), value) && !bytes.Contains(data, []byte(value)) {
			t.Errorf("the value of a variable shows: %v", err)
		}
	})
}

package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/config"
)

func TestTheServersRunUntilTheyAreInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("-short starts no servers")
	}
	for source, want := range map[string]string{"postgres": "UPDATE 10", "mysql": "10", "mariadb": "10"} {
		t.Run(source, func(t *testing.T) { runUntilInterrupted(t, source, want) })
	}
}

func runUntilInterrupted(t *testing.T, source, want string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "kafkasync.yaml")
	// As an earlier run left it.
	if err := os.WriteFile(file, []byte(mark+"name: old\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// The default address is taken, by us if by nobody else.
	if taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:7480"); err == nil {
		defer taken.Close()
	}
	ctx, interrupt := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-dir", dir, "-source", source}, w)
		done <- err
		_ = w.CloseWithError(io.EOF)
	}()
	printed := bufio.NewReader(r)
	welcome := readUntil(t, printed, "Ctrl-C")

	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if listen := cfg.HTTP.Listen; listen == "127.0.0.1:7480" || !strings.Contains(welcome, "http://"+listen+"/") {
		t.Errorf("got http.listen %s and %s, want a free address that is printed", listen, welcome)
	}
	if free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", cfg.HTTP.Listen); err != nil {
		t.Errorf("the address in the file is not free: %v", err)
	} else {
		free.Close()
	}
	brokers := cfg.Kafka.Brokers[0]
	if !strings.Contains(welcome, "kcat -b "+brokers) {
		t.Errorf("got %s, want a kcat command for %s", welcome, brokers)
	}
	if got := updateProducts(t, welcome); got != want {
		t.Errorf("the printed command: got %q, want %s", got, want)
	}

	interrupt()
	goodbye := readUntil(t, printed, "stopping")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", brokers); err == nil {
		conn.Close()
		t.Errorf("got an answer from Kafka after %q, want none", goodbye)
	}
}

// readUntil returns what is printed up to the line with text.
func readUntil(t *testing.T, printed *bufio.Reader, text string) string {
	t.Helper()
	var all strings.Builder
	for {
		line, err := printed.ReadString('\n')
		all.WriteString(line)
		if strings.Contains(line, text) {
			return all.String()
		}
		if err != nil {
			t.Fatalf("got %q and %v, want a line with %q", all.String(), err, text)
		}
	}
}

// updateProducts runs the command of the database's client just as it was printed, and
// returns what it says, or, of one that says nothing, how many rows are as it should have made them.
func updateProducts(t *testing.T, welcome string) string {
	t.Helper()
	line := strings.TrimSpace(regexp.MustCompile(`.* -[ce] 'UPDATE .*`).FindString(welcome))
	said := shell(t, line)
	if said == "" {
		before, _, _ := strings.Cut(line, " -e ")
		said = shell(t, before+" -N -e 'SELECT COUNT(*) FROM products WHERE featured'")
	}
	return said
}

func shell(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("running %q: %v\n%s", line, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestAnUnknownDatabaseIsRefused(t *testing.T) {
	err := run(t.Context(), []string{"-dir", t.TempDir(), "-source", "oracle"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "want postgres, mysql or mariadb") {
		t.Errorf("got %v, want to hear what there is", err)
	}
}

func TestAFileOfSomebodyElseIsNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "kafkasync.yaml")
	if err := os.WriteFile(file, []byte("name: mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), []string{"-dir", dir}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "was not written by this program") {
		t.Errorf("got %v, want a refusal", err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "name: mine\n" {
		t.Errorf("got %q and %v, want the file as it was", text, err)
	}
}

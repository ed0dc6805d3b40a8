package demo_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/demo"
)

const rows = 20_000

// showing is a demo that runs as a process of its own, in a folder that shows
// what it leaves behind.
type showing struct {
	cmd     *exec.Cmd
	tmp     string
	printed *bufio.Reader
	stderr  *bytes.Buffer
}

// build builds the program, whose path it returns.
func build(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real server (postgresql), and -short starts none")
	}
	program := filepath.Join(t.TempDir(), "kafkasync")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/kafkasync").CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	return program
}

// begin starts the demo as a person would.
func begin(t *testing.T, program string, args ...string) *showing {
	t.Helper()
	// Not t.TempDir, above which is a folder that user postgres may not enter.
	tmp, err := os.MkdirTemp("/tmp", "demo-test-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &showing{tmp: tmp, stderr: &bytes.Buffer{}}
	s.cmd = exec.CommandContext(t.Context(), program, append([]string{"demo"}, args...)...)
	s.cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	s.cmd.Stderr = s.stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.printed = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil { // the test failed before
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
		if err := os.RemoveAll(tmp); err != nil {
			t.Error(err)
		}
	})
	return s
}

// until returns what is printed up to the line with text.
func (s *showing) until(t *testing.T, text string) string {
	t.Helper()
	var all strings.Builder
	for {
		line, err := s.printed.ReadString('\n')
		all.WriteString(line)
		switch {
		case strings.Contains(line, text):
			return all.String()
		case err != nil:
			t.Fatalf("got %q, %v and on stderr %q, want a line with %q", all.String(), err, s.stderr.String(), text)
		}
	}
}

// end sends a signal and returns the exit status and what was still printed.
func (s *showing) end(t *testing.T, signal os.Signal) (int, string) {
	t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(s.printed)
	if err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := s.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return s.cmd.ProcessState.ExitCode(), string(rest)
}

// left lists the files, and the processes by their command lines, that are still there.
func (s *showing) left(t *testing.T) []string {
	t.Helper()
	var found []string
	entries, err := os.ReadDir(s.tmp)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		found = append(found, e.Name())
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err == nil && bytes.Contains(line, []byte(s.tmp)) { // an error: it has ended
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// figure returns a number of the summary.
func figure(t *testing.T, printed, name string) int {
	t.Helper()
	found := regexp.MustCompile(`(?m)^  ` + name + ` +([0-9,]+)   `).FindStringSubmatch(printed)
	if found == nil {
		t.Fatalf("got %s, want a summary with a line %q", printed, name)
	}
	n, err := strconv.Atoi(strings.ReplaceAll(found[1], ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// run runs the printed command that has text in it, with more behind it.
func run(t *testing.T, commands, text, more string) string {
	t.Helper()
	for line := range strings.Lines(commands) {
		if !strings.Contains(line, text) {
			continue
		}
		out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", strings.TrimSpace(line)+" "+more).CombinedOutput()
		if err != nil {
			t.Fatalf("running %q: %v\n%s", line, err, out)
		}
		return string(out)
	}
	t.Fatalf("got %s, want a command with %q", commands, text)
	return ""
}

func TestTheDemo(t *testing.T) {
	program := build(t)
	for source, client := range map[string]string{"postgres": "psql|-Atc", "mysql": "/mysql |-N -e", "mariadb": "/mariadb |-N -e"} {
		t.Run("counts every row of "+source+" and stays until Ctrl-C", func(t *testing.T) { countsAndStays(t, program, source, client) })
	}
	t.Run("interrupted, says so and leaves nothing", func(t *testing.T) { interrupted(t, program) })
	t.Run("killed, leaves nothing", func(t *testing.T) { killed(t, program) })
}

func countsAndStays(t *testing.T, program, source, client string) {
	s := begin(t, program, "--source", source, "--keep", "--rows", strconv.Itoa(rows))
	printed := s.until(t, "Status page of node c:")

	if strings.Contains(printed, "\x1b") {
		t.Errorf("got %q, want no colours outside a terminal", printed)
	}
	changed := 1 + rows/200 + (rows + 1) + 1 // one before the bulk, which it is part of, and one after the kill
	if got := figure(t, printed, "rows changed"); got != changed {
		t.Errorf("rows changed: got %d, want %d", got, changed)
	}
	if got := figure(t, printed, "lost"); got != 0 {
		t.Errorf("lost: got %d, want 0", got)
	}
	if instant, repeated := figure(t, printed, "instant"), figure(t, printed, "repeated"); instant != changed+repeated {
		t.Errorf("got %d messages, %d of them repeated, want every row once besides", instant, repeated)
	}
	expectFailover(t, printed)

	_, commands, _ := strings.Cut(printed, "In other terminals:")
	runsAsPrinted(t, s, commands, client)

	exit, goodbye := s.end(t, syscall.SIGINT)
	if exit != 0 || !strings.Contains(goodbye, "nothing is left behind") {
		t.Errorf("Ctrl-C: got exit %d, %q and on stderr %q, want 0 and a goodbye", exit, goodbye, s.stderr)
	}
	if left := s.left(t); len(left) != 0 {
		t.Errorf("got %q after the end, want nothing", left)
	}
}

// expectFailover looks whether a node was killed, another one took over, and the first came back.
func expectFailover(t *testing.T, printed string) {
	t.Helper()
	story := regexp.MustCompile(`(?s)kill -9 ([0-9]+)   node ([abc]), which leads.* node ([abc]) has taken over by itself.*` +
		`without node ([abc])\n.*KAFKASYNC_NODE=([abc]) kafkasync run   process ([0-9]+): up after .*, (?:as a follower of node [abc]|and leads again)\n.*\n  failover time `).
		FindStringSubmatch(printed)
	if story == nil {
		t.Fatalf("got %s, want that the leader was killed, another node took over, and the first one followed", printed)
	}
	killed, pid := story[2], story[1]
	if story[3] == killed || story[4] != killed || story[5] != killed || story[6] == pid {
		t.Errorf("got %q, want that a node other than %s took over, and that this one came back as another process than %s", story[1:], killed, pid)
	}
}

// runsAsPrinted tries what the demo tells a person to try.
func runsAsPrinted(t *testing.T, s *showing, commands, client string) {
	t.Helper()
	client, option, _ := strings.Cut(client, "|")
	if got := run(t, commands, "consume products", "--from-beginning --limit 1"); !strings.Contains(got, `{"id":`) {
		t.Errorf("the printed consume: got %q, want a message", got)
	}
	if got, want := run(t, commands, client, option+" 'SELECT count(*) FROM products'"), strconv.Itoa(rows+2); strings.TrimSpace(got) != want {
		t.Errorf("the printed client of the database: got %q, want %s rows", got, want)
	}
	// Again, because on a very busy machine leadership may just be changing hands.
	for deadline := time.Now().Add(time.Minute); ; {
		got := run(t, commands, "status -c", "")
		if strings.Contains(got, "streaming") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the printed status: got %q for a minute, want a pipeline that streams", got)
		}
	}
	run(t, commands, "kill -9", "")
	s.until(t, " is back after ")
}

func interrupted(t *testing.T, program string) {
	s := begin(t, program, "--rows", strconv.Itoa(rows))
	s.until(t, "reading the log of Postgres")
	exit, _ := s.end(t, syscall.SIGTERM)
	if exit != 1 || !strings.Contains(s.stderr.String(), "interrupted; everything is stopped") {
		t.Errorf("got exit %d and %q, want 1 and that it was interrupted", exit, s.stderr)
	}
	if left := s.left(t); len(left) != 0 {
		t.Errorf("got %q after the end, want nothing", left)
	}
}

func killed(t *testing.T, program string) {
	s := begin(t, program, "--rows", strconv.Itoa(rows))
	s.until(t, "reading the log of Postgres")
	if left := s.left(t); len(left) < 4 { // two folders and their processes, else left sees nothing
		t.Fatalf("got %q while it runs, want its folders and processes", left)
	}
	s.end(t, syscall.SIGKILL)
	// Its guards clean up in a moment, but after it.
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); len(s.left(t)) != 0; {
		if now := <-tick.C; now.After(deadline) {
			t.Fatalf("got %q a minute after the kill, want nothing", s.left(t))
		}
	}
}

func TestAnUnknownSourceIsRefused(t *testing.T) {
	var out bytes.Buffer
	err := demo.Run(t.Context(), demo.Config{Rows: demo.MinRows, Source: "oracle", Out: &out})
	if err == nil || !strings.Contains(err.Error(), "want postgres, mysql or mariadb") || out.Len() != 0 {
		t.Errorf("got %v and %q, want a refusal before anything is started", err, out.String())
	}
}

func TestTooFewRowsAreRefused(t *testing.T) {
	var out bytes.Buffer
	err := demo.Run(t.Context(), demo.Config{Rows: 999, Out: &out})
	if err == nil || !strings.Contains(err.Error(), "got 999 rows, want at least 1000") || out.Len() != 0 {
		t.Errorf("got %v and %q, want a refusal before anything is started", err, out.String())
	}
}

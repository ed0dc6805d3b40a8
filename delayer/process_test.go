package delayer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/delayer"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/sink"
)

// processVariable makes of a test binary a process that runs a delayer; it holds a spec.
const processVariable = "DELAYER_TEST_PROCESS"

// spec is what a process runs.
type spec struct {
	Name    string // client.id
	Topic   string
	Brokers string
	Delay   time.Duration
	Pairs   []kafkasync.Pair

	KillAfter    int  // kill yourself when this batch is acknowledged, before anybody knows
	FreezeBefore int  // stop yourself when this batch is about to be published
	Count        bool // print what librdkafka's statistics say
}

// runProcess is main of such a process.
func runProcess(text string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		log.Error("reading what to run", "err", err)
		return 1
	}
	cfg := (&stage{topic: s.Topic, brokers: s.Brokers, delay: s.Delay}).settings(s.Name, s.Pairs...)
	cfg.Logger = log
	open := cfg.OpenSink
	cfg.OpenSink = func(ctx context.Context) (sink.Sink, error) {
		out, err := open(ctx)
		return &fateful{Sink: out, spec: s}, err
	}
	if s.Count {
		cfg.Properties["statistics.interval.ms"] = "200"
		delayer.Fetched(&cfg, func(statistics string) { _, _ = fmt.Fprintln(os.Stdout, statistics) })
	}
	d, err := delayer.New(cfg)
	if err != nil {
		log.Error("making a delayer", "err", err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	supervise(ctx, d, log)
	return 0
}

// fateful is a sink in whose Publish a process meets its end, where a test wants it.
type fateful struct {
	sink.Sink

	spec spec
	n    int
}

func (f *fateful) Publish(ctx context.Context, msgs []kafkasync.Message) error {
	f.n++
	if f.n == f.spec.FreezeBefore {
		if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
			return err
		}
	}
	err := f.Sink.Publish(ctx, msgs)
	if f.n == f.spec.KillAfter && err == nil {
		err = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return err
}

// process is one that runs a delayer.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *text // of the log
	out  *text // of what it counts
	done chan struct{}
}

// process starts one, which ends with the test.
func (s *stage) process(t testing.TB, what spec, pair kafkasync.Pair) *process {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return s.processOf(t, executable, what, pair)
}

func (s *stage) processOf(t testing.TB, executable string, what spec, pair kafkasync.Pair) *process {
	t.Helper()
	what.Topic, what.Brokers, what.Delay, what.Pairs = s.topic, s.brokers, s.delay, []kafkasync.Pair{pair}
	encoded, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{name: what.Name, log: &text{}, out: &text{}, done: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), executable)
	p.cmd.Env = append(os.Environ(), processVariable+"="+string(encoded))
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.log
	// It does not outlive the tests, not even if they are killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // the state says how it ended
	}()
	t.Cleanup(func() {
		p.kill(t)
		if t.Failed() {
			t.Logf("process %s (%s) said:\n%s", p.name, p.cmd.ProcessState, p.log)
		}
		for _, bad := range []string{"DATA RACE", "panic:", "goroutine 1 ["} {
			if strings.Contains(p.log.String(), bad) {
				t.Errorf("process %s: its log has %q:\n%s", p.name, bad, p.log)
			}
		}
	})
	return p
}

// kill ends the process with SIGKILL, if it still runs, and waits.
func (p *process) kill(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("killing process %s: %v", p.name, err)
	}
	<-p.done
}

// dies waits until the process has killed itself.
func (p *process) dies(t testing.TB) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		t.Fatalf("process %s does not end", p.name)
	}
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Fatalf("process %s: got %s, want that it was killed", p.name, p.cmd.ProcessState)
	}
}

// terminate asks the process to end in order, and returns its exit status and how long that took.
func (p *process) terminate(t testing.TB) (code int, took time.Duration) {
	t.Helper()
	began := time.Now()
	p.signal(t, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		t.Fatalf("process %s does not end", p.name)
	}
	return p.cmd.ProcessState.ExitCode(), time.Since(began)
}

func (p *process) freeze(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGSTOP)
	p.stopped(t)
}

// stopped waits until the process stands still.
func (p *process) stopped(t testing.TB) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if state := stat[bytes.LastIndexByte(stat, ')')+2]; state != 'T' {
			return fmt.Sprintf("process %s is in state %c, want it stopped", p.name, state)
		}
		return ""
	})
}

func (p *process) wake(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGCONT)
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("sending %s to process %s: %v", s, p.name, err)
	}
}

// memory returns the most memory that the process has had, in kB.
func (p *process) memory(t testing.TB) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb
}

// fetched returns how many bytes the process's consumer has received from the brokers, by its newest statistics.
func (p *process) fetched(t testing.TB) int64 {
	t.Helper()
	lines := strings.Split(p.out.String(), "\n")
	if len(lines) < 2 {
		return 0
	}
	var s struct {
		Bytes int64 `json:"rx_bytes"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-2]), &s); err != nil {
		t.Fatal(err)
	}
	return s.Bytes
}

// twins counts what was re-sent.
func twins(all []entry) (n int) {
	for _, e := range all {
		if e.Delayed != 0 {
			n++
		}
	}
	return n
}

func TestWhatAKilledProcessHadSentAndNotCommittedComesOnceMore(t *testing.T) {
	t.Parallel()
	s := newStage(t, devtest.Kafka(t).Brokers(), 3, 2*time.Second)
	pair := s.locate(t)
	a := s.process(t, spec{Name: "a", KillAfter: 2}, pair) // the first is a single message, which shows the brokers' clock
	s.held(t, "a")
	s.publish(t, 0, 1000)
	a.dies(t)
	lost := hole{time.Now(), []int32{0, 1, 2}}
	committed := s.committed(t)
	all := s.read(t)
	before := twins(all)
	uncommitted := 0
	at := map[int64]int64{}
	for _, e := range all {
		if e.Delay != 0 {
			at[e.Seq] = e.Offset
		} else if at[e.Seq] >= committed[e.Partition] {
			uncommitted++
		}
	}
	b := s.process(t, spec{Name: "b"}, pair)
	s.drained(t)
	v := judge(s.read(t), s.delay, lost)
	report(t, v)
	if before < 2 || uncommitted < before-1 {
		t.Errorf("got %d twins of the killed process, of which %d are behind what it has committed, want it killed before it committed", before, uncommitted)
	}
	if v.repeats != uncommitted {
		t.Errorf("got %d twins again, want those that were sent and not committed: %d", v.repeats, uncommitted)
	}
	if code, _ := b.terminate(t); code != 0 {
		t.Errorf("got exit status %d, want 0", code)
	}
}

func TestTheSuccessorOfAKilledProcessGoesOnWithTheSameWait(t *testing.T) {
	t.Parallel()
	s := newStage(t, devtest.Kafka(t).Brokers(), 3, 11*time.Second)
	pair := s.locate(t)
	a := s.process(t, spec{Name: "a"}, pair)
	s.held(t, "a")
	s.publish(t, 0, 300)
	s.waiting(t)
	a.kill(t)
	s.process(t, spec{Name: "b"}, pair)
	s.drained(t)
	v := judge(s.read(t), s.delay)
	report(t, v)
	if v.instants != 300 || v.repeats != 0 {
		t.Errorf("got %d messages and %d twins again, want 300, and each re-sent once", v.instants, v.repeats)
	}
	if late := v.percentile(100); late > 5*time.Second {
		t.Errorf("got a message that was %s late, want none that has waited from the beginning again", late)
	}
}

func TestAFrozenProcessSendsNoMoreThanItHadInFlightWhenItWakes(t *testing.T) {
	t.Parallel()
	s := newStage(t, devtest.Kafka(t).Brokers(), 4, time.Second)
	pair := s.locate(t)
	a := s.process(t, spec{Name: "a", FreezeBefore: 30}, pair)
	s.process(t, spec{Name: "b"}, pair)
	partitions := s.held(t, "a", "b")["a"]
	back := s.monotonic(t)
	l := startLoad(t, s)
	a.stopped(t)
	lost := hole{time.Now(), partitions}
	s.held(t, "b")
	passes(t, time.Now().Add(s.delay)) // so that there is something that it must not send
	a.wake(t)
	s.held(t, "a", "b")
	l.end(t)
	s.drained(t)
	back()
	v := judge(s.read(t), s.delay, lost)
	report(t, v)
	if v.repeats == 0 {
		t.Error("got no twin again, want the batch that was in flight, or the test has shown nothing")
	}
}

func TestAProcessThatIsTerminatedHandsOverAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, devtest.Kafka(t).Brokers(), 4, 2*time.Second)
	pair := s.locate(t)
	a := s.process(t, spec{Name: "a"}, pair)
	s.process(t, spec{Name: "b"}, pair)
	s.held(t, "a", "b")
	l := startLoad(t, s)
	passes(t, time.Now().Add(s.delay+time.Second))
	code, took := a.terminate(t)
	began := time.Now()
	s.held(t, "b")
	t.Logf("the process ended after %s, and %s later the other one had all", took, time.Since(began))
	if code != 0 || took > 5*time.Second {
		t.Errorf("got exit status %d after %s, want 0 within seconds", code, took)
	}
	if since := time.Since(began); since >= sessionTimeout {
		t.Errorf("got the takeover after %s, want no wait for the session's end", since)
	}
	l.end(t)
	s.drained(t)
	v := judge(s.read(t), s.delay)
	report(t, v)
	if v.repeats != 0 {
		t.Errorf("got %d twins again, want all that was acknowledged committed", v.repeats)
	}
}

// A test binary that detects races needs several times the memory.
func plainBinary(t *testing.T) string {
	t.Helper()
	info, ok := debug.ReadBuildInfo()
	if ok && !slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" }) {
		executable, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		return executable
	}
	path := filepath.Join(t.TempDir(), "delayer.test")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", path, "github.com/kafkasync/kafkasync/delayer")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return path
}

// bytesOf is how large the topic's log is.
func (s *stage) bytesOf(t *testing.T, dir string) (sum int64) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "data", s.topic+"-*", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range logs {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}

func TestABacklogIsHeldAndSentInBoundedMemoryAndFetchedOnce(t *testing.T) {
	const messages, most = 600_000, 150_000_000 / 1024
	server := devtest.Kafka(t)
	s := newStage(t, server.Brokers(), 12, 30*time.Second)
	pair := s.locate(t)
	p := s.processOf(t, plainBinary(t), spec{Name: "a", Count: true}, pair)
	s.held(t, "a")
	began := time.Now()
	for first := 0; first < messages; first += 50_000 {
		s.publish(t, first, 50_000)
	}
	t.Logf("the backlog was written in %s", time.Since(began).Round(time.Millisecond))
	s.waiting(t)
	if since := time.Since(began); since > s.delay { // on a machine that is busy
		t.Logf("the backlog waits after %s: some of it was sent before", since)
	}
	size := s.bytesOf(t, server.Dir())
	t.Logf("while all %d MB wait: at most %d kB of memory, %d MB fetched", size>>20, p.memory(t), p.fetched(t)>>20)
	eventually(t, 2*time.Minute, func() string {
		if sum := s.ends(t).sum(); sum < 2*messages {
			return fmt.Sprintf("got %d records, want %d", sum, 2*messages)
		}
		return ""
	})
	caught := time.Since(began)
	s.drained(t)
	size = s.bytesOf(t, server.Dir())
	eventually(t, time.Minute, func() string { // its statistics are those of now
		if n := p.fetched(t); n < size {
			return fmt.Sprintf("got %d bytes fetched, want all %d of the topic", n, size)
		}
		return ""
	})
	t.Logf("%s after the first was written all were re-sent: at most %d kB of memory, %d MB fetched of %d MB",
		caught.Round(time.Millisecond), p.memory(t), p.fetched(t)>>20, size>>20)
	if kb := p.memory(t); kb > most {
		t.Errorf("got %d kB, want at most %d kB", kb, most)
	}
	if n := p.fetched(t); n >= 2*size {
		t.Errorf("got %d bytes fetched, want less than twice the topic's %d", n, size)
	}
}

package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// consumersMinutes is the variable of the environment that says how long TestConsumersFollowTheTable goes on, at random.
const consumersMinutes = "E2E_CONSUMERS_MINUTES"

// following is a table under load, what publishes its changes, and who follows it: consumers that are killed, frozen and moved about.
type following struct {
	t       testing.TB
	dice    *rand.Rand
	url     string // of the primary
	kafka   *devstack.Kafka
	topic   string
	site    *site
	node    *node
	delay   time.Duration
	shop    *shop
	parties []*party
	tally   *consumersTally
	read    offsets          // how far what is in Kafka was looked at
	last    map[string]int64 // seq of the last instant message of each row, by key
}

// Three stores are fed: an index, a cache, and a cache whose consumers pass over the delay messages. If the last one did not go stale,
// the others would prove nothing.
const (
	theIndex = iota
	theCache
	theDeaf
)

// TestConsumersFollowTheTable has every fault once, unless it is told to go on: see `make chaos-consumers`.
func TestConsumersFollowTheTable(t *testing.T) {
	minutes := number(t, consumersMinutes, 0)
	if minutes == 0 {
		newFollowing(t, devtest.Kafka(t), 12*time.Second).fixedSet()
		return
	}
	if err := devstack.Install(t.Context(), os.Stderr, devstack.ComponentKafka); err != nil {
		t.Fatal(err)
	}
	kafka, err := devstack.StartKafka(t.Context(), devstack.KafkaConfig{Java: []string{"-XX:TieredStopAtLevel=1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, kafka.Close()) })
	newFollowing(t, kafka, 20*time.Second).goOn(minutes)
}

func newFollowing(t testing.TB, kafka *devstack.Kafka, delay time.Duration) *following {
	t.Helper()
	seed := seeded(t)
	f := &following{
		t: t, dice: rand.New(rand.NewPCG(seed, 1)), url: devtest.Database(t), kafka: kafka, topic: devtest.Topic(t), delay: delay,
		tally: &consumersTally{times: map[string]int{}}, last: map[string]int64{},
	}
	f.shop = &shop{url: f.url, seed: seed, done: map[string]int{}}
	execute(t, f.url, itemSchema)
	f.site = newSite(t, raced, fmt.Sprintf("brokers: [%s]\ntopics: {partitions: 6}", kafka.Brokers()),
		pipelineText("shop", f.url, fmt.Sprintf("- {match: public.items, topic: %s, delay: %s}", f.topic, delay)))
	f.node = f.site.start(t)
	f.node.reaches(t, "streaming")
	f.tally.began = time.Now()
	f.insert()
	redis := startRedis(t)
	for i, e := range []errand{{Name: "index", Store: "index", Address: devtest.Database(t)}, {Name: "cache", Store: "cache", Address: redis}, {Name: "deaf", Store: "cache", Address: redis, Deaf: true}} {
		e.Name = f.topic + "-" + e.Name
		e.Brokers, e.Topic, e.Primary, e.Fresh = kafka.Brokers(), f.topic, f.url, delay-delay/5
		f.parties = append(f.parties, newParty(t, e))
		f.parties[i].grow(2)
	}
	return f
}

// startRedis returns its address.
func startRedis(t testing.TB) string {
	t.Helper()
	if err := devstack.Install(t.Context(), os.Stderr, devstack.ComponentRedis); err != nil {
		t.Fatal(err)
	}
	started, err := devstack.StartPrograms(t.Context(), devstack.ProgramsConfig{
		Name: "redis", Names: []string{"redis"}, Ports: 1,
		Lines: func(_ string, ports [][]int) ([][]string, error) {
			return [][]string{{"redis-server", "--bind", "127.0.0.1", "--port", fmt.Sprint(ports[0][0]), "--save", ""}}, nil
		},
		Ready: func(ctx context.Context, ports []int) bool {
			r := &redis{address: net.JoinHostPort("127.0.0.1", fmt.Sprint(ports[0]))}
			answer, err := r.do(ctx, "PING")
			return err == nil && answer == "PONG"
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, started.Close()) })
	return started.All[0].Addr()
}

func (f *following) insert() {
	f.t.Helper()
	execute(f.t, f.url, fmt.Sprintf(someItems, shopWriters, shopWriters*shopRows))
}

// passed waits until all parties are done with everything that is committed now, as far as instant messages go.
func (f *following) passed() {
	f.t.Helper()
	pos := query[string](f.t, f.url, "SELECT (pg_current_wal_insert_lsn() - 1)::text")
	f.barriers(func(ctx context.Context, cfg consumer.Config) error {
		return consumer.BarrierAt(ctx, cfg, consumer.Publisher{Nodes: []string{f.site.http}}, pos)
	})
}

func (f *following) barriers(barrier func(context.Context, consumer.Config) error) {
	f.t.Helper()
	for _, c := range f.parties {
		ctx, cancel := context.WithTimeout(f.t.Context(), 2*time.Minute)
		err := barrier(ctx, c.config())
		cancel()
		c.live()
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

// settled waits until every delay message has come, and has been handled.
func (f *following) settled() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 2*time.Minute)
	defer cancel()
	delayer := consumer.Config{Brokers: []string{f.kafka.Brokers()}, Topics: []string{f.topic}, Name: fmt.Sprintf("%s-delayer-%d", f.site.name, f.delay.Milliseconds())}
	if err := consumer.Barrier(ctx, delayer); err != nil {
		f.t.Fatal(err)
	}
	f.barriers(consumer.Barrier)
}

// wrong is what a store has otherwise than the primary, row by row.
func (f *following) wrong(c *party) (problems map[int64]string) {
	f.t.Helper()
	problems = map[int64]string{}
	want, got := pairs(f.t, f.url, itemRows), c.rows()
	for id, row := range want {
		if got[id] != row {
			problems[id] = fmt.Sprintf("row %d of %s is %q, want %q", id, c.Name, got[id], row)
		}
	}
	for id, row := range got {
		if _, is := want[id]; !is {
			problems[id] = fmt.Sprintf("row %d of %s is %q, want it to be gone", id, c.Name, row)
		}
	}
	return problems
}

// handled is passed, and fails the test if the index has not had all of it: the version of a row is that of its last instant message, or higher. A
// delay message hides what was passed over, so the sooner this is asked the more it finds.
func (f *following) handled() {
	f.t.Helper()
	to := ends(f.t, f.kafka.Brokers(), f.topic)
	f.passed()
	readBetween(f.t, f.kafka.Brokers(), f.read, to, func(r *kgo.Record) {
		if m := parse(f.t, r); m.Delayed == 0 && m.Op != kafkasync.Truncated {
			f.last[string(m.Key)] = max(f.last[string(m.Key)], m.Seq)
		}
	})
	f.read = to
	var problems []string
	versions := pairs(f.t, f.parties[theIndex].Address, "SELECT id, version::text FROM docs")
	for key, seq := range f.last {
		id, err := strconv.ParseInt(key, 10, 64)
		if err != nil {
			f.t.Fatal(err)
		}
		if version, err := strconv.ParseInt(versions[id], 10, 64); err != nil || version < 2*seq {
			problems = append(problems, fmt.Sprintf("row %d has the version %q in the index, want at least %d: PASSED OVER", id, versions[id], 2*seq))
		}
	}
	report(f.t, problems)
}

// equal fails the test unless a store is what the primary is.
func (f *following) equal(c *party) {
	f.t.Helper()
	wrong := f.wrong(c)
	report(f.t, slices.Sorted(maps.Values(wrong)))
	if n := query[int](f.t, f.url, "SELECT count(*) FROM items"); n < shopRows {
		f.t.Errorf("there are %d rows, want enough to compare", n)
	}
}

// finds searches the index, as its user does.
func (f *following) finds(word string) {
	f.t.Helper()
	const search = "SELECT count(*) FROM docs WHERE words @@ to_tsquery('simple', '%s')"
	got := query[int](f.t, f.parties[theIndex].Address, fmt.Sprintf(search, word))
	if want := query[int](f.t, f.url, "SELECT count(*) FROM items WHERE name = '"+word+"'"); got != want {
		f.t.Errorf("searching for %s: got %d rows, want %d", word, got, want)
	}
}

// fixedSet has each kind of fault that needs no server of its own, and is over soon.
func (f *following) fixedSet() {
	f.t.Helper()
	f.passed()
	f.shop.open(f.t)
	for _, c := range f.parties {
		f.grow(c)
	}
	f.passed()
	f.truncate()
	for _, c := range f.parties {
		f.shrink(c)
	}
	f.shop.close(f.t)
	f.passed()
	f.killHolding() // nothing comes behind it that could hide what is lost
	f.handled()
	f.end()
}

// goOn draws faults until the time is over.
func (f *following) goOn(minutes int) {
	f.t.Helper()
	var cards []func(*party)
	for until := time.Now().Add(time.Duration(minutes) * time.Minute); time.Now().Before(until); {
		f.shop.open(f.t)
		f.passed()
		for range 8 {
			if len(cards) == 0 {
				cards = f.faults()
				f.dice.Shuffle(len(cards), func(i, j int) { cards[i], cards[j] = cards[j], cards[i] })
			}
			cards[0](f.parties[f.dice.IntN(len(f.parties))])
			cards = cards[1:]
			if f.dice.IntN(2) == 0 {
				moment(f.t, upTo(f.dice, 2*time.Second))
			}
			f.handled() // a batch is never old when its process is frozen
		}
		f.shop.close(f.t)
		f.judge()
	}
	f.end()
}

// end has a last round, of which it is known what comes of it.
func (f *following) end() {
	f.t.Helper()
	f.freezeHolding(false)
	healed := f.judge()
	if healed[theCache] == 0 {
		f.t.Error("processes have written what was old to the cache, and no delay message has put it right")
	}
	if f.tally.wrong = len(f.wrong(f.parties[theDeaf])); f.tally.wrong == 0 {
		f.t.Error("the cache whose consumers pass over delay messages is equal to the table: nothing is proved of the other one")
	}
	f.t.Log(f.report())
	for _, c := range f.parties {
		for len(c.hands) > 0 {
			c.terminate(c.hands[0])
		}
	}
	if code := f.node.terminate(f.t); code != 0 {
		f.t.Errorf("got exit status %d after SIGTERM, want 0", code)
	}
}

// judge lets everything come, and compares. It returns how many rows of each store only a delay message has put right.
func (f *following) judge() (healed []int) {
	f.t.Helper()
	f.handled()
	f.tally.rounds++
	f.tally.rows = query[int](f.t, f.url, "SELECT count(*) FROM items")
	stale := make([]int, len(f.parties))
	for i, c := range f.parties {
		stale[i] = len(f.wrong(c))
	}
	f.settled()
	f.equal(f.parties[theIndex])
	f.equal(f.parties[theCache])
	f.finds("teapot")
	f.finds("kettle")
	for i, c := range f.parties {
		healed = append(healed, c.healed())
		f.tally.healed[i] += healed[i]
		if i != theDeaf && healed[i] < stale[i] {
			f.t.Errorf("%s: %d rows were stale when all instant messages were handled, and %d were put right by a delay message", c.Name, stale[i], healed[i])
		}
		c.forget()
	}
	f.t.Logf("round %d is judged: %d rows; stale when all instant messages were handled: %d of the index, %d of the cache, %d of the one without delay messages; put right by a delay message alone: %d, %d",
		f.tally.rounds, f.tally.rows, stale[theIndex], stale[theCache], stale[theDeaf], healed[theIndex], healed[theCache])
	return healed
}

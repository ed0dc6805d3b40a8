package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/internal/web"
)

// The nodes of this cluster prove to one another who they are. A table is added to the file of one node after the other. While the files differ, only who has the newest
// may lead: another one hands over, as soon as there is somebody to hand over to.
func TestATableIsAddedToTheFilesOneAfterTheOther(t *testing.T) {
	t.Parallel()
	url, topic, brokers := devtest.Database(t), devtest.Topic(t), devtest.Kafka(t).Brokers()
	execute(t, url, "CREATE TABLE products (id int PRIMARY KEY)", "CREATE TABLE orders (id int PRIMARY KEY)")
	products := fmt.Sprintf("- {match: public.products, topic: %s-products}", topic)
	older := pipelineText("rolling", url, products)
	newer := pipelineText("rolling", url, products+fmt.Sprintf("\n- {match: public.orders, topic: %s-orders}", topic))
	c := newTrio(t, raced, fmt.Sprintf("brokers: [%s]", brokers), older)
	c.proves(t, older)
	c.start(t, trioIDs...)
	c.whole(t)
	c.checked(t)

	first := c.follower(t)
	c.renew(t, first, newer)
	if _, errs, code := c.any().command(t, "member", "transfer", first, "--yes"); code != 0 {
		t.Fatalf("member transfer: got exit status %d and %s", code, errs)
	}
	eventually(t, time.Minute, func() string {
		p, err := c.sites[first].pipeline(t.Context())
		if err != nil || !slices.Contains(p.Tables, "public.orders") {
			return fmt.Sprintf("got the tables %v (%v), want public.orders among them", p.Tables, err)
		}
		return ""
	})
	execute(t, url, "INSERT INTO orders VALUES (1)", "INSERT INTO products VALUES (1)")
	drained(t, url, "kafkasync_rolling")

	// The others have the older file: whichever leads waits, and says what would help.
	c.kill(t, first)
	execute(t, url, "INSERT INTO orders VALUES (2)")
	leader := c.waits(t)
	if out, _, _ := c.any().command(t, "status"); !strings.Contains(unfolded(out), "its file does not mention public.orders of pipeline rolling") {
		t.Errorf("got %s, want the nodes whose file lacks the table", out)
	}

	// Once the newer file is back, its node leads.
	began := time.Now()
	c.start(t, first)
	if got := c.leader(t); got != first {
		t.Errorf("got the leader %s, want %s, which has the newer file", got, first)
	}
	t.Logf("the pipeline streams %s after the node with the newer file was started", time.Since(began).Round(time.Millisecond))
	for id, says := range map[string]string{leader: "leadership is handed over to a node whose file has it", first: "this node is to lead in place of one whose file lacks what is covered"} {
		if lines := linesWith(c.nodes[id].log.String(), says); len(lines) != 1 {
			t.Errorf("node %s: got %d lines of log with %q, want 1:\n%s", id, len(lines), says, strings.Join(lines, "\n"))
		}
	}
	for _, id := range trioIDs {
		if id != first {
			c.renew(t, id, newer)
		}
	}
	execute(t, url, "INSERT INTO orders VALUES (3)", "INSERT INTO products VALUES (3)")
	drained(t, url, "kafkasync_rolling")
	c.everywhereWell(t)
	found := map[string][]string{}
	names := []string{topic + "-orders", topic + "-products"}
	readTo(t, brokers, ends(t, brokers, names...), func(r *kgo.Record) { found[r.Topic] = append(found[r.Topic], string(r.Key)) })
	for name, want := range map[string][]string{names[0]: {"1", "2", "3"}, names[1]: {"1", "3"}} {
		for _, key := range want {
			if !slices.Contains(found[name], key) {
				t.Errorf("%s: got the keys %v, want %v", name, found[name], want)
			}
		}
	}
	c.removedAndAdded(t)
}

// renew starts a node again with another file.
func (c *trio) renew(t testing.TB, id, pipelines string) {
	t.Helper()
	c.terminate(t, id)
	c.rewrite(t, id, pipelines)
	c.start(t, id)
	c.whole(t)
}

// waits waits until the pipeline does, because of a table that no rule mentions, and returns who leads.
func (c *trio) waits(t testing.TB) string {
	t.Helper()
	var status web.Status
	eventually(t, time.Minute, func() (problem string) {
		var err error
		if status, err = c.any().status(t.Context()); err != nil {
			return err.Error()
		}
		return contains("the pipeline's error", status.Pipelines[0].Error, "public.orders is covered by this pipeline, and no rule of the file mentions it")
	})
	return status.Cluster.Leader
}

// everywhereWell fails unless nothing is wrong with any node or pipeline.
func (c *trio) everywhereWell(t testing.TB) {
	t.Helper()
	status, err := c.any().status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range status.Cluster.Nodes {
		if n.Error != "" {
			t.Errorf("node %s: got %q, want nothing to be wrong", n.ID, n.Error)
		}
	}
	if p := status.Pipelines[0]; p.Error != "" || p.State != "streaming" {
		t.Errorf("got the pipeline %s, %q, want it to stream", p.State, p.Error)
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/web"
)

// askNext is after how long another node is asked as well: one that is frozen takes connections and answers
// nothing. A node whose neighbour is frozen answers a little earlier.
const askNext = 1500 * time.Millisecond

// answer is what a node says about its cluster.
type answer struct {
	status web.Status
	raw    []byte // as it came: a newer node may say more than we know
}

// ask asks the nodes until one has heard from a leader. If none has, what one knows by itself is better than nothing.
func ask(ctx context.Context, node *client) (answer, error) {
	led := func(a answer) bool { return a.status.Cluster.Leader != "" }
	return firstOf(ctx, node, askOne, led)
}

func askOne(ctx context.Context, node *client) (answer, error) {
	body, err := node.get(ctx, "/api/status")
	if err != nil {
		return answer{}, err
	}
	a := answer{raw: body}
	if err := json.Unmarshal(body, &a.status); err != nil {
		return answer{}, fmt.Errorf("reading the status: what answers at %s is not a kafkasync node: %w", node.address, err)
	}
	return a, nil
}

// findAlive makes one that answers the node that is asked: an order goes to one only, which may be doing it already.
func (c *client) findAlive(ctx context.Context) error {
	if len(c.others) == 0 {
		return nil
	}
	_, err := firstOf(ctx, c, func(ctx context.Context, node *client) (struct{}, error) {
		_, err := node.get(ctx, "/healthz")
		return struct{}{}, err
	}, func(struct{}) bool { return true })
	return err
}

// look is what came of asking one node.
type look[T any] struct {
	address string
	answer  T
	err     error
}

// firstOf asks one node after the other, each once the one before has failed or let us wait, and returns the first
// answer that is good enough, else the last one. Whoever gave it is asked first the next time.
func firstOf[T any](ctx context.Context, node *client, one func(context.Context, *client) (T, error), enough func(T) bool) (T, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left := append([]string{node.address}, node.others...)
	looks := make(chan look[T], len(left))
	var asked []string
	next := func() {
		address := left[0]
		left, asked = left[1:], append(asked, address)
		alone := node.only(address)
		go func() {
			answer, err := one(ctx, alone)
			looks <- look[T]{address, answer, err}
		}()
	}
	next()
	timer := time.NewTimer(askNext)
	defer timer.Stop()
	var best *look[T]
	var silent *kafkasync.Fault
	for waiting := 1; waiting > 0; {
		select {
		case l := <-looks:
			waiting--
			switch {
			case l.err == nil && enough(l.answer):
				node.prefer(l.address)
				return l.answer, nil
			case l.err == nil:
				best = &l
			case !errors.As(l.err, &silent) || silent.What != noAnswer+l.address:
				return l.answer, l.err // it does answer, and another one would not say anything else
			}
		case <-timer.C:
			if best != nil && len(left) == 0 { // who is silent for so long hardly knows more
				node.prefer(best.address)
				return best.answer, nil
			}
		}
		if len(left) > 0 && ctx.Err() == nil {
			next()
			waiting++
		}
		timer.Reset(askNext)
	}
	if best != nil {
		node.prefer(best.address)
		return best.answer, nil
	}
	var none T
	silent.What = noAnswer + strings.Join(asked, ", nor at ")
	return none, silent
}

// only is a client of one node.
func (c *client) only(address string) *client {
	alone := *c
	alone.address, alone.others = address, nil
	return &alone
}

// prefer makes a node the one that is asked first.
func (c *client) prefer(address string) {
	all := append([]string{c.address}, c.others...)
	at := slices.Index(all, address)
	c.address, c.others = address, slices.Concat(all[at+1:], all[:at])
}

// noAnswer is how an error begins that says who does not answer.
const noAnswer = "no node answers at "

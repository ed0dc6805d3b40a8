package node

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// gapsOf are the gaps of both tables of the log.
func gapsOf(from, to, cause string) []web.Gap {
	var gaps []web.Gap
	for _, table := range []string{sourcetest.Items, sourcetest.Lines} {
		gaps = append(gaps, web.Gap{
			Pipeline: "shop", Table: table, From: from, To: to, Cause: cause,
			Fix: "refresh what your consumers store of " + table + " once",
		})
	}
	return gaps
}

func TestANewSlotGetsAPipelineGoingAndTheGapNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.until(t, pipeline.Streaming)
	w.write(t, 1, true)
	w.lose(t)
	w.write(t, 2, false)

	result := w.order(t, web.Recover{Pipeline: "shop", NewSlot: true})
	if want := gapsOf("memory:1", "", "the slot does not exist"); !result.Done || !reflect.DeepEqual(result.Gaps, want) {
		t.Errorf("got done %t with gaps %+v, want %+v", result.Done, result.Gaps, want)
	}
	if !strings.Contains(result.Text, "memory:1") {
		t.Errorf("got %q, want the position in it", result.Text)
	}
	w.until(t, pipeline.Streaming)
	w.write(t, 3, true)
	if got := w.published(); !reflect.DeepEqual(got, []string{"1", "3"}) {
		t.Errorf("got %v published, want 1 and 3", got)
	}
	report := w.report()
	if got, want := report.Status(t.Context()).Gaps, gapsOf("memory:1", "memory:2", "the slot does not exist"); !reflect.DeepEqual(got, want) {
		t.Errorf("got the gaps %+v, want %+v", got, want)
	}
	if got := report.figures()["shop"]; got != (web.Figures{GapsOpen: 2, RetainedBytes: 4096}) {
		t.Errorf("got %+v, want 2 gaps and what the log says that it keeps", got)
	}
	if got := report.Status(t.Context()).Pipelines[0]; !reflect.DeepEqual(got.Tables, []string{sourcetest.Items, sourcetest.Lines}) || got.Position != "memory:3" {
		t.Errorf("got %+v, want the covered tables and the position", got)
	}
}

func TestASlotThatIsThereIsAdopted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.log.Head(t.Context(), sourcetest.Fresh()); err != nil { // by somebody else
		t.Fatal(err)
	}
	w.write(t, 1, false)
	w.start(t)
	w.until(t, pipeline.Stopped)
	result := w.order(t, web.Recover{Pipeline: "shop", AdoptSlot: true})
	if !result.Done || !strings.Contains(result.Text, "the slot that is there") {
		t.Errorf("got %+v", result)
	}
	w.eventually(t, "the slot's log to be read", func() bool { return w.state("shop").Position == "memory:1" })
	if got := w.published(); !reflect.DeepEqual(got, []string{"1"}) {
		t.Errorf("got %v published, want what the slot held", got)
	}
	report := w.report()
	want := gapsOf("", "memory:0", "the slot exists already")
	if got := report.Status(t.Context()).Gaps; !reflect.DeepEqual(got, want) {
		t.Errorf("got the gaps %+v, want %+v", got, want)
	}
}

func TestASlotThatThePipelineHasNotMadeIsNotRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.log.Head(t.Context(), sourcetest.Fresh()); err != nil { // by somebody else
		t.Fatal(err)
	}
	w.start(t)
	w.until(t, pipeline.Stopped)
	if got := w.refused(t, web.Recover{Pipeline: "shop", NewSlot: true}); got.Code != http.StatusConflict || !strings.Contains(got.Fault.What, "somebody else's") {
		t.Errorf("got %+v, want it refused, because the slot is somebody else's", got)
	}
	w.until(t, pipeline.Stopped)
	if result := w.order(t, web.Drop{Pipeline: "shop"}); !result.Done || !strings.Contains(result.Text, "nothing was removed") {
		t.Errorf("got %+v, want the pipeline dropped and the server left alone", result)
	}
	if _, err := w.log.Head(t.Context(), sourcetest.Fresh()); kafkasync.ClassOf(err) != kafkasync.Stop {
		t.Errorf("got %v, want the slot to be there still", err)
	}
}

func TestWhatCannotBeReadIsSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.until(t, pipeline.Streaming)
	at := string(w.breakDown(t, "this change cannot be read"))
	w.write(t, 2, false)

	if got := w.refused(t, web.Recover{Pipeline: "shop", SkipTo: at, AcceptGap: true}); !strings.Contains(got.Fault.What, "skips nothing") {
		t.Errorf("got %v, want it to say that nothing is skipped", got)
	}
	w.until(t, pipeline.Stopped)
	_, err := w.Operate(t.Context(), web.Recover{Pipeline: "shop", SkipTo: "memory:9", AcceptGap: true})
	if err == nil || !strings.Contains(err.Error(), "moving pipeline shop: position 9 is not in the log") {
		t.Errorf("got %v, want the server's refusal", err)
	}
	w.until(t, pipeline.Stopped)
	result := w.order(t, web.Recover{Pipeline: "shop", SkipTo: "memory:2", AcceptGap: true})
	if want := gapsOf(at, "memory:2", "this change cannot be read"); !reflect.DeepEqual(result.Gaps, want) {
		t.Errorf("got the gaps %+v, want %+v", result.Gaps, want)
	}
	if got := w.state("shop").Position; got != "memory:2" {
		t.Errorf("got position %s, want memory:2", got)
	}
}

func TestRecoverIsRefusedWhileThePipelineCouldGoOnWithout(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		state pipeline.State
		err   error
		order web.Recover
		want  string
	}{
		{"it streams", pipeline.Streaming, nil, web.Recover{NewSlot: true, AcceptGap: true}, "nothing to recover"},
		{"it starts", pipeline.Starting, nil, web.Recover{NewSlot: true, AcceptGap: true}, "is starting"},
		{
			"it waits", pipeline.Waiting, &kafkasync.Fault{What: "Kafka is away", Risk: "none", Fix: "start it"},
			web.Recover{AdoptSlot: true},
			"once this is over: Kafka is away",
		},
		{"no way is named", pipeline.Stopped, errors.New("gone"), web.Recover{}, "exactly one"},
		{"two ways are named", pipeline.Stopped, errors.New("gone"), web.Recover{NewSlot: true, SkipTo: "x"}, "exactly one"},
		{"a gap is not accepted", pipeline.Stopped, errors.New("gone"), web.Recover{SkipTo: "x"}, "accept_gap"},
	}
	w := newWorld(t) // which does not run: an order that is not refused would hang
	w.start(t)
	w.stop()
	for _, tt := range tests {
		w.members[0].status.SetState(tt.state, tt.err)
		tt.order.Pipeline = "shop"
		if got := w.refused(t, tt.order); !strings.Contains(got.Fault.What, tt.want) || got.Fault.Fix == "" {
			t.Errorf("%s: got %v, want %q and a fix", tt.name, got, tt.want)
		}
	}
}

func TestWhyItStoppedIsKeptInAFewWords(t *testing.T) {
	status := pipeline.NewStatus("shop")
	fault := &kafkasync.Fault{What: strings.Repeat("ö", 2*maxCause), Risk: "all", Fix: "none"}
	status.SetState(pipeline.Stopped, fmt.Errorf("opening the source: %w", fault))
	cause, err := hopeless(status.Snapshot(time.Now()), false)
	if want := strings.Repeat("ö", maxCause) + "..."; err != nil || cause != want {
		t.Errorf("got %q, %v, want %q", cause, err, want)
	}
}

func TestAPositionIsSetByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.until(t, pipeline.Streaming)
	w.write(t, 1, true)
	epoch := w.state("shop").Epoch
	plan := w.order(t, web.SetPosition{Pipeline: "shop", Position: "memory:2", DryRun: true})
	if plan.Done || !strings.Contains(plan.Text, "stands at memory:1") || w.state("shop").Epoch != epoch {
		t.Errorf("got %+v with epoch %d, want a plan and nothing done", plan, w.state("shop").Epoch)
	}
	for _, at := range []string{"", "memory:1"} {
		if got := w.refused(t, web.SetPosition{Pipeline: "shop", Position: at}); w.state("shop").Epoch != epoch {
			t.Errorf("%q: got %v and epoch %d, want it to be refused before anything is interrupted", at, got, w.state("shop").Epoch)
		}
	}
	from := string(w.breakDown(t, "slow"))
	w.write(t, 3, false)
	on := w.order(t, web.SetPosition{Pipeline: "shop", Position: "memory:3"})
	if want := gapsOf(from, "memory:3", "the position was set by hand"); !on.Done || !reflect.DeepEqual(on.Gaps, want) {
		t.Errorf("got %+v, want the gaps %+v", on, want)
	}
	w.until(t, pipeline.Stopped)
	w.write(t, 4, false)
	w.log.back = true
	back := w.order(t, web.SetPosition{Pipeline: "shop", Position: "memory:4"})
	if !back.Done || len(back.Gaps) != 0 || !strings.Contains(back.Text, "published again") || w.state("shop").Position != "memory:4" {
		t.Errorf("got %+v at %s, want no gap", back, w.state("shop").Position)
	}
}

func TestATableIsForgottenOnceNoRuleCapturesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.until(t, pipeline.Streaming)
	order := web.Forget{Pipeline: "shop", Table: sourcetest.Items}
	if got := w.refused(t, order); got.Code != http.StatusConflict || !strings.Contains(got.Fault.Fix, "{match: items, skip: true}") {
		t.Errorf("got %d %v, want 409 and what to write into the file", got.Code, got)
	}
	w.captured.Store(false)
	order.DryRun = true
	if got := w.order(t, order); got.Done || len(w.state("shop").Covered) != 2 {
		t.Errorf("got %+v, %v covered, want a plan", got, w.state("shop").Covered)
	}
	order.DryRun = false
	got := w.order(t, order)
	if want := []string{"ALTER PUBLICATION p DROP TABLE items"}; !got.Done || !reflect.DeepEqual(got.Left, want) {
		t.Errorf("got %+v, want it done and %q left", got, want)
	}
	if covered := w.state("shop").Covered; len(covered) != 1 || covered[0].Table != sourcetest.Lines {
		t.Errorf("got %v covered, want the other table", covered)
	}
	if got := w.refused(t, order); got.Code != http.StatusNotFound || !strings.Contains(got.Fault.Fix, sourcetest.Lines) {
		t.Errorf("got %d %v, want 404 and what is covered", got.Code, got)
	}
	order.Table = "order_linse"
	if got := w.refused(t, order); got.Fault.Fix != "did you mean order_lines?" {
		t.Errorf("got %v, want the table that was meant", got)
	}
}

func TestADroppedPipelineStaysStoppedAndBeginsAnewWithTheNextStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.log.left = []string{"DROP PUBLICATION p;"}
	w.start(t)
	w.until(t, pipeline.Streaming)
	w.write(t, 1, true)
	if got := w.order(t, web.Drop{Pipeline: "shop", DryRun: true}); got.Done || w.log.Confirmed() == "" || !strings.Contains(got.Text, "memory:1") {
		t.Errorf("got %+v, want a plan", got)
	}
	got := w.order(t, web.Drop{Pipeline: "shop"})
	if !got.Done || !reflect.DeepEqual(got.Left, w.log.left) || w.log.Confirmed() != "" {
		t.Errorf("got %+v, confirmed %q, want no slot and what is left to do", got, w.log.Confirmed())
	}
	if p := w.state("shop"); p.Position != "" || p.Declared || len(p.Covered)+len(p.Gaps) != 0 {
		t.Errorf("got %+v, want it forgotten", p)
	}
	s := w.members[0].status.Snapshot(time.Now())
	if s.State != pipeline.Stopped || !strings.Contains(s.Error, "was dropped; to fix: take it out of the file; or start the node again") {
		t.Errorf("got %s %q, want it stopped and what to do", s.State, s.Error)
	}
	if _, err := w.Operate(t.Context(), web.Recover{Pipeline: "shop", NewSlot: true}); err == nil || !strings.Contains(err.Error(), "was dropped") {
		t.Errorf("got %v from another order, want to hear that it was dropped", err)
	}
	w.stop()
	w.write(t, 2, false)
	w.start(t)
	w.until(t, pipeline.Streaming)
	w.write(t, 3, true)
	if got := w.published(); !reflect.DeepEqual(got, []string{"1", "3"}) || len(w.state("shop").Gaps) != 0 {
		t.Errorf("got %v published and gaps %v, want it begun anew at the present", got, w.state("shop").Gaps)
	}
}

func TestAPipelineThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.until(t, pipeline.Streaming)
	for name, want := range map[string]string{"shpo": "did you mean shop?", "other": "the pipelines of this node's file are: shop"} {
		for _, o := range []web.Order{
			web.Recover{Pipeline: name, NewSlot: true}, web.SetPosition{Pipeline: name, Position: "x"}, web.Forget{Pipeline: name}, web.Drop{Pipeline: name},
		} {
			if got := w.refused(t, o); got.Code != http.StatusNotFound || got.Fault.Fix != want {
				t.Errorf("%#v: got %d %v, want 404 and %q", o, got.Code, got, want)
			}
		}
	}
	w.members[0].name = "renamed" // in the file, since
	if got := w.refused(t, web.Drop{Pipeline: "shop"}); !strings.Contains(got.Fault.What, "not in this node's file any more") {
		t.Errorf("got %v, want to hear that the cluster knows it and the file does not", got)
	}
}

func TestAnOrderNeedsTheLeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	w.until(t, pipeline.Streaming)
	w.stop()
	if got := w.refused(t, web.Drop{Pipeline: "shop"}); got.Code != http.StatusServiceUnavailable {
		t.Errorf("got %d %v, want 503", got.Code, got)
	}
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

const (
	maxApplication  = 63 // bytes of application_name that a server keeps
	clusterInName   = 8  // characters of the cluster's id
	evictionPatient = 5 * time.Second
)

// applicationName names the walsender's connection of a run: "kafkasync
// shop/orders 1f3c9a2e.12" is epoch 12 of that cluster. What does not fit is
// cut off base. Servers replace what is not plain ASCII, and that
// must not move the end out of what is kept.
func applicationName(base, cluster string, epoch uint64) string {
	end := " " + cluster[:min(clusterInName, len(cluster))] + "." + strconv.FormatUint(epoch, 10)
	plain := []byte(base)
	for i, c := range plain {
		if c < ' ' || c > '~' {
			plain[i] = '?'
		}
	}
	return string(plain[:min(len(plain), maxApplication-len(end))]) + end
}

// parseApplication takes an applicationName apart. ok is false for any other name.
func parseApplication(name string) (base, cluster string, epoch uint64, ok bool) {
	space := strings.LastIndexByte(name, ' ')
	dot := strings.LastIndexByte(name, '.')
	if space < 0 || dot <= space+1 {
		return "", "", 0, false
	}
	epoch, err := strconv.ParseUint(name[dot+1:], 10, 64)
	if err != nil || strconv.FormatUint(epoch, 10) != name[dot+1:] {
		return "", "", 0, false
	}
	return name[:space], name[space+1 : dot], epoch, true
}

// precedes reports whether a reader was an earlier run of the same pipeline as
// the reader named ours. Where one of the bases was cut, what is left must agree.
func precedes(reader, ours string) bool {
	base, cluster, epoch, ok := parseApplication(reader)
	ourBase, ourCluster, ourEpoch, ourOK := parseApplication(ours)
	if !ok || !ourOK || cluster != ourCluster || epoch >= ourEpoch {
		return false
	}
	switch {
	case base == ourBase:
		return true
	case len(reader) == maxApplication && strings.HasPrefix(ourBase, base):
		return true
	}
	return len(ours) == maxApplication && strings.HasPrefix(base, ourBase)
}

// reader describes who reads the slot.
func (s *slotState) reader() string {
	name := s.Application
	if name == "" {
		name = "its name is not shown to us"
	}
	if s.Address != "" {
		name += ", from " + s.Address
	}
	return fmt.Sprintf("process %d (%s)", s.ActivePID, name)
}

// evict ends an old reader of ours that still holds the slot: the walsender of an
// earlier run whose end the server has not noticed yet. Whoever else holds it is
// left alone, and is a Fault of class Wait. The lease is verified first: an epoch
// alone does not show that a newer one has been granted meanwhile. When evict returns
// nil, nobody holds the slot, and slot says how the reader has left it.
func (s *Source) evict(ctx context.Context, conn *pgx.Conn, slot *slotState, memory source.Memory) error {
	if slot.ActivePID == 0 {
		return nil
	}
	if !precedes(slot.Application, applicationName(s.application, memory.Cluster(), memory.Epoch())) {
		return s.held(slot, memory.Cluster())
	}
	if err := memory.Verify(ctx); err != nil {
		return fmt.Errorf("verifying the lease before an old reader of slot %s is ended: %w", slot.Name, err)
	}
	if err := s.end(ctx, conn, slot); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "ended the connection of an earlier run that still held the slot", "slot", slot.Name, "pid", slot.ActivePID, "application", slot.Application)
	now, err := s.findOurs(ctx, conn, place{})
	if err != nil {
		return err
	}
	if now.ActivePID != 0 { // somebody was faster
		return fmt.Errorf("taking over slot %s: process %d reads it now", slot.Name, now.ActivePID)
	}
	*slot = *now
	return nil
}

// All that is known of the process is compared where it is ended: its pid may be
// another one's by now. The function waits until the process has gone.
const endSQL = `SELECT pg_terminate_backend(a.pid, $5::bigint)
	FROM pg_replication_slots s JOIN pg_stat_activity a ON a.pid = s.active_pid
	WHERE s.slot_name = $1 AND a.pid = $2::int AND a.application_name = $3 AND a.backend_start IS NOT DISTINCT FROM $4::timestamptz`

// end terminates the reader of a slot and waits until it has gone.
func (s *Source) end(ctx context.Context, conn *pgx.Conn, slot *slotState) error {
	ctx, cancel := context.WithTimeout(ctx, 2*evictionPatient)
	defer cancel()
	var gone bool
	err := conn.QueryRow(ctx, endSQL, slot.Name, slot.ActivePID, slot.Application, slot.ActiveSince, evictionPatient.Milliseconds()).Scan(&gone)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // it has gone by itself
		return nil
	case isCode(err, "42501"):
		return &kafkasync.Fault{
			Class: kafkasync.Wait, Err: oneLine{err},
			What: fmt.Sprintf("the replication slot %s is still held by an earlier run, %s, which role %s may not end", slot.Name, slot.reader(), s.conn.User),
			Fix: fmt.Sprintf("GRANT pg_signal_backend TO %s; -- or, once: SELECT pg_terminate_backend(%d); or none: the server notices by itself within wal_sender_timeout",
				quoteName(s.conn.User), slot.ActivePID),
		}
	case err != nil:
		return classify(err, fmt.Sprintf("ending %s, which holds slot %s", slot.reader(), slot.Name))
	case !gone:
		return &kafkasync.Fault{
			Class: kafkasync.Wait,
			What:  fmt.Sprintf("the replication slot %s is still held by an earlier run, %s, which was told to end and is busy", slot.Name, slot.reader()),
			Fix:   "none: it ends when it is done with what it decodes",
		}
	}
	return nil
}

// held is about a slot that is read by somebody whom we must not end.
func (s *Source) held(slot *slotState, cluster string) error {
	fault := &kafkasync.Fault{
		Class: kafkasync.Wait, What: fmt.Sprintf("the replication slot %s is being read by %s", slot.Name, slot.reader()),
		Risk: "what the other one reads is not sent to us",
		Fix: fmt.Sprintf("stop that program, which must not share a slot; a connection that it has left behind ends by: SELECT pg_terminate_backend(%d);",
			slot.ActivePID),
	}
	if _, theirs, _, ok := parseApplication(slot.Application); ok && theirs == cluster[:min(clusterInName, len(cluster))] {
		fault.What += ", a run of this cluster that is not known to be over"
		fault.Risk = ""
		fault.Fix = fmt.Sprintf("none if another node has just taken over; else give each pipeline a slot of its own, or: SELECT pg_terminate_backend(%d);", slot.ActivePID)
	}
	return fault
}

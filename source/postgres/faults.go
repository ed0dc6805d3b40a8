package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
)

// What an operator is told when changes are gone for good, and the way out.
const (
	riskSlotGone = "changes between the last checkpoint and a new slot are no longer in the server's log"
	// namePlace stands for the pipeline's name until Source.explain puts it in.
	namePlace  = "PIPELINE"
	fixNewSlot = "kafkasync recover " + namePlace + " --new-slot (begins at the present and records what is missing as gaps; " +
		"then refresh what your consumers store of these tables once)"
	fixAdoptSlot = "kafkasync recover " + namePlace + " --adopt-slot (goes on where the slot stands and records what is missing as gaps; " +
		"then refresh what your consumers store of these tables once)"
	fixCheck    = "kafkasync check prints the statement to run"
	fixPooler   = "point source.postgres.url at the Postgres server itself, not at a pooler such as PgBouncer or RDS Proxy"
	fixStandby  = "list all servers in source.postgres.url and add target_session_attrs=read-write"
	fixWALLevel = "ALTER SYSTEM SET wal_level = 'logical'; -- then restart Postgres " +
		"(RDS, Aurora: rds.logical_replication=1; Cloud SQL: cloudsql.logical_decoding=on; Azure: wal_level=LOGICAL)"
)

// explain puts the pipeline's name into what an operator is told to run.
func (s *Source) explain(err error) error {
	var fault *kafkasync.Fault
	if errors.As(err, &fault) && s.pipeline != "" {
		fault.Fix = strings.ReplaceAll(fault.Fix, namePlace, s.pipeline)
	}
	return err
}

// classify wraps err with what was being done. What it knows becomes a
// *kafkasync.Fault; the rest, and a context that has ended, is a plain error
// and so of class Retry. A Fault in err's chain is kept. It returns nil for nil.
func classify(err error, doing string) error {
	if err == nil {
		return nil
	}
	var known *kafkasync.Fault
	if errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if fault := urlFault(err); fault != nil {
		fault.What = doing + ": " + fault.What
		return fault
	}
	fault := faultOf(err)
	if fault == nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	fault.What, fault.Err = doing+": "+fault.What, oneLine{err}
	return fault
}

// oneLine prints an error on one line: pgx lists the attempts of a connection on a line each.
type oneLine struct{ err error } //nolint:errname // says what it does to an error, it is not one of its own

func (e oneLine) Error() string { return strings.Join(strings.Fields(e.err.Error()), " ") }
func (e oneLine) Unwrap() error { return e.err }

func faultOf(err error) *kafkasync.Fault {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		var connect *pgconn.ConnectError
		if errors.As(err, &connect) {
			if fault := loginFault(pg, connect.Config); fault != nil {
				return fault
			}
		}
		return serverFault(pg)
	}
	return networkFault(err)
}

// serverFault knows what a server answers, on any connection.
func serverFault(pg *pgconn.PgError) *kafkasync.Fault {
	switch pg.Code {
	case "55000":
		return stateFault(pg)
	case "42704":
		return missingFault(pg)
	case "58P01":
		if strings.Contains(pg.Message, "WAL segment") {
			return &kafkasync.Fault{
				Class: kafkasync.Stop, What: "the server has removed log that is still needed",
				Risk: riskSlotGone, Fix: fixNewSlot,
			}
		}
		// Any file: pgoutput.so is away for a moment while a package is upgraded.
		return &kafkasync.Fault{Class: kafkasync.Wait, What: "the server misses a file", Fix: "look at the server's installation and its log"}
	}
	if fault := codeFault(pg.Code); fault.What != "" {
		return &fault
	}
	return nil
}

// codeFault holds the answers whose code alone says enough. Of what it does not
// know, it returns the zero Fault.
func codeFault(code string) kafkasync.Fault {
	switch code {
	case "08P01":
		return kafkasync.Fault{
			Class: kafkasync.Wait, What: "the server does not speak the replication protocol; is it a connection pooler?",
			Fix: fixPooler,
		}
	case "0A000":
		return kafkasync.Fault{Class: kafkasync.Wait, What: "the server cannot do this; is it a standby before Postgres 16?", Fix: fixStandby}
	case "22021", "22P05":
		return kafkasync.Fault{
			Class: kafkasync.Stop, What: "a changed row holds text that the server cannot turn into UTF-8",
			Risk: "the row's change cannot be published", Fix: fixNewSlot,
		}
	case "25006":
		return kafkasync.Fault{Class: kafkasync.Wait, What: "the server is read-only", Fix: fixStandby}
	case "42501":
		return kafkasync.Fault{Class: kafkasync.Wait, What: "the role lacks a privilege", Fix: fixCheck}
	case "53100":
		return kafkasync.Fault{Class: kafkasync.Wait, What: "the server's disk is full", Fix: "free disk space on the database server"}
	case "53300":
		return kafkasync.Fault{
			Class: kafkasync.Wait, What: "the server has no free connection or walsender",
			Fix: "close connections that nobody needs, or raise max_connections or max_wal_senders and restart Postgres",
		}
	case "53400":
		return kafkasync.Fault{
			Class: kafkasync.Wait, What: "all replication slots are in use",
			Fix: "drop a slot that nobody uses (SELECT slot_name, active FROM pg_replication_slots), " +
				"or raise max_replication_slots and restart Postgres",
		}
	case "55006":
		return kafkasync.Fault{
			Class: kafkasync.Wait, What: "the replication slot is in use by another process",
			Fix: "none if a node was just replaced: the server lets the slot go within wal_sender_timeout; else stop the other process",
		}
	case "57014":
		return kafkasync.Fault{What: "the server cancelled the statement"}
	case "57P01":
		return kafkasync.Fault{What: "the server is shutting down, or an administrator ended the connection"}
	case "57P02":
		return kafkasync.Fault{What: "the server is restarting after a crash"}
	case "57P03":
		return kafkasync.Fault{What: "the server is not accepting connections yet"}
	}
	switch code[:min(2, len(code))] { // the class of the code
	case "08":
		return kafkasync.Fault{What: "the connection to the server broke"}
	case "28":
		return kafkasync.Fault{Class: kafkasync.Wait, What: "the server refuses the login", Fix: fixCheck}
	}
	return kafkasync.Fault{}
}

// stateFault tells the causes of 55000 apart. Words of the configuration and of
// the protocol are not translated; whatever is not recognised waits.
func stateFault(pg *pgconn.PgError) *kafkasync.Fault {
	text := pg.Message + " " + pg.Detail
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("invalidated", "can no longer"):
		what := "the replication slot was invalidated"
		if pg.Detail != "" {
			what += " (" + strings.TrimSuffix(pg.Detail, ".") + ")"
		}
		return &kafkasync.Fault{Class: kafkasync.Stop, What: what, Risk: riskSlotGone, Fix: fixNewSlot}
	case has("wal_level"):
		return &kafkasync.Fault{Class: kafkasync.Wait, What: "the server does not write a logical log", Fix: fixWALLevel}
	case has("was not created in this database", "physical"):
		return &kafkasync.Fault{
			Class: kafkasync.Stop, What: "the replication slot belongs to something else",
			Fix: "set source.postgres.slot to a name that is free",
		}
	}
	return &kafkasync.Fault{Class: kafkasync.Wait, What: "the server is not in a state to do this", Fix: fixCheck}
}

// missingFault tells a missing publication from a missing slot.
func missingFault(pg *pgconn.PgError) *kafkasync.Fault {
	if strings.Contains(pg.Message, "publication") {
		return unpublished()
	}
	if strings.Contains(pg.Message, "slot") {
		return &kafkasync.Fault{
			Class: kafkasync.Stop, What: "the replication slot does not exist",
			Risk: riskSlotGone, Fix: fixNewSlot,
		}
	}
	return nil
}

// unpublished is about log from a time without the publication. Decoding looks it up as of the
// change that it decodes, so creating it again does not help for what was written before.
func unpublished() *kafkasync.Fault {
	return &kafkasync.Fault{
		Class: kafkasync.Stop, What: "the publication did not exist when a change was written",
		Risk: "changes written while the publication did not exist", Fix: fixNewSlot,
	}
}

package mysql

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/kafkasync/kafkasync"
)

// What an operator is told when changes are gone for good, and the way out.
const (
	// namePlace stands for the pipeline's name until Source.explain puts it in.
	namePlace = "PIPELINE"
	fixAnew   = "kafkasync recover " + namePlace + " --new-slot (begins at the present and records what is missing as gaps; " +
		"then refresh what your consumers store of these tables once)"
	riskPurged = "changes between the last checkpoint and the beginning of the server's log"
	fixCheck   = "kafkasync check prints the statement to run"
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
	var answer *mysql.MyError
	if !errors.As(err, &answer) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	fault := answerFault(answer)
	if fault == nil {
		return fmt.Errorf("%s: %w", doing, answer)
	}
	fault.What, fault.Err = doing+": "+fault.What, answer
	return fault
}

// answerFault knows what a server answers, on any connection.
func answerFault(answer *mysql.MyError) *kafkasync.Fault {
	wait := func(what, fix string) *kafkasync.Fault {
		return &kafkasync.Fault{Class: kafkasync.Wait, What: what, Fix: fix}
	}
	switch answer.Code {
	case mysql.ER_MASTER_FATAL_ERROR_READING_BINLOG:
		return logFault(answer.Message)
	case mysql.ER_SPECIFIC_ACCESS_DENIED_ERROR, mysql.ER_TABLEACCESS_DENIED_ERROR, mysql.ER_DBACCESS_DENIED_ERROR:
		return wait("the user lacks a privilege", fixCheck)
	case mysql.ER_NO_BINARY_LOGGING:
		return wait("the server writes no binary log", "start it with log_bin=binlog")
	case mysql.ER_SERVER_SHUTDOWN:
		return &kafkasync.Fault{What: "the server is shutting down"}
	case mysql.ER_QUERY_INTERRUPTED, erConnectionKilled:
		return &kafkasync.Fault{What: "an administrator, or another reader with our server_id, has ended the connection"}
	case mysql.ER_CON_COUNT_ERROR, mysql.ER_TOO_MANY_USER_CONNECTIONS:
		return wait("the server has no free connection", "close connections that nobody needs, or raise max_connections")
	}
	return nil
}

// erConnectionKilled is MariaDB's.
const erConnectionKilled = 1927

// logFault tells apart what error 1236 is for. MySQL and MariaDB use the one number for all that
// keeps them from sending their log, and their words alone say which. They are not translated.
func logFault(text string) *kafkasync.Fault {
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	stop := func(what, risk, fix string) *kafkasync.Fault {
		return &kafkasync.Fault{Class: kafkasync.Stop, What: what, Risk: risk, Fix: fix}
	}
	switch {
	case has("purged", "Could not find first log file", "could not find next log"):
		return stop("the server has purged log that is still needed", riskPurged, fixAnew)
	case has("more GTIDs than"):
		return lost("")
	case has("not in the master's binlog", "impossible position", "position > file size"):
		return lost("")
	case has("anonymous transaction"):
		return stop("the log holds transactions without a GTID, which cannot be told from a position of GTIDs",
			"the changes of these transactions", "SET GLOBAL gtid_mode = ON; then "+fixAnew)
	case has("same server_uuid/server_id", "same server_uuid", "same server_id"):
		return &kafkasync.Fault{
			Class: kafkasync.Wait, What: "another reader of the log has our server_id",
			Fix: "set server_id to a number that no server and no other reader has; none if a node was just replaced",
		}
	case has("Binary log is not open"):
		return &kafkasync.Fault{Class: kafkasync.Wait, What: "the server writes no binary log", Fix: "start it with log_bin=binlog"}
	case has("max_allowed_packet"):
		return &kafkasync.Fault{
			Class: kafkasync.Wait, What: "an event of the log is larger than the server's max_allowed_packet",
			Fix: "SET GLOBAL max_allowed_packet = 1073741824; on the server",
		}
	case has("bogus data", "event truncated", "checksum", "corrupt"):
		return stop("the server cannot read its own log", "what the damaged file holds", fixAnew)
	}
	return stop("the server does not send its log", "what follows the last checkpoint", "see what it says; if it cannot be put right, "+fixAnew)
}

// lost is about a server that never had, or has no more, what was read. which names it, if that is known.
func lost(which string) *kafkasync.Fault {
	what := "the server lacks transactions that were published"
	if which != "" {
		what += " (" + which + ")"
	}
	return &kafkasync.Fault{
		Class: kafkasync.Stop, What: what + ": it was promoted before it had them, or restored from a backup",
		Risk: "what it has written instead may not be published, and what it lacks is in your consumers' stores",
		Fix:  "point the URL at a server that has them; or " + fixAnew,
	}
}

// stranger is about a server whose log has nothing to do with the one that was read.
func stranger(host, why string) *kafkasync.Fault {
	return &kafkasync.Fault{
		Class: kafkasync.Stop, What: fmt.Sprintf("the server at %s is another one than the log was read from: %s", host, why),
		Risk: "its changes are not those that follow the last checkpoint",
		Fix:  "correct the URL; or, if this is the server from now on, " + fixAnew,
	}
}

package postgres

import (
	"fmt"
	"strings"
	"time"
)

// ourApplications begins the application_name of all connections of the program.
const ourApplications = "kafkasync"

// checkSlot looks at the slot, if there is one: the program creates it only
// where it has never run.
func (c *checkup) checkSlot() {
	s := c.slot
	if s == nil {
		c.Okf("P15", "slot %s will be created", c.cfg.Slot)
		return
	}
	const otherSlot = "set source.postgres.slot to a name that is free; or, if nobody needs it: SELECT pg_drop_replication_slot(%s);"
	fix := fmt.Sprintf(otherSlot, quoteText(s.Name))
	switch {
	case s.Plugin == "":
		c.Errorf("P15", "a standby reads it", fix, "slot %s is a physical one", s.Name)
	case s.Plugin != "pgoutput":
		c.Errorf("P15", "another program reads it", fix, "slot %s has plugin %s, not pgoutput", s.Name, s.Plugin)
	case s.Database != c.server.Database:
		c.Errorf("P15", "its changes are those of that database", fix, "slot %s belongs to database %s", s.Name, s.Database)
	case s.Temporary:
		c.Errorf("P15", "it goes with the connection that made it", fix, "slot %s is temporary", s.Name)
	case s.TwoPhase:
		c.Errorf("P15", "it sends prepared transactions, which may be rolled back", fix, "slot %s has two_phase", s.Name)
	}
	c.Okf("P15", "slot %s is ours: pgoutput, database %s", s.Name, s.Database)
	c.checkSlotHealth()
	c.checkHeadroom()
	c.checkSlotReader()
}

func (c *checkup) checkSlotHealth() {
	s := c.slot
	if why := s.lost(); why != "" {
		c.Errorf("P16", riskSlotGone, c.dropSlot(), "slot %s was invalidated: %s", s.Name, why)
	} else if s.WALStatus == "unreserved" {
		keep := max(2*c.server.SlotKeepMB, int(4*s.Retained>>20), minSlotKeepMB)
		c.Warnf("P16", "its log is removed at the next checkpoint, and the changes in it are lost",
			fmt.Sprintf("ALTER SYSTEM SET max_slot_wal_keep_size = '%dMB'; SELECT pg_reload_conf(); -- then let kafkasync catch up", keep),
			"slot %s is %d MB behind, more than the server keeps", s.Name, s.Retained>>20)
	}
	c.Okf("P16", "slot %s is healthy, %d MB behind", s.Name, s.Retained>>20)
}

// dropSlot is for one that is of no more use.
func (c *checkup) dropSlot() string {
	return fmt.Sprintf("SELECT pg_drop_replication_slot(%s); -- with kafkasync stopped; then start it, and if the pipeline has a checkpoint: %s",
		quoteText(c.slot.Name), c.command(fixNewSlot))
}

// checkHeadroom warns before the server gives the slot up.
func (c *checkup) checkHeadroom() {
	s, limit := c.slot, int64(c.server.SlotKeepMB)<<20
	if limit <= 0 || s.lost() != "" || s.WALStatus == "unreserved" || s.SafeWALSize >= limit/4 {
		return
	}
	left := bytesText(s.SafeWALSize)
	if d := s.lasts(time.Now()); d > 0 {
		left += fmt.Sprintf(" (%s as fast as the server has written since nobody reads it)", d)
	}
	c.Warnf("P20", "then it is lost, and a gap recorded",
		fmt.Sprintf("ALTER SYSTEM SET max_slot_wal_keep_size = '%dMB'; SELECT pg_reload_conf(); -- and let kafkasync catch up", 4*c.server.SlotKeepMB),
		"slot %s is %s behind, and the server drops it after %s more", s.Name, bytesText(s.Retained), left)
}

// lasts returns how long it takes to write what may still be written, at the rate
// since the slot was left; 0 if that is not known. The clocks of the server and
// of this machine may differ, so a short time says nothing.
func (s *slotState) lasts(now time.Time) time.Duration {
	idle := now.Sub(s.InactiveSince)
	if s.InactiveSince.IsZero() || idle < time.Minute || s.Retained <= 0 {
		return 0
	}
	return time.Duration(float64(idle) * float64(s.SafeWALSize) / float64(s.Retained)).Round(time.Minute)
}

func (c *checkup) checkSlotReader() {
	s := c.slot
	switch {
	case s.ActivePID == 0:
		c.Okf("P17", "nobody reads slot %s", s.Name)
	case strings.HasPrefix(s.Application, ourApplications):
		c.Okf("P17", "slot %s is read by %s", s.Name, s.Application)
	default:
		c.Errorf("P17", "a slot has one reader; what the other has read is not sent to us",
			fmt.Sprintf("SELECT pg_terminate_backend(%d); -- after stopping the program, which would come back", s.ActivePID),
			"slot %s is read by process %d (%s)", s.Name, s.ActivePID, readerName(s))
	}
}

func readerName(s *slotState) string {
	who := s.Application
	if who == "" {
		who = "its name is not shown to us"
	}
	if s.Address != "" {
		who += ", from " + s.Address
	}
	return who
}

package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"

	"github.com/kafkasync/kafkasync/source"
)

// place is a position as this package reads it: the end of a transaction in the
// log of one cluster of databases, on one of its timelines. As text,
// "7380012345678901234:1:0/16B3748".
type place struct {
	system   string
	timeline int32
	lsn      pglogrepl.LSN
}

func (p place) position() source.Position {
	return source.Position(p.system + ":" + strconv.Itoa(int(p.timeline)) + ":" + p.lsn.String())
}

// first is the beginning of the place's log.
func (p place) first() source.Position {
	p.lsn = 1
	return p.position()
}

func parsePosition(p source.Position) (place, error) {
	parts := strings.Split(string(p), ":")
	if len(parts) != 3 || parts[0] == "" {
		return place{}, fmt.Errorf("position %q: want system:timeline:LSN", p)
	}
	timeline, err := strconv.ParseInt(parts[1], 10, 32)
	if err != nil || timeline < 1 {
		return place{}, fmt.Errorf("position %q: %q is not a timeline", p, parts[1])
	}
	lsn, err := pglogrepl.ParseLSN(parts[2])
	at := place{system: parts[0], timeline: int32(timeline), lsn: lsn}
	if err != nil || lsn == 0 || at.position() != p { // equal positions must be equal strings
		return place{}, fmt.Errorf("position %q: %q is not an LSN", p, parts[2])
	}
	return at, nil
}

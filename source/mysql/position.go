package mysql

import (
	"fmt"
	"strings"

	"github.com/kafkasync/kafkasync/internal/gtid"
	"github.com/kafkasync/kafkasync/source"
)

// place is a position as this package reads it, behind the end of a transaction. It
// is one of three, which the text begins with:
//
//	mysql:3e11fa47-71ca-11e1-9e33-c80aa9429562:1-23   all transactions that were read
//	mariadb:0-1-100,1-1-7                             the newest of each domain
//	file:3e11fa47-71ca-11e1-9e33-c80aa9429562:binlog.000003:157
//
// The last one is for a MySQL without GTIDs. Nothing may stand behind the first two:
// that is the beginning of a log.
type place struct {
	kind  kind
	set   gtid.Set           // of kindMySQL
	maria gtid.MariaPosition // of kindMariaDB
	file  offset             // of kindFile
}

type kind string

const (
	kindMySQL   kind = "mysql"
	kindMariaDB kind = "mariadb"
	kindFile    kind = "file"
)

func (p place) position() source.Position {
	var text string
	switch p.kind {
	case kindMySQL:
		text = p.set.String()
	case kindMariaDB:
		text = p.maria.String()
	case kindFile:
		text = p.file.String()
	}
	return source.Position(string(p.kind) + ":" + text)
}

func parsePosition(p source.Position) (at place, err error) {
	name, text, _ := strings.Cut(string(p), ":")
	at.kind = kind(name)
	switch at.kind {
	case kindMySQL:
		at.set, err = gtid.ParseSet(text)
	case kindMariaDB:
		at.maria, err = gtid.ParseMariaPosition(text)
	case kindFile:
		at.file, err = parseOffset(text)
	default:
		return place{}, fmt.Errorf("position %q: want mysql:<GTID set>, mariadb:<GTID position> or file:<UUID of the server>:<file>:<offset>", p)
	}
	if err != nil {
		return place{}, fmt.Errorf("position %q: %w", p, err)
	}
	if as := at.position(); as != p { // equal positions must be equal strings
		return place{}, fmt.Errorf("position %q: want it as %q", p, as)
	}
	return at, nil
}

// reached reports whether a reader at p has everything that other stands for. Of two
// servers' files, or of two kinds, nothing is known.
func (p place) reached(other place) bool {
	if p.kind != other.kind {
		return false
	}
	switch p.kind {
	case kindMySQL:
		return p.set.Contains(other.set)
	case kindMariaDB:
		return p.maria.Reached(other.maria)
	default:
		order, err := p.file.compare(other.file)
		return err == nil && order >= 0
	}
}

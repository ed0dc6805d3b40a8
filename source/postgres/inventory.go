package postgres

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
)

// inventory is what there is to cover: every table that a rule could match, and
// how it came into the publication.
type inventory struct {
	// lsn is the end of the log from before the rest was read: what committed
	// before it was published as the inventory says.
	lsn         pglogrepl.LSN
	publication *publication // nil: there is none
	entries     []entry

	names, memberships map[string]int // indexes in entries
}

// entry is a table of the inventory.
type entry struct {
	OID        uint32
	Name       string
	Published  bool
	Membership string // see coverageID; "" if it is not published
}

// Comparing two of these tells whether anything happened to tables or memberships.
const (
	inventoryColumns = `SELECT c.oid, n.nspname || '.' || c.relname, coalesce(pr.oid, 0), `
	inventoryTables  = `
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	LEFT JOIN pg_publication_rel pr ON pr.prrelid = c.oid AND pr.prpubid = $1::oid`

	inventorySQL = inventoryColumns + `coalesce(pn.oid, 0)` + inventoryTables + `
	LEFT JOIN pg_publication_namespace pn ON pn.pnnspid = n.oid AND pn.pnpubid = $1::oid` +
		userTables + ` ORDER BY c.oid`

	// Before 15 there were no schemas in a publication.
	inventory14SQL = inventoryColumns + `0::oid` + inventoryTables + userTables + ` ORDER BY c.oid`
)

// takeInventory reads the catalog as it is now.
func takeInventory(ctx context.Context, conn *pgx.Conn, publication string) (inventory, error) {
	lsn, err := endOfLog(ctx, conn)
	if err != nil {
		return inventory{}, err
	}
	p, err := findPublication(ctx, conn, publication)
	if err != nil {
		return inventory{}, err
	}
	entries, err := queryEntries(ctx, conn, p)
	if err != nil {
		return inventory{}, classify(err, "listing the tables")
	}
	inv := inventory{
		lsn: lsn, publication: p, entries: entries,
		names: make(map[string]int, len(entries)), memberships: map[string]int{},
	}
	for i, e := range entries {
		inv.names[e.Name] = i
		if e.Published {
			inv.memberships[e.Membership] = i
		}
	}
	return inv, nil
}

func queryEntries(ctx context.Context, conn *pgx.Conn, p *publication) ([]entry, error) {
	sql, publication := inventory14SQL, uint32(0) // which names no membership
	if p != nil {
		publication = p.OID
		if p.Server >= schemasVersion {
			sql = inventorySQL
		}
	}
	rows, err := conn.Query(ctx, sql, publication)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e entry, err error) {
		var member, schema uint32
		if err := row.Scan(&e.OID, &e.Name, &member, &schema); err != nil {
			return e, err
		}
		switch {
		case p == nil:
		case member != 0:
			e.Membership = coverageID('t', member, e.OID, p.Version)
		case schema != 0:
			e.Membership = coverageID('s', schema, e.OID, p.Version)
		case p.AllTables:
			e.Membership = coverageID('a', p.OID, e.OID, p.Version)
		}
		e.Published = e.Membership != ""
		return e, nil
	})
}

// coverageID tells one membership of a table in the publication from another: by
// what made it a member (a row for the table, for its schema, or the publication
// itself), which is another one after it was taken out and put back, by the table,
// which is another one after it was dropped and created, and by the version of the
// publication, which may have left operations out between two looks.
func coverageID(kind byte, by, table uint32, version string) string {
	return string(kind) + strconv.FormatUint(uint64(by), 10) + "." + strconv.FormatUint(uint64(table), 10) + "@" + version
}

// coveredTable returns the oid of the table in a coverageID.
func coveredTable(id string) uint32 {
	membership, _ := splitID(id)
	_, digits, _ := strings.Cut(membership, ".")
	digits, _, _ = strings.Cut(digits, "@")
	oid, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0 // the oid of nothing
	}
	return uint32(oid)
}

// byID returns the table of that membership, or nil.
func (inv *inventory) byID(id string) *entry { return inv.entry(inv.memberships, id) }

// byName returns the table of that name, or nil.
func (inv *inventory) byName(name string) *entry { return inv.entry(inv.names, name) }

func (inv *inventory) entry(at map[string]int, key string) *entry {
	i, ok := at[key]
	if !ok {
		return nil
	}
	return &inv.entries[i]
}

// endOfLog returns where the server will write the next record.
func endOfLog(ctx context.Context, conn *pgx.Conn) (pglogrepl.LSN, error) {
	return askLSN(ctx, conn, "asking for the end of the log", "pg_current_wal_insert_lsn()")
}

// askLSN returns what an expression of SQL is worth.
func askLSN(ctx context.Context, conn *pgx.Conn, doing, expression string, args ...any) (pglogrepl.LSN, error) {
	var text string
	if err := conn.QueryRow(ctx, "SELECT ("+expression+")::text", args...).Scan(&text); err != nil {
		return 0, classify(err, doing)
	}
	lsn, err := pglogrepl.ParseLSN(text)
	return lsn, classify(err, doing)
}

package postgres

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
)

// publication is what the server sends: whose changes, and which of them.
type publication struct {
	OID                              uint32
	Server                           int    // server_version_num
	Version                          string // another one after each ALTER PUBLICATION but those that add or drop tables
	Name                             string
	Owner                            string
	Owned                            bool // the current role may do what its owner may
	Insert, Update, Delete, Truncate bool
	ViaRoot                          bool // changes of partitions carry the root's name
	AllTables                        bool
	Generated                        bool // stored generated columns are sent (from 18 on)
	Schemas                          []string
	Members                          []member

	byTable map[uint32]int // indexes in Members
}

// member is a table that was added to a publication by its name.
type member struct {
	OID     uint32 // of the membership: another one after the table was dropped from it and added again
	Table   uint32
	Name    string   // schema.table
	Columns []string // nil: all
	Filter  string   // "": all rows
}

// member returns the membership of a table, or nil.
func (p *publication) member(oid uint32) *member {
	i, ok := p.byTable[oid]
	if !ok {
		return nil
	}
	return &p.Members[i]
}

// covers reports whether changes of the table are sent, whichever way it came in.
func (p *publication) covers(t *table) bool {
	return p.AllTables || slices.Contains(p.Schemas, t.Schema) || p.member(t.OID) != nil
}

// schemasVersion is the first whose publications can hold schemas, filters and column lists.
const schemasVersion = 150000

// serverVersion returns the version as the server counts it, 150014 for 15.14.
func serverVersion(ctx context.Context, conn *pgx.Conn) (int, error) {
	var n int
	err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&n)
	return n, classify(err, "asking for the version")
}

// Columns that later versions added are read by name from the row as JSON.
const publicationSQL = `SELECT p.oid, p.xmin::text, p.pubname, pg_get_userbyid(p.pubowner), pg_has_role(p.pubowner, 'USAGE'),
		p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot, p.puballtables,
		coalesce(to_jsonb(p) ->> 'pubgencols', 'n') = 's'
	FROM pg_publication p WHERE p.pubname = $1`

const (
	membersSQL = `SELECT pr.oid, pr.prrelid, n.nspname || '.' || c.relname, NULL::text[], ''
	FROM pg_publication_rel pr
	JOIN pg_class c ON c.oid = pr.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE pr.prpubid = $1::oid ORDER BY 3`

	members15SQL = `SELECT pr.oid, pr.prrelid, n.nspname || '.' || c.relname,
		CASE WHEN pr.prattrs IS NOT NULL THEN (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
		 WHERE a.attrelid = pr.prrelid AND a.attnum = ANY(pr.prattrs::int2[])) END,
		coalesce(pg_get_expr(pr.prqual, pr.prrelid), '')
	FROM pg_publication_rel pr
	JOIN pg_class c ON c.oid = pr.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE pr.prpubid = $1::oid ORDER BY 3`

	schemas15SQL = `SELECT n.nspname FROM pg_publication_namespace pn
	JOIN pg_namespace n ON n.oid = pn.pnnspid WHERE pn.pnpubid = $1::oid ORDER BY 1`
)

// findPublication returns the publication of that name, or nil if there is none.
func findPublication(ctx context.Context, conn *pgx.Conn, name string) (*publication, error) {
	p, err := queryPublication(ctx, conn, name)
	return p, classify(err, "looking at publication "+name)
}

func queryPublication(ctx context.Context, conn *pgx.Conn, name string) (*publication, error) {
	version, err := serverVersion(ctx, conn)
	if err != nil {
		return nil, err
	}
	p := &publication{Server: version, byTable: map[uint32]int{}}
	err = conn.QueryRow(ctx, publicationSQL, name).Scan(&p.OID, &p.Version, &p.Name, &p.Owner, &p.Owned,
		&p.Insert, &p.Update, &p.Delete, &p.Truncate, &p.ViaRoot, &p.AllTables, &p.Generated)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sql := membersSQL
	if version >= schemasVersion {
		sql = members15SQL
	}
	rows, err := conn.Query(ctx, sql, p.OID)
	if err != nil {
		return nil, err
	}
	p.Members, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (m member, err error) {
		return m, row.Scan(&m.OID, &m.Table, &m.Name, &m.Columns, &m.Filter)
	})
	for i, m := range p.Members {
		p.byTable[m.Table] = i
	}
	if err != nil || version < schemasVersion {
		return p, err
	}
	rows, err = conn.Query(ctx, schemas15SQL, p.OID)
	if err != nil {
		return nil, err
	}
	p.Schemas, err = pgx.CollectRows(rows, pgx.RowTo[string])
	return p, err
}

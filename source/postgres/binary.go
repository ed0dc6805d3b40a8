package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
)

// The server spends less on values that it does not have to print, and sends
// fewer bytes. Which form it uses is chosen for a whole stream, so binary is for
// streams all of whose wanted columns are decoded here in that form. The catalog
// tells that of now, while the log may be older: if it holds such a column of
// another type, the run ends, textOnly is set, and later ones read text.

// binary reports whether the log of these tables can be read in binary form.
func (s *Source) binary(ctx context.Context, conn *pgx.Conn, covered []table) (bool, error) {
	if s.textOnly.Load() {
		return false, nil
	}
	var made []uint32 // by users and extensions
	for i := range covered {
		for _, oid := range s.wantedTypes(&covered[i]) {
			switch {
			case codecOf(oid).binary != nil:
			case oid < firstMadeOID:
				return false, nil
			case !slices.Contains(made, oid):
				made = append(made, oid)
			}
		}
	}
	if len(made) == 0 {
		return true, nil
	}
	found, err := baseTypes(ctx, conn, made)
	if err != nil {
		return false, err
	}
	for _, oid := range made {
		if base := found[oid]; !base.textual && codecOf(base.oid).binary == nil {
			return false, nil
		}
	}
	return true, nil
}

// wantedTypes returns the types of the columns that the rules ask for.
func (s *Source) wantedTypes(t *table) []uint32 {
	// A rule and a table that do not fit are another one's to report.
	wanted, err := s.selector.Columns(t.Name, attributeNames(t.Columns), t.primaryKey())
	if err != nil {
		return nil
	}
	var oids []uint32
	for _, a := range t.Columns {
		if slices.Contains(wanted, a.Name) {
			oids = append(oids, a.TypeOID)
		}
	}
	return oids
}

// pluginArguments asks pgoutput for what this package decodes.
func (s *Source) pluginArguments(binary bool) []string {
	arguments := []string{
		"proto_version '1'",
		// A list of names within a literal: quoted twice.
		"publication_names " + quoteText(quoteName(s.cfg.Publication)),
		"messages 'true'", // else a heartbeat would be an empty transaction, which is not sent
	}
	if binary {
		arguments = append(arguments, "binary 'true'")
	}
	return arguments
}

// firstMadeOID is above all types that Postgres itself numbers, for which pgoutput sends no name.
const firstMadeOID = 10_000

// baseType is what a domain is made of; any other type is its own.
type baseType struct {
	oid     uint32
	textual bool // its binary form is its text: an enum, citext
}

const baseTypesSQL = `WITH RECURSIVE base (oid, at) AS (
		SELECT oid, oid FROM unnest($1::oid[]) made (oid)
		UNION ALL
		SELECT b.oid, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.at WHERE t.typtype = 'd')
	SELECT b.oid, t.oid, p.proname IN ('enum_send', 'citextsend')
	FROM base b JOIN pg_type t ON t.oid = b.at JOIN pg_proc p ON p.oid = t.typsend
	WHERE t.typtype <> 'd'`

// baseTypes looks types up. One that is gone, or has no binary form, is absent.
func baseTypes(ctx context.Context, conn *pgx.Conn, oids []uint32) (map[uint32]baseType, error) {
	rows, err := conn.Query(ctx, baseTypesSQL, oids)
	if err != nil {
		return nil, classify(err, "looking at types")
	}
	found := map[uint32]baseType{}
	var oid uint32
	var base baseType
	_, err = pgx.ForEachRow(rows, []any{&oid, &base.oid, &base.textual}, func() error {
		found[oid] = base
		return nil
	})
	return found, classify(err, "looking at types")
}

package mysql

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// lookup asks the server of a stream, each time over a connection of its own.
type lookup struct {
	source *Source
	server server
}

// connect connects to the server that the log comes from, and to no other.
func (l lookup) connect(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	c, err := l.source.connectTo(ctx, l.server.host)
	if err != nil {
		return nil, err
	}
	if c.server.identity != l.server.identity {
		c.close()
		return nil, fmt.Errorf("the address %s leads to another server than a moment ago", l.server.host)
	}
	return c, nil
}

// describe returns what the server knows of a table; nil if there is none.
func (l lookup) describe(ctx context.Context, schema, table string) (*tableInfo, error) {
	c, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	// The catalog finds names in any case; tables that differ in nothing else are two.
	where := fmt.Sprintf(" WHERE TABLE_SCHEMA = %[1]s AND TABLE_NAME = %[2]s AND CAST(TABLE_SCHEMA AS BINARY) = CAST(%[1]s AS BINARY) AND CAST(TABLE_NAME AS BINARY) = CAST(%[2]s AS BINARY)",
		quoteText(schema), quoteText(table))
	doing := fmt.Sprintf("asking for the columns of %s.%s", schema, table)
	rows, err := c.askTexts(ctx, doing,
		"SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, COALESCE(DATETIME_PRECISION, 0), GENERATION_EXPRESSION = 'ROW END' FROM information_schema.COLUMNS"+where+" ORDER BY ORDINAL_POSITION")
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	key, err := c.askTexts(ctx, doing,
		"SELECT COLUMN_NAME FROM information_schema.STATISTICS"+where+" AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX")
	if err != nil {
		return nil, err
	}
	info := &tableInfo{}
	for _, row := range rows {
		c := describeColumn(row[0], strings.ToLower(row[1]), row[2], row[3])
		if c.fraction, err = strconv.Atoi(row[4]); err != nil {
			return nil, fmt.Errorf("%s: the precision of %q: %w", doing, c.name, err)
		}
		c.rowEnd = row[5] == "1"
		info.columns = append(info.columns, c)
	}
	for _, row := range key {
		at := slices.IndexFunc(info.columns, func(c columnInfo) bool { return c.name == row[0] })
		if at < 0 {
			return nil, fmt.Errorf("%s: its primary key names %q, which is none of them", doing, row[0])
		}
		info.primaryKey = append(info.primaryKey, at)
	}
	return info, nil
}

func describeColumn(name, dataType, columnType, charset string) columnInfo {
	c := columnInfo{name: name, dataType: dataType, charset: charset}
	switch dataType {
	case "enum", "set":
		for _, t := range lex(columnType, false) {
			if t.kind == stringToken {
				c.elements = append(c.elements, t.text)
			}
		}
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		c.charset = "binary"
	default:
		c.unsigned = strings.Contains(strings.ToLower(columnType), "unsigned")
	}
	return c
}

// captured lists the tables that there are, of those that a rule captures.
func (s *Source) captured(ctx context.Context, c *session) ([]string, error) {
	rows, err := c.askTexts(ctx, "asking for the tables",
		"SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY 1, 2")
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(rows))
	for _, row := range rows {
		if name := row[0] + "." + row[1]; s.selector.Captures(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// quoteText quotes a string literal, for whatever sql_mode.
func quoteText(text string) string {
	if strings.ContainsAny(text, `'"\`) || !utf8.ValidString(text) {
		return fmt.Sprintf("CONVERT(0x%x USING utf8mb4)", text)
	}
	return "'" + text + "'" // which the catalog needs to look at one table only
}

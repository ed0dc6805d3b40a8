package sourcetest

import (
	"fmt"
	"strconv"
	"strings"
)

// The suite's tables, by names that no SQL database reserves. Others is not captured.
const (
	Items  = "items"
	Lines  = "order_lines"
	Others = "others"
)

// Schema is what creates the tables, in any SQL database.
func Schema() []string {
	return []string{
		"CREATE TABLE items (id bigint PRIMARY KEY, name text)",
		"CREATE TABLE order_lines (order_id bigint, line int, note text, PRIMARY KEY (order_id, line))",
		"CREATE TABLE others (id bigint PRIMARY KEY)",
	}
}

// Row is a row of items or lines, or a whole table where it has no key.
type Row struct {
	Table string
	Key   []int64
	Text  string // name or note; holds no character that SQL would quote
}

// Item returns a row of items.
func Item(id int64, name string) Row { return Row{Items, []int64{id}, name} }

// Line returns a row of lines.
func Line(order, line int64, note string) Row { return Row{Lines, []int64{order, line}, note} }

// Kind says what a Step does.
type Kind int

// The kinds of a step.
const (
	Insert    Kind = iota
	Update         // of the text
	Delete         //
	Rekey          // of the row with the key From to Row
	Fill           // inserts Count items, with ids from Row.Key[0] upwards
	Truncate       // a transaction of its own, since it commits implicitly in some databases
	AddColumn      // "extra text" to Row.Table; a transaction of its own
	Other          // inserts a row, with the id Row.Key[0], that is not captured
)

// Step is one statement.
type Step struct {
	Kind  Kind
	Row   Row
	From  []int64
	Count int
}

// Tx is one transaction.
type Tx []Step

// SQL returns the step as a statement that every SQL database reads.
func (s Step) SQL() string {
	switch s.Kind {
	case Insert:
		// Later columns stay NULL.
		return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s, '%s')", s.Row.Table,
			strings.Join(columnsOf(s.Row.Table), ", "), strings.Join(texts(s.Row.Key), ", "), s.Row.Text)
	case Update:
		return fmt.Sprintf("UPDATE %s SET %s = '%s' WHERE %s", s.Row.Table, textOf(s.Row.Table), s.Row.Text,
			equal(s.Row.Table, s.Row.Key, " AND "))
	case Delete:
		return fmt.Sprintf("DELETE FROM %s WHERE %s", s.Row.Table, equal(s.Row.Table, s.Row.Key, " AND "))
	case Rekey:
		return fmt.Sprintf("UPDATE %s SET %s, %s = '%s' WHERE %s", s.Row.Table, equal(s.Row.Table, s.Row.Key, ", "),
			textOf(s.Row.Table), s.Row.Text, equal(s.Row.Table, s.From, " AND "))
	case Fill:
		return s.fill()
	case Truncate:
		return "TRUNCATE TABLE " + s.Row.Table
	case AddColumn:
		return "ALTER TABLE " + s.Row.Table + " ADD COLUMN extra text"
	default:
		return fmt.Sprintf("INSERT INTO %s VALUES (%d)", Others, s.Row.Key[0])
	}
}

func (s Step) fill() string {
	text := []byte("INSERT INTO items (id, name) VALUES ")
	for i := range s.Count {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, '(')
		text = strconv.AppendInt(text, s.Row.Key[0]+int64(i), 10)
		text = append(text, ",'"...)
		text = append(text, s.Row.Text...)
		text = append(text, "')"...)
	}
	return string(text)
}

func keyOf(table string) []string {
	if table == Lines {
		return []string{"order_id", "line"}
	}
	return []string{"id"}
}

func textOf(table string) string {
	if table == Lines {
		return "note"
	}
	return "name"
}

func columnsOf(table string) []string { return append(keyOf(table), textOf(table)) }

func texts(key []int64) []string {
	var all []string
	for _, k := range key {
		all = append(all, strconv.FormatInt(k, 10))
	}
	return all
}

func equal(table string, key []int64, between string) string {
	var all []string
	for i, column := range keyOf(table) {
		all = append(all, fmt.Sprintf("%s = %d", column, key[i]))
	}
	return strings.Join(all, between)
}

package consumer

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/kafkasync/kafkasync"
)

// idPlan is how an id of some type is read.
type idPlan struct {
	of     reflect.Type
	fields []idField // of a composite id; none: it is one column
}

type idField struct {
	column string
	at     int
}

// planOf looks at the type once.
func planOf[T comparable]() (*idPlan, error) {
	p := &idPlan{of: reflect.TypeFor[T]()}
	if isColumn(p.of) {
		return p, nil
	}
	if p.of.Kind() != reflect.Struct {
		return nil, fmt.Errorf("consumer: %s cannot be the type of an id: want an integer, string, float or bool type, an array of bytes, "+
			"a type with UnmarshalText, or a struct of such fields", p.of)
	}
	for i := range p.of.NumField() {
		f := p.of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		switch {
		case name == "-":
			continue
		case !f.IsExported():
			return nil, fmt.Errorf("consumer: field %s of the id type %s is not exported", f.Name, p.of)
		case !isColumn(f.Type):
			return nil, fmt.Errorf("consumer: field %s of the id type %s is a %s: want an integer, string, float or bool type, an array of bytes, "+
				"or a type with UnmarshalText", f.Name, p.of, f.Type)
		}
		p.fields = append(p.fields, idField{name, i})
	}
	if len(p.fields) == 0 {
		return nil, fmt.Errorf("consumer: the id type %s has no fields", p.of)
	}
	return p, nil
}

func isColumn(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.String, reflect.Bool:
		return true
	case reflect.Array:
		return t.Elem().Kind() == reflect.Uint8
	default:
		return false
	}
}

// readID reads the id of a message; T is the plan's type.
func readID[T comparable](p *idPlan, m *kafkasync.Message) (id T, err error) {
	if m.Op == kafkasync.Truncated {
		return id, fmt.Errorf("it truncates %s and names no row", m.Table)
	}
	value := reflect.ValueOf(&id).Elem()
	if m.Value == nil {
		err = p.fromKey(value, m.Key)
	} else {
		err = p.fromPayload(value, m)
	}
	if err != nil {
		return id, fmt.Errorf("reading its id: %w", err)
	}
	return id, nil
}

// column is a column of a payload.
type column struct {
	name string
	raw  json.RawMessage
}

func (p *idPlan) fromPayload(into reflect.Value, m *kafkasync.Message) error {
	columns, err := columnsOf(m.Value)
	if err != nil {
		return fmt.Errorf("the payload %.200q is no JSON object: %w", m.Value, err)
	}
	if len(p.fields) == 0 {
		for _, c := range columns {
			if len(columns) == 1 || text(c.raw) == string(m.Key) {
				return readColumn(into, c)
			}
		}
		return fmt.Errorf("none of the columns of the payload %.200q is the key %.200q: a composite id is a struct", m.Value, m.Key)
	}
	for _, f := range p.fields {
		found := false
		for _, c := range columns {
			if c.name == f.column {
				found = true
				if err := readColumn(into.Field(f.at), c); err != nil {
					return err
				}
			}
		}
		if !found {
			return fmt.Errorf("the payload %.200q has no column %s, as the id type %s wants it: name the column in the field's json tag, "+
				"or list it in the rule's payload", m.Value, f.column, p.of)
		}
	}
	return nil
}

// fromKey reads what a tombstone has.
func (p *idPlan) fromKey(into reflect.Value, key []byte) error {
	if len(p.fields) == 0 {
		quoted, err := json.Marshal(string(key))
		if err != nil {
			return err
		}
		if into.Kind() == reflect.Bool {
			quoted = key
		}
		return readColumn(into, column{"of the key", quoted})
	}
	parts := []json.RawMessage{key}
	if len(p.fields) > 1 {
		if err := json.Unmarshal(key, &parts); err != nil || len(parts) != len(p.fields) {
			return fmt.Errorf("the key %.200q does not have the %d columns of the id type %s", key, len(p.fields), p.of)
		}
	} else if quoted, err := json.Marshal(string(key)); err == nil {
		parts[0] = quoted
	}
	for i, f := range p.fields {
		if err := readColumn(into.Field(f.at), column{f.column, parts[i]}); err != nil {
			return err
		}
	}
	return nil
}

// columnsOf returns the columns of a payload, in order.
func columnsOf(payload []byte) ([]column, error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.Join(errors.New("it does not begin with {"), err)
	}
	var columns []column
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		c := column{name: fmt.Sprint(name)}
		if err := d.Decode(&c.raw); err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	return columns, nil
}

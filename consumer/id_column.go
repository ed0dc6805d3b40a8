package consumer

import (
	"encoding"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// text is a column as the key shows it: a string without its quotes.
func text(raw json.RawMessage) string {
	if len(raw) > 0 && raw[0] == '"' {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
	}
	return string(raw)
}

// readColumn reads a column into a value of a type that isColumn allows.
func readColumn(into reflect.Value, c column) error {
	if string(c.raw) == "null" {
		return fmt.Errorf("column %s is null", c.name)
	}
	if err := readText(into, c.raw); err != nil {
		return fmt.Errorf("column %s is %.200s, which is no %s: %w", c.name, c.raw, into.Type(), err)
	}
	return nil
}

func readText(into reflect.Value, raw json.RawMessage) error {
	s := text(raw)
	if u, ok := into.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(s))
	}
	quoted := len(raw) > 0 && raw[0] == '"'
	switch into.Kind() {
	case reflect.String:
		if !quoted {
			return errors.New("want a number or bool type")
		}
		into.SetString(s)
		return nil
	case reflect.Bool:
		return readBool(into, s, quoted)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(s, into.Type().Bits())
		if err == nil && f != f {
			err = errors.New("it equals no id, not even itself")
		}
		into.SetFloat(f)
		return because(err)
	case reflect.Array:
		return readBytes(into, s)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(s, 10, into.Type().Bits()) // in quotes with `bigint: string`
		into.SetUint(n)
		return because(err)
	default:
		n, err := strconv.ParseInt(s, 10, into.Type().Bits())
		into.SetInt(n)
		return because(err)
	}
}

// because takes from strconv's errors what a reader does not know yet.
func because(err error) error {
	var e *strconv.NumError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

func readBool(into reflect.Value, s string, quoted bool) error {
	if quoted || s != "true" && s != "false" {
		return errors.New("want true or false")
	}
	into.SetBool(s == "true")
	return nil
}

// readBytes reads hexadecimal digits, with dashes if it is a UUID.
func readBytes(into reflect.Value, s string) error {
	const uuid = 16
	if into.Len() == uuid && len(s) == 2*uuid+4 {
		s = strings.ReplaceAll(s, "-", "")
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return errors.New("want hexadecimal digits")
	}
	if len(b) != into.Len() {
		return fmt.Errorf("it has %d bytes", len(b))
	}
	reflect.Copy(into, reflect.ValueOf(b))
	return nil
}

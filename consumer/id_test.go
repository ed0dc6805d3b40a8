package consumer_test

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
)

type composite struct {
	Tenant string `json:"tenant_id"`
	Line   int32  `json:"line"`
}

type single struct{ ID int64 }

func payload(key, value string) *kafkasync.Message {
	m := &kafkasync.Message{Op: kafkasync.Updated, Key: []byte(key), Table: "public.t"}
	if value != "" {
		m.Value = []byte(value)
	}
	return m
}

// id returns the id as text, or the error.
func id[T comparable](m *kafkasync.Message) string {
	got, err := consumer.ID[T](m)
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprintf("%v", got)
}

func TestIDsOfEveryKeyTypeAreRead(t *testing.T) {
	uuid := "7f9c24e8-3b12-4fef-91e0-4d4bc1a2a3f1"
	tests := []struct {
		name, got, want string
	}{
		{"bigint", id[int64](payload("42", `{"id":42}`)), "42"},
		{"the largest", id[int64](payload("", `{"id":9223372036854775807}`)), fmt.Sprint(int64(math.MaxInt64))},
		{"unsigned", id[uint64](payload("", `{"id":18446744073709551615}`)), fmt.Sprint(uint64(math.MaxUint64))},
		{"bigint: string", id[int64](payload("42", `{"id":"42"}`)), "42"},
		{"an int type of one's own", id[kafkasync.Class](payload("1", `{"id":1}`)), "wait"},
		{"text", id[string](payload(`a"b`, `{"sku":"a\"b"}`)), `a"b`},
		{"numeric", id[string](payload("9.90", `{"n":"9.90"}`)), "9.90"},
		{"bool", id[bool](payload("true", `{"b":true}`)), "true"},
		{"double", id[float64](payload("0.1", `{"f":0.1}`)), "0.1"},
		{"infinity", id[float64](payload("Infinity", `{"f":"Infinity"}`)), "+Inf"},
		{"uuid", id[[16]byte](payload(uuid, `{"id":"`+uuid+`"}`)), "[127 156 36 232 59 18 79 239 145 224 77 75 193 162 163 241]"},
		{"bytea", id[[2]byte](payload("00ff", `{"id":"00ff"}`)), "[0 255]"},
		{"what reads itself", id[netip.Addr](payload("10.0.0.1", `{"ip":"10.0.0.1"}`)), "10.0.0.1"},
		{"composite", id[composite](payload(`["acme",7]`, `{"tenant_id":"acme","line":7}`)), "{acme 7}"},
		{"composite beside other columns", id[composite](payload(`["acme",7]`, `{"x":null,"line":7,"tenant_id":"acme"}`)), "{acme 7}"},
		{"a struct of one", id[single](payload("3", `{"ID":3}`)), "{3}"},
		{"beside other columns: the key's", id[string](payload("a", `{"title":"b","sku":"a"}`)), "a"},
		{"tombstone", id[int64](payload("42", "")), "42"},
		{"tombstone of text", id[string](payload(`["x"]`, "")), `["x"]`},
		{"tombstone, composite", id[composite](payload(`["acme",7]`, "")), "{acme 7}"},
		{"tombstone, a struct of one", id[single](payload("3", "")), "{3}"},
		{"tombstone, bool", id[bool](payload("true", "")), "true"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestWhatIsNoSuchIDSaysSo(t *testing.T) {
	truncated := payload("", `{"id":null}`)
	truncated.Op, truncated.Key = kafkasync.Truncated, nil
	tests := []struct {
		name, got, want string
	}{
		{"text as a number", id[int64](payload("a", `{"sku":"a"}`)), `column sku is "a", which is no int64`},
		{"a number as text", id[string](payload("42", `{"id":42}`)), `column id is 42, which is no string: want a number`},
		{"too large", id[int8](payload("300", `{"id":300}`)), "column id is 300, which is no int8: value out of range"},
		{"negative", id[uint64](payload("-1", `{"id":-1}`)), "which is no uint64"},
		{"a fraction", id[int64](payload("1.5", `{"id":1.5}`)), "which is no int64"},
		{"null", id[int64](payload("", `{"id":null}`)), "column id is null"},
		{"not a number", id[float64](payload("NaN", `{"f":"NaN"}`)), "equals no id"},
		{"bytes", id[[2]byte](payload("00", `{"b":"00"}`)), "it has 1 bytes"},
		{"no hex", id[[2]byte](payload("zz", `{"b":"zz"}`)), "want hexadecimal digits"},
		{"composite as one", id[int64](payload(`["acme",7]`, `{"tenant_id":"acme","line":7}`)), "a composite id is a struct"},
		{"a column that is missing", id[composite](payload("7", `{"line":7}`)), `has no column tenant_id`},
		{"no object", id[int64](payload("1", `[1]`)), "is no JSON object"},
		{"cut off", id[int64](payload("1", `{"id":`)), "is no JSON object"},
		{"a tombstone of another key", id[composite](payload("7", "")), "does not have the 2 columns"},
		{"a truncate", id[int64](truncated), "it truncates public.t and names no row"},
		{"a slice inside", id[struct{ A any }](payload("1", `{"A":1}`)), "field A of the id type"},
		{"no column type", id[complex64](payload("1", `{"A":1}`)), "complex64 cannot be the type of an id"},
		{"not exported", id[struct{ a int }](payload("1", `{"a":1}`)), "is not exported"},
	}
	for _, tt := range tests {
		if !strings.HasPrefix(tt.got, "error: ") || !strings.Contains(tt.got, tt.want) {
			t.Errorf("%s: got %q, want an error that says %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestIDsOfABatchAreThereOnce(t *testing.T) {
	batch := []kafkasync.Message{*payload("2", `{"id":2}`), *payload("1", `{"id":1}`), *payload("2", `{"id":2,"x":1}`)}
	got, err := consumer.IDs[int](batch)
	if err != nil || fmt.Sprint(got) != "[2 1]" {
		t.Errorf("got %v, error %v, want 2 and 1", got, err)
	}
	batch = append(batch, kafkasync.Message{Topic: "products", Offset: 7, Op: kafkasync.Truncated})
	if _, err = consumer.IDs[int](batch); err == nil || !strings.Contains(err.Error(), "offset 7 of partition 0 of topic products") {
		t.Errorf("got %v, want an error that says where the truncate is", err)
	}
}

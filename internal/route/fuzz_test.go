package route_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/source"
)

// FuzzValue puts any bytes of any kind into key and payload: either they are
// refused, or a reader gets back exactly what was put in.
func FuzzValue(f *testing.F) {
	for _, s := range []string{"", "0", "-0", "42", "007", "1e5", "-1.5E+3", "NaN", "true", "a\"b\\c\n\x00\x7f", "\xff", "\u2028 日本 🍵", "1.", "--1", "\ufffd"} {
		for kind := source.Null; kind <= source.Binary+1; kind++ {
			f.Add(uint8(kind), []byte(s), kind%2 == 0)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, raw []byte, strict bool) {
		enc := route.Encoding{BigintAsString: strict, BinaryAsBase64: strict}
		r, err := route.New("p", []route.Rule{{Match: "public.*", Key: []string{"v"}, Payload: column("v", "again=v")}}, enc)
		if err != nil {
			t.Fatal(err)
		}
		v := source.Value{Kind: source.Kind(kind), Bytes: raw}
		var buf route.Buffer
		msgs, err := r.Append(nil, &buf, created(table("a", "", "v"), v))
		if err != nil {
			if kafkasync.ClassOf(err) != kafkasync.Stop {
				t.Errorf("got %v of class %s, want stop", err, kafkasync.ClassOf(err))
			}
			if v.Kind == source.Text && utf8.Valid(raw) || v.Kind == source.Binary {
				t.Errorf("got %v for %q, want a message", err, raw)
			}
			return
		}
		decoder := json.NewDecoder(bytes.NewReader(msgs[0].Value))
		decoder.UseNumber()
		var got map[string]any
		if err := decoder.Decode(&got); err != nil {
			t.Fatalf("got %s, want JSON: %v", msgs[0].Value, err)
		}
		if len(got) != 2 || got["v"] != got["again"] {
			t.Errorf("got %s, want the value twice", msgs[0].Value)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, msgs[0].Value); err != nil || !bytes.Equal(compact.Bytes(), msgs[0].Value) {
			t.Errorf("got %s, want compact JSON (%v)", msgs[0].Value, err)
		}
		if want := meaning(v, enc); got["v"] != want {
			t.Errorf("got %v (%T), want %v", got["v"], got["v"], want)
		}
		if want := bare(v, enc); string(msgs[0].Key) != want {
			t.Errorf("got the key %q, want %q", msgs[0].Key, want)
		}
	})
}

// meaning is what a JSON reader is to find.
func meaning(v source.Value, enc route.Encoding) any {
	s := string(v.Bytes)
	switch v.Kind {
	case source.Int:
		return json.Number(s)
	case source.BigInt:
		if !enc.BigintAsString {
			return json.Number(s)
		}
	case source.Float:
		if s != "NaN" && s != "Infinity" && s != "-Infinity" {
			return json.Number(s)
		}
	case source.Bool:
		return s == "true"
	default:
	}
	return bare(v, enc)
}

// bare is the text of a value without quotes.
func bare(v source.Value, enc route.Encoding) string {
	switch {
	case v.Kind != source.Binary:
		return string(v.Bytes)
	case enc.BinaryAsBase64:
		return base64.StdEncoding.EncodeToString(v.Bytes)
	default:
		return hex.EncodeToString(v.Bytes)
	}
}

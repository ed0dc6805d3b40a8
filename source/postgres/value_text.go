package postgres

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/kafkasync/kafkasync/source"
)

func decodeBoolText(b *source.Batch, text []byte) (source.Value, error) {
	switch string(text) {
	case "t":
		return boolValue(b, true), nil
	case "f":
		return boolValue(b, false), nil
	}
	return source.Value{}, fmt.Errorf("decoding a bool: got %q, want t or f", text)
}

// decodeTimestampText makes "2026-11-21 10:50:00.5+00" of DateStyle ISO in UTC
// an ISO 8601 time, "2026-11-21T10:50:00.5Z". What that form cannot say (infinity,
// years before Christ) stays as the database prints it. The server prints the
// fraction without trailing zeros already.
func decodeTimestampText(b *source.Batch, text []byte) (source.Value, error) {
	out := b.Copy(text)
	at := bytes.IndexByte(out, ' ')
	if at < 0 || bytes.HasSuffix(out, []byte(" BC")) {
		return source.Value{Kind: source.Text, Bytes: out}, nil
	}
	out[at] = 'T'
	if zone, isUTC := bytes.CutSuffix(out, []byte("+00")); isUTC {
		out = append(zone, 'Z') // in place: the zone is longer
	}
	return source.Value{Kind: source.Text, Bytes: out}, nil
}

// decodeFloatText reads the number and prints it anew: the server's shortest
// form has another layout (1e+15, 1e-07), and other digits where it does not trust
// a reader to round to even (9.999999999999999e+22 for 1e+23).
func decodeFloatText(bits int) decoder {
	return func(b *source.Batch, text []byte) (source.Value, error) {
		f, err := strconv.ParseFloat(string(text), bits)
		if err != nil {
			return source.Value{}, fmt.Errorf("decoding a float: got %q", text)
		}
		return floatValue(b, f, bits), nil
	}
}

// decodeByteaText reads the form that bytea_output hex gives.
func decodeByteaText(b *source.Batch, text []byte) (source.Value, error) {
	digits, isHex := bytes.CutPrefix(text, []byte(`\x`))
	if !isHex {
		return source.Value{}, fmt.Errorf(`decoding a bytea: got %.10q, want it to begin with \x`, text)
	}
	raw := b.Copy(digits[:len(digits)/2])
	if _, err := hex.Decode(raw, digits); err != nil {
		return source.Value{}, fmt.Errorf("decoding a bytea: %w", err)
	}
	return source.Value{Kind: source.Binary, Bytes: raw}, nil
}

// decodeCharText is for "char", which holds any one byte. Up to Postgres 15, a
// byte beyond ASCII is sent as it is, though it is no UTF-8; later ones print \351.
func decodeCharText(b *source.Batch, text []byte) (source.Value, error) {
	if len(text) == 1 && text[0] >= 0x80 {
		c := text[0]
		text = []byte{'\\', '0' + c>>6, '0' + c>>3&7, '0' + c&7}
	}
	return textValue(b, text), nil
}

package mysql

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/transform"

	"github.com/kafkasync/kafkasync/source"
)

// charsetBinary is the charset of bytes.
const charsetBinary = "binary"

// textDecoder returns what makes UTF-8 of a charset, as the servers call it. What has no
// place in Unicode becomes U+FFFD.
func textDecoder(charset string) (decoder, error) {
	switch charset {
	case charsetBinary:
		return decodeBytes, nil
	case "utf8mb4", "utf8mb3", "utf8", "ascii":
		return decodeUTF8, nil
	case "ucs2", "utf16":
		return utf16Decoder(bigEndian), nil
	case "utf16le":
		return utf16Decoder(littleEndian), nil
	case "utf32":
		return decodeUTF32, nil
	case "":
		return nil, errors.New("its charset is not known")
	}
	if high := highHalf(charset); high != "" {
		return singleByteDecoder(charset, high), nil
	}
	if d := doubleByteOf(charset); d != nil {
		return d.decoder(), nil
	}
	return nil, fmt.Errorf("its charset %s cannot be converted to UTF-8 here: ALTER TABLE ... MODIFY it with CHARACTER SET utf8mb4", charset)
}

// convertible reports whether textDecoder has one for a charset.
func convertible(charset string) bool {
	_, err := textDecoder(charset)
	return err == nil
}

// singleByteDecoder is for charsets of one byte a character, whose first 128 are ASCII but for one.
func singleByteDecoder(charset, high string) decoder {
	var table [256]rune
	for i := range 128 {
		table[i] = rune(i)
	}
	if charset == "swe7" {
		for i, r := range map[int]rune{'@': 'É', '[': 'Ä', '\\': 'Ö', ']': 'Å', '^': 'Ü', '`': 'é', '{': 'ä', '|': 'ö', '}': 'å', '~': 'ü'} {
			table[i] = r
		}
	}
	copy(table[128:], []rune(high))
	return func(a *arena, wire []byte) (source.Value, error) {
		at := len(a.bytes)
		for _, b := range wire {
			a.bytes = utf8.AppendRune(a.bytes, table[b])
		}
		return a.value(source.Text, at)
	}
}

// decoder converts what lies between exceptions at once.
func (d *doubleByte) decoder() decoder {
	convert := d.encoding.NewDecoder()
	return func(a *arena, wire []byte) (source.Value, error) {
		at, from := len(a.bytes), 0
		for i := 0; i < len(wire); {
			if wire[i] < utf8.RuneSelf {
				i++
				continue
			}
			n := min(d.length(wire[i:]), len(wire)-i)
			r, ok := d.exception(uint32(bigEndian(wire[i : i+n])))
			if !ok {
				i += n
				continue
			}
			if err := a.convert(convert, wire[from:i]); err != nil {
				return source.Value{}, err
			}
			a.bytes = utf8.AppendRune(a.bytes, r)
			i += n
			from = i
		}
		if err := a.convert(convert, wire[from:]); err != nil {
			return source.Value{}, err
		}
		return a.value(source.Text, at)
	}
}

func (a *arena) convert(t transform.Transformer, text []byte) error {
	t.Reset()
	for {
		wrote, read, err := t.Transform(a.bytes[len(a.bytes):cap(a.bytes)], text, true)
		a.bytes, text = a.bytes[:len(a.bytes)+wrote], text[read:]
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, transform.ErrShortDst):
			return fmt.Errorf("converting text to UTF-8: %w", err)
		}
		a.bytes = slices.Grow(a.bytes, 2*len(text)+utf8.UTFMax)
	}
}

// utf16Decoder is for pairs of bytes in one order or the other.
func utf16Decoder(unit func([]byte) uint64) decoder {
	return func(a *arena, wire []byte) (source.Value, error) {
		if len(wire)%2 != 0 {
			return source.Value{}, fmt.Errorf("converting text to UTF-8: it has %d bytes, want pairs", len(wire))
		}
		at := len(a.bytes)
		for ; len(wire) > 0; wire = wire[2:] {
			r := rune(unit(wire[:2]))
			if utf16.IsSurrogate(r) && len(wire) >= 4 {
				if both := utf16.DecodeRune(r, rune(unit(wire[2:4]))); both != utf8.RuneError {
					r, wire = both, wire[2:]
				}
			}
			a.bytes = utf8.AppendRune(a.bytes, r) // U+FFFD for half a pair
		}
		return a.value(source.Text, at)
	}
}

func decodeUTF32(a *arena, wire []byte) (source.Value, error) {
	if len(wire)%4 != 0 {
		return source.Value{}, fmt.Errorf("converting text to UTF-8: it has %d bytes, want fours", len(wire))
	}
	at := len(a.bytes)
	for ; len(wire) > 0; wire = wire[4:] {
		a.bytes = utf8.AppendRune(a.bytes, rune(bigEndian(wire[:4])))
	}
	return a.value(source.Text, at)
}

package mysql

import (
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
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
	if table := singleByte(charset); table != nil {
		return singleByteDecoder(table), nil
	}
	if e := multiByte(charset); e != nil {
		return multiByteDecoder(e), nil
	}
	return nil, fmt.Errorf("its charset %s cannot be converted to UTF-8 here: ALTER TABLE ... MODIFY it with CHARACTER SET utf8mb4", charset)
}

// convertible reports whether textDecoder has one for a charset.
func convertible(charset string) bool {
	_, err := textDecoder(charset)
	return err == nil
}

func singleByte(charset string) *charmap.Charmap {
	switch charset {
	case "latin1": // which is not ISO 8859-1
		return charmap.Windows1252
	case "latin2":
		return charmap.ISO8859_2
	case "latin5":
		return charmap.ISO8859_9
	case "latin7":
		return charmap.ISO8859_13
	case "greek":
		return charmap.ISO8859_7
	case "hebrew":
		return charmap.ISO8859_8
	case "cp850":
		return charmap.CodePage850
	case "cp852":
		return charmap.CodePage852
	case "cp866":
		return charmap.CodePage866
	case "cp1250":
		return charmap.Windows1250
	case "cp1251":
		return charmap.Windows1251
	case "cp1256":
		return charmap.Windows1256
	case "cp1257":
		return charmap.Windows1257
	case "koi8r":
		return charmap.KOI8R
	case "koi8u":
		return charmap.KOI8U
	case "macroman":
		return charmap.Macintosh
	case "tis620":
		return charmap.Windows874
	}
	return nil
}

func multiByte(charset string) encoding.Encoding {
	switch charset {
	case "gbk", "gb2312":
		return simplifiedchinese.GBK
	case "gb18030":
		return simplifiedchinese.GB18030
	case "big5":
		return traditionalchinese.Big5
	case "sjis", "cp932":
		return japanese.ShiftJIS
	case "ujis", "eucjpms":
		return japanese.EUCJP
	case "euckr":
		return korean.EUCKR
	}
	return nil
}

func singleByteDecoder(table *charmap.Charmap) decoder {
	return func(a *arena, wire []byte) (source.Value, error) {
		at := len(a.bytes)
		for _, b := range wire {
			a.bytes = utf8.AppendRune(a.bytes, table.DecodeByte(b))
		}
		return a.value(source.Text, at)
	}
}

func multiByteDecoder(e encoding.Encoding) decoder {
	convert := e.NewDecoder()
	return func(a *arena, wire []byte) (source.Value, error) {
		at := len(a.bytes)
		convert.Reset()
		for {
			free := a.bytes[len(a.bytes):cap(a.bytes)]
			wrote, read, err := convert.Transform(free, wire, true)
			a.bytes, wire = a.bytes[:len(a.bytes)+wrote], wire[read:]
			switch {
			case err == nil:
				return a.value(source.Text, at)
			case !errors.Is(err, transform.ErrShortDst):
				return source.Value{}, fmt.Errorf("converting text to UTF-8: %w", err)
			}
			a.grow(2*len(wire) + 16)
		}
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

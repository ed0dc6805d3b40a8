package mysql

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/kafkasync/kafkasync/source"
)

// enumDecoder is for a number of an element. 0 is what was none of them, printed as "".
func enumDecoder(width int, info *columnInfo) (decoder, error) {
	elements, err := elementsOf(info, width, 1<<(8*width)-1)
	if err != nil {
		return nil, err
	}
	return func(_ *arena, wire []byte) (source.Value, error) {
		n := littleEndian(wire)
		switch {
		case n == 0:
			return source.Value{Kind: source.Text, Bytes: []byte{}}, nil
		case n > uint64(len(elements)):
			return source.Value{}, fmt.Errorf("decoding an ENUM: got number %d of %d", n, len(elements))
		}
		return source.Value{Kind: source.Text, Bytes: elements[n-1]}, nil
	}, nil
}

// setDecoder is for a bit for each element.
func setDecoder(width int, info *columnInfo) (decoder, error) {
	elements, err := elementsOf(info, width, 8*width)
	if err != nil {
		return nil, err
	}
	return func(a *arena, wire []byte) (source.Value, error) {
		at, n := len(a.bytes), littleEndian(wire)
		if n>>len(elements) != 0 {
			return source.Value{}, fmt.Errorf("decoding a SET: got the bits %#x of %d elements", n, len(elements))
		}
		for i := range elements {
			if n>>i&1 == 0 {
				continue
			}
			if len(a.bytes) > at {
				a.bytes = append(a.bytes, ',')
			}
			a.bytes = append(a.bytes, elements[i]...)
		}
		return a.value(source.Text, at)
	}, nil
}

// elementsOf returns the elements of an enum or a set that has so many bytes in the log.
func elementsOf(info *columnInfo, width, most int) ([][]byte, error) {
	if len(info.elements) > most {
		return nil, fmt.Errorf("its description has %d elements, and the log %d bytes for them: it was written when the table was another", len(info.elements), width)
	}
	if len(info.elements) == 0 {
		if _, err := textDecoder(info.charset); err != nil {
			return nil, err
		}
		return nil, errors.New("its elements are not known")
	}
	elements := make([][]byte, len(info.elements))
	for i, e := range info.elements {
		elements[i] = []byte(e)
	}
	return elements, nil
}

// decodeUTF8 is for text that is UTF-8 already. The servers have not always refused what
// is none, half a surrogate pair for example.
func decodeUTF8(a *arena, wire []byte) (source.Value, error) {
	if utf8.Valid(wire) {
		return source.Value{Kind: source.Text, Bytes: wire}, nil
	}
	at := len(a.bytes)
	for len(wire) > 0 {
		r, n := utf8.DecodeRune(wire)
		a.bytes = utf8.AppendRune(a.bytes, r)
		wire = wire[n:]
	}
	return a.value(source.Text, at)
}

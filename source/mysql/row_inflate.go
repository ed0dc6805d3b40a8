package mysql

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
)

// inflater undoes what MariaDB does to rows with log_bin_compress. It keeps its memory.
type inflater struct {
	in   bytes.Reader
	zlib io.ReadCloser
	out  bytes.Buffer
}

// inflate returns what was compressed; it is valid until the next call. In front of the
// compressed bytes stands a byte with the number of bytes of the length that follows.
func (f *inflater) inflate(packed []byte) ([]byte, error) {
	r := rowReader{rest: packed}
	head := r.byte()
	const zlibMethod = 0
	if method := head >> 4 & 7; method != zlibMethod {
		return nil, fmt.Errorf("the rows are compressed by method %d, which is not known here", method)
	}
	size := bigEndian(r.take(int(head & 7)))
	if r.broken {
		return nil, errCutShort
	}
	f.in.Reset(r.rest)
	if f.zlib == nil {
		z, err := zlib.NewReader(&f.in)
		if err != nil {
			return nil, fmt.Errorf("decompressing rows: %w", err)
		}
		f.zlib = z
	} else if err := f.zlib.(zlib.Resetter).Reset(&f.in, nil); err != nil {
		return nil, fmt.Errorf("decompressing rows: %w", err)
	}
	if f.out.Cap() > largest {
		f.out = bytes.Buffer{}
	}
	f.out.Reset()
	// The length may be damaged, so memory is taken only for what comes.
	n, err := io.Copy(&f.out, io.LimitReader(f.zlib, int64(min(size, 1<<32))+1))
	if err == nil && uint64(n) != size {
		err = errors.New("their length is not the one that the event says")
	}
	if err != nil {
		return nil, fmt.Errorf("decompressing rows: %w", err)
	}
	return f.out.Bytes(), nil
}

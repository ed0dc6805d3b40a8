package main

import (
	"fmt"
	"strconv"
	"strings"
)

// lsn is a place in Postgres' log.
type lsn uint64

// parseLSN reads "0/16B3748".
func parseLSN(text string) (lsn, error) {
	high, low, ok := strings.Cut(text, "/")
	h, err := strconv.ParseUint(high, 16, 32)
	if err != nil || !ok {
		return 0, fmt.Errorf("reading the place %q in the log: want two hexadecimal numbers", text)
	}
	l, err := strconv.ParseUint(low, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("reading the place %q in the log: want two hexadecimal numbers", text)
	}
	return lsn(h<<32 | l), nil
}

func (l lsn) String() string { return fmt.Sprintf("%X/%X", uint64(l)>>32, uint64(l)&0xffffffff) }

// placeOf returns the place that a position of the Postgres source ends with:
// system:timeline:place. No position is the beginning.
func placeOf(position string) (lsn, error) {
	if position == "" {
		return 0, nil
	}
	parts := strings.Split(position, ":")
	if len(parts) != 3 {
		return 0, fmt.Errorf("reading the position %q: want system:timeline:place", position)
	}
	return parseLSN(parts[2])
}

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// parseLSN reads "0/16B3748".
func parseLSN(text string) (place, error) {
	high, low, ok := strings.Cut(text, "/")
	h, err := strconv.ParseUint(high, 16, 32)
	if err != nil || !ok {
		return 0, fmt.Errorf("reading the place %q in the log: want two hexadecimal numbers", text)
	}
	l, err := strconv.ParseUint(low, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("reading the place %q in the log: want two hexadecimal numbers", text)
	}
	return place(h<<32 | l), nil
}

func (p place) lsn() string { return fmt.Sprintf("%X/%X", uint64(p)>>32, uint64(p)&0xffffffff) }

// placeOf returns the place that a position ends with: system:timeline:place.
func (p *postgres) placeOf(position string) (place, error) {
	if position == "" {
		return 0, nil
	}
	parts := strings.Split(position, ":")
	if len(parts) != 3 {
		return 0, fmt.Errorf("reading the position %q: want system:timeline:place", position)
	}
	return parseLSN(parts[2])
}

package mysql

import (
	"fmt"
	"io"
	"runtime"
	"syscall"
)

// piece is what a compressed transaction, which may have a gigabyte, is received in: it is let go of in the
// same pieces while it is read.
const piece = 1 << 20

// mapped is what follows the first piece of a compressed transaction, in memory beside the heap: in it, the collector would
// let half as much garbage gather, and give all of it back late. What is read goes back to the system at once, and the rest
// with free, or with the mapped itself. A nil mapped is empty.
type mapped struct{ held *regions }

// regions are what a mapped holds, without itself, which would else never be collected.
type regions struct{ left []region }

// region is a piece, filled up to to and read up to from.
type region struct {
	memory   []byte
	from, to int
}

func newMapped() *mapped {
	m := &mapped{held: &regions{}}
	runtime.AddCleanup(m, (*regions).free, m.held)
	return m
}

// fill takes as much of b as the last piece has room for. Where it has none, there is another one, for left bytes that are to come.
func (m *mapped) fill(b []byte, left int) (took int, err error) {
	defer runtime.KeepAlive(m)
	h := m.held
	if n := len(h.left); n == 0 || h.left[n-1].to == len(h.left[n-1].memory) {
		memory, err := syscall.Mmap(-1, 0, min(left, piece), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
		if err != nil {
			return 0, fmt.Errorf("making room for a compressed transaction: %w", err)
		}
		h.left = append(h.left, region{memory: memory})
	}
	last := &h.left[len(h.left)-1]
	took = copy(last.memory[last.to:], b)
	last.to += took
	return took, nil
}

// parts are what was not read, as long as the mapped lives.
func (m *mapped) parts() [][]byte {
	if m == nil {
		return nil
	}
	var all [][]byte
	for _, r := range m.held.left {
		all = append(all, r.memory[r.from:r.to])
	}
	return all
}

// cut takes n bytes off the end, and returns how many it did not have.
func (m *mapped) cut(n int) (left int) {
	if m == nil {
		return n
	}
	for i := len(m.held.left) - 1; i >= 0 && n > 0; i-- {
		r := &m.held.left[i]
		took := min(n, r.to-r.from)
		r.to -= took
		n -= took
	}
	return n
}

// Read reads on, and lets go of what was read.
func (m *mapped) Read(b []byte) (int, error) {
	if m == nil {
		return 0, io.EOF
	}
	defer runtime.KeepAlive(m)
	h := m.held
	for len(h.left) > 0 && h.left[0].from == h.left[0].to {
		h.left[0].free()
		h.left = h.left[1:]
	}
	if len(h.left) == 0 {
		return 0, io.EOF
	}
	first := &h.left[0]
	n := copy(b, first.memory[first.from:first.to])
	first.from += n
	return n, nil
}

// free lets go of what was not read.
func (m *mapped) free() {
	if m != nil {
		m.held.free()
	}
}

func (h *regions) free() {
	for i := range h.left {
		h.left[i].free()
	}
	h.left = nil
}

// free fails only for what is no memory of ours.
func (r *region) free() { _ = syscall.Munmap(r.memory) }

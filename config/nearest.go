package config

// Nearest returns the name that is most like the one written, or "" if none is
// close enough to be what was meant.
func Nearest(written string, names []string) string { return nearest(written, names) }

// nearest returns the word that is most like the one written, or "" if none is
// close enough to be what was meant.
func nearest(written string, words []string) string {
	best, found := len(written)/2+1, ""
	if best > 3 {
		best = 3
	}
	for _, word := range words {
		if d := distance(written, word); d < best {
			best, found = d, word
		}
	}
	return found
}

// distance counts the letters to add, drop, change or swap with their neighbour.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	previous := make([]int, len(b)+1)
	current := make([]int, len(b)+1)
	next := make([]int, len(b)+1)
	for j := range current {
		current[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(next[j]+1, current[j+1]+1, current[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], previous[j-1]+1)
			}
		}
		previous, current, next = current, next, previous
	}
	return current[len(b)]
}

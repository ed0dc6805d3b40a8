package gtid

import (
	"slices"
	"sort"
	"strconv"
)

// interval is a run of transaction numbers, both ends included.
type interval struct{ first, last int64 }

func (i interval) String() string {
	if i.first == i.last {
		return strconv.FormatInt(i.first, 10)
	}
	return strconv.FormatInt(i.first, 10) + "-" + strconv.FormatInt(i.last, 10)
}

// intervals are sorted, and at least one number lies between one and the next: so
// there is one way to write them.
type intervals []interval

// add adds one interval. Extending the last one, as nearly always, allocates nothing.
func (s intervals) add(i interval) intervals {
	// Those that meet it, or touch it, become one with it.
	from := sort.Search(len(s), func(n int) bool { return s[n].last >= i.first-1 })
	to := from + sort.Search(len(s)-from, func(n int) bool { return s[from+n].first > i.last+1 })
	if from < to {
		i.first, i.last = min(i.first, s[from].first), max(i.last, s[to-1].last)
	}
	return slices.Replace(s, from, to, i)
}

func (s intervals) has(n int64) bool {
	at := sort.Search(len(s), func(i int) bool { return s[i].last >= n })
	return at < len(s) && s[at].first <= n
}

// minus is what of s is not in other.
func (s intervals) minus(other intervals) intervals {
	var left intervals
	for _, i := range s {
		at := sort.Search(len(other), func(n int) bool { return other[n].last >= i.first })
		for _, taken := range other[at:] {
			if taken.first > i.last {
				break
			}
			if taken.first > i.first {
				left = append(left, interval{i.first, taken.first - 1})
			}
			i.first = taken.last + 1
		}
		if i.first <= i.last {
			left = append(left, i)
		}
	}
	return left
}

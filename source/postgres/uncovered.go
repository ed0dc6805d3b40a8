package postgres

import "maps"

// Uncovered returns, by table, why a table that a rule captures is not covered, or
// not wholly, as of the last look. It is empty while all is well.
func (s *Source) Uncovered() map[string]string {
	if why := s.uncovered.Load(); why != nil {
		return maps.Clone(*why)
	}
	return nil
}

// show lets Uncovered tell what the last look has found.
func (k *keeper) show() {
	why := maps.Clone(k.problems)
	for _, e := range k.last.entries {
		if c := k.joining[e.Membership]; c != nil {
			why[e.Name] = "it is published, and covered once " + c.waitsFor()
		}
	}
	k.source.uncovered.Store(&why)
}

// waitsFor says what has to happen, as far as it is known.
func (c *candidate) waitsFor() string {
	if c.told == "" {
		return "the transactions that were open then have ended"
	}
	return "this transaction has ended: " + c.told
}

//go:build !breakable_disk

package node

// breakableDisk is for tests that break the disk of a running node: see breakable_on.go.
func breakableDisk(string) func() error { return nil }

//go:build race

package e2e_test

// raceEnabled: under -race the binary that is killed is built with -race as well.
const raceEnabled = true

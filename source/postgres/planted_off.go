//go:build !planted_keepalive_over_open_transaction

package postgres

// plantedKeepaliveOverOpenTransaction is a bug to be built in on purpose, which
// shows that the tests of the stream would find it: see planted_on.go.
const plantedKeepaliveOverOpenTransaction = false

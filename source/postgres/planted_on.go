//go:build planted_keepalive_over_open_transaction

package postgres

// plantedKeepaliveOverOpenTransaction lets a keepalive move the position while
// rows of a transaction are still to come. No release has this build tag.
const plantedKeepaliveOverOpenTransaction = true

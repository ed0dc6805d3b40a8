// Package mysql follows the binary log of MySQL and MariaDB.
//
// It promises that a position is always the end of a transaction, and that it says
// whose it is: GTIDs, which every server of a replication knows, or a file and an offset beside the
// identity of the one server that has them.
package mysql

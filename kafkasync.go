// Package kafkasync is the domain of the connector: what a message says, how it
// looks on the wire, and how a failure is described to an operator.
//
// kafkasync reads a database's own log, turns every committed row change into a
// message that holds only the row's key, and publishes it to Kafka. A reader
// fetches the row when it handles the message, so a repeated or late message
// does no harm; only a lost one would.
//
//	source -> route -> sink -> checkpoint (Raft) -> confirmed to the database
//
// At every instant, across every crash:
//
//	confirmed to the database <= committed in Raft <= acknowledged by Kafka <= read from the log
//
// This package promises that the message format changes only together with its
// golden tests. It imports nothing but the standard library, and it never does
// I/O.
package kafkasync

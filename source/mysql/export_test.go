package mysql

// MaxPrepared is for the tests of the package from outside.
const MaxPrepared = maxPrepared

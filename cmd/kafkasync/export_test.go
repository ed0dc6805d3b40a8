package main

// What the tests of this program look at.
var (
	Run              = run
	NewRoot          = newRoot
	Complain         = complain
	ReportFindings   = reportFindings
	ErrReported      = errReported
	CheckDataDir     = checkDataDir
	CheckHTTP        = checkHTTP
	WriteStatus      = writeStatus
	WriteMessage     = writeMessage
	WriteMessageJSON = writeMessageJSON
	Reachable        = reachable
	Size             = size
	Seconds          = seconds
	ReadBuild        = readBuild
)

type Finding = finding

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
	SlotInData       = slotInData
	CheckpointOf     = checkpointOf
	WriteStatus      = writeStatus
	WriteResult      = writeResult
	Fold             = fold
	WriteMessage     = writeMessage
	WriteMessageJSON = writeMessageJSON
	Reachable        = reachable
	Size             = size
	Seconds          = seconds
	ReadBuild        = readBuild
)

// StateFile is what a folder that was used holds.
const StateFile = stateFile

type Finding = finding

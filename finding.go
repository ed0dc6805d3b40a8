package kafkasync

// Severity says what a Finding means for starting.
type Severity string

// The severities of a finding.
const (
	SeverityError   Severity = "error"   // a pipeline would not start, or would lose something
	SeverityWarning Severity = "warning" // it runs, but a failure would hurt more than it has to
	SeverityOK      Severity = "ok"      // looked at, and as it should be
)

// Finding is one result of looking a server over before anything is started.
// A finding says that the server is wrong; an error, that nobody could look.
// It never holds a secret.
type Finding struct {
	ID       string   `json:"id"` // stable, "K02"; the documentation lists them
	Severity Severity `json:"severity"`
	What     string   `json:"what"`          // "the topic products does not exist"
	Why      string   `json:"why,omitempty"` // what would happen
	Fix      string   `json:"fix,omitempty"` // one command, or what to change in the file
}

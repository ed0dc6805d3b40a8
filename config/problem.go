package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// Problem is one thing that is wrong in the file. No part of it holds a secret.
type Problem struct {
	File    string
	Line    int    // from 1
	Column  int    // from 1, in characters
	Excerpt string // the line before, the line, and a caret; secrets and comments are left out
	What    string // what is wrong
	Fix     string // what would be right
}

// String is the problem as a block of lines for a person.
func (p Problem) String() string {
	text := fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.What)
	if p.Excerpt != "" {
		text += "\n" + p.Excerpt
	}
	if p.Fix != "" {
		text += "\n  to fix: " + p.Fix
	}
	return text
}

// Problems is everything that is wrong in the file, in the order of its lines.
type Problems []Problem //nolint:errname // its elements are no errors: they are printed, not returned

// Error is one block per problem, with an empty line between them.
func (ps Problems) Error() string {
	blocks := make([]string, len(ps))
	for i, p := range ps {
		blocks[i] = p.String()
	}
	return strings.Join(blocks, "\n\n")
}

// report notes a problem at a token; nil stands for the start of the file.
func (r *reader) report(at *token.Token, what, fix string) {
	line, column := 1, 1
	if at != nil && at.Position != nil {
		line, column = max(at.Position.Line, 1), max(at.Position.Column, 1)
	}
	p := Problem{r.file, line, column, r.view.at(line, column), what, fix}
	if !slices.Contains(r.problems, p) { // an alias is read once for each use
		r.problems = append(r.problems, p)
	}
}

func (r *reader) failure() error {
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return r.problems
}

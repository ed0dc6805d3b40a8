package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxNesting is far more than the file needs and far less than the parser's
// recursion can bear.
const maxNesting = 100

// document parses the file and returns its root. If it cannot, it has reported why.
func (r *reader) document(source string) (field, bool) {
	source = strings.TrimPrefix(source, "\ufeff")
	if at := strings.IndexFunc(source, isControl); at >= 0 || !utf8.ValidString(source) {
		r.report(nil, "the file holds characters that are no text", "save it as UTF-8 text")
		return field{}, false
	}
	r.view = newView(source)
	tokens := lexer.Tokenize(source)
	if nesting(tokens) > maxNesting {
		r.report(nil, fmt.Sprintf("the file nests more than %d levels deep", maxNesting), "no key needs this: look for brackets that do not close")
		return field{}, false
	}
	file, err := parse(tokens)
	if err != nil {
		r.view.revealPlainLines()
		r.syntax(err)
		return field{}, false
	}
	// The lexer runs again, because the parser may have changed the tokens.
	(&shader{view: r.view}).walk(lexer.Tokenize(source))
	return r.root(file)
}

func (r *reader) root(file *ast.File) (field, bool) {
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			bodies = append(bodies, doc.Body)
		}
	}
	switch {
	case len(bodies) == 0:
		r.report(nil, "the file is empty", "it needs at least kafka.brokers and one entry under pipelines")
		return field{}, false
	case len(bodies) > 1:
		r.report(place(bodies[1]), "a second document starts here", "one file holds one document: remove the line ---")
		return field{}, false
	}
	r.anchors = anchors(bodies[0])
	return field{path: "", node: bodies[0]}, true
}

// parse keeps a panic of the parser, which is not ours, from ending the process.
func parse(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			file, err = nil, errors.New("the parser gave up")
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// syntax reports why the file does not parse. The parser's message is shown only
// where it cannot hold text of the file, which may be a secret.
func (r *reader) syntax(err error) {
	what, fix := "this is not YAML", "check the quotes, brackets and indentation here and above"
	var at *token.Token
	var known yaml.Error
	if errors.As(err, &known) {
		at = known.GetToken()
		switch message := known.GetMessage(); {
		case strings.Contains(message, "'\t'"), strings.HasPrefix(message, "tab character"):
			what = "this is not YAML: there is a tab where only blanks may be"
			fix = "indent with blanks"
		case strings.HasSuffix(message, "is a reserved character"), strings.Contains(message, "cannot start any token"):
			what = "this is not YAML: text cannot start with this character"
			fix = "put the text in quotes"
		case strings.HasPrefix(message, "mapping value is not allowed"):
			what = "this is not YAML: a second \": \" on one line"
			fix = "put text that holds \": \" in quotes"
		case !strings.ContainsAny(message, "\"`%") && len(message) < 100:
			what = "this is not YAML: " + message
		}
	}
	r.report(at, what, fix)
}

// nesting returns how deep the brackets, and the lists of lists on one line, go.
func nesting(tokens token.Tokens) int {
	depth, dashes, deepest := 0, 0, 0
	for _, tk := range tokens {
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			dashes++
			deepest = max(deepest, dashes)
			continue
		default:
		}
		dashes = 0
		deepest = max(deepest, depth)
	}
	return deepest
}

func isControl(c rune) bool {
	return c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f
}

// anchors returns what the aliases of the file stand for.
func anchors(root ast.Node) map[string]ast.Node {
	found := map[string]ast.Node{}
	for _, node := range ast.Filter(ast.AnchorType, root) {
		if anchor, ok := node.(*ast.AnchorNode); ok && anchor.Name != nil {
			found[anchor.Name.GetToken().Value] = anchor.Value
		}
	}
	return found
}

// place returns the token at which a value starts.
func place(node ast.Node) *token.Token {
	if m, ok := node.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return m.Values[0].Key.GetToken()
	}
	if m, ok := node.(*ast.MappingValueNode); ok {
		return m.Key.GetToken()
	}
	if node == nil {
		return nil
	}
	return node.GetToken()
}

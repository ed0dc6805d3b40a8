package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// reader takes values out of the tree and notes what is wrong with them.
type reader struct {
	file     string
	env      func(string) (string, bool)
	view     *view
	anchors  map[string]ast.Node
	problems Problems
}

// field is a value and where it stands.
type field struct {
	path string       // "kafka.brokers", for problems
	key  *token.Token // nil for an entry of a list and for the root
	node ast.Node
}

// at is where a problem with the value is shown.
func (f field) at() *token.Token {
	if _, empty := f.node.(*ast.NullNode); (empty || f.node == nil) && f.key != nil {
		return f.key
	}
	return place(f.node)
}

// object is a mapping whose keys are known.
type object struct {
	r      *reader
	path   string
	at     *token.Token
	fields map[string]field
	bad    bool // it is no mapping: what it lacks has been said
}

// object reads a mapping and reports keys that are not in known. Nothing at all
// is an empty mapping.
func (r *reader) object(f field, known ...string) *object {
	o := &object{r: r, path: f.path, at: f.at(), fields: map[string]field{}}
	if f.key != nil {
		o.at = f.key
	}
	pairs, ok := r.pairs(f)
	o.bad = !ok
	for _, pair := range pairs {
		name := pair.key.Value
		if !slices.Contains(known, name) {
			r.unknown(f.path, pair.key, known)
			continue
		}
		o.fields[name] = pair
	}
	return o
}

// pairs returns the entries of a mapping, each key once.
func (r *reader) pairs(f field) ([]field, bool) {
	node, _ := r.resolve(f.node)
	if node == nil {
		return nil, false
	}
	if _, ok := node.(*ast.NullNode); ok {
		return nil, true
	}
	mapping, ok := node.(ast.MapNode)
	if !ok {
		r.report(f.at(), fmt.Sprintf("%s is %s, not a group of keys", named(f.path), kindOf(node)), "write keys below it, each as \"key: value\"")
		return nil, false
	}
	var pairs []field
	seen := map[string]bool{}
	for entries := mapping.MapRange(); entries.Next(); {
		key := entries.Key().GetToken()
		switch {
		case !isText(entries.Key()):
			r.report(key, "this key of "+named(f.path)+" is not a name", "write plain text before the colon; << and ? are not supported")
		case seen[key.Value]:
			r.report(key, fmt.Sprintf("the key %q stands twice in %s", key.Value, named(f.path)), "remove one of the two")
		default:
			seen[key.Value] = true
			pairs = append(pairs, field{join(f.path, key.Value), key, entries.Value()})
		}
	}
	return pairs, true
}

func (r *reader) unknown(path string, key *token.Token, known []string) {
	if key.Next == nil || key.Next.Type != token.MappingValueType {
		// Half of a text that was split at a comma may be half of a secret: it is not repeated.
		r.report(key, "there is a key without a value in "+named(path), "write it as \"key: value\", or put text that holds a comma in quotes")
		return
	}
	fix := "the keys here are " + strings.Join(known, ", ")
	if near := nearest(key.Value, known); near != "" {
		fix = fmt.Sprintf("did you mean %q? %s", near, fix)
	}
	r.report(key, fmt.Sprintf("%s has no key %q", named(path), key.Value), fix)
}

// resolve follows anchors and aliases. It returns nil once it has reported.
func (r *reader) resolve(node ast.Node) (target ast.Node, aliased bool) {
	for range maxNesting {
		switch n := node.(type) {
		case *ast.AnchorNode:
			node = n.Value
		case *ast.AliasNode:
			name := n.Value.GetToken().Value
			value, ok := r.anchors[name]
			if !ok {
				r.report(n.GetToken(), "this refers to an anchor that does not exist", "put text that starts with * in quotes")
				return nil, true
			}
			node, aliased = value, true
		case *ast.TagNode:
			r.report(n.GetToken(), "tags are not supported", "remove the tag, or put text that starts with ! in quotes")
			return nil, aliased
		case nil:
			return &ast.NullNode{BaseNode: &ast.BaseNode{}}, aliased
		default:
			return node, aliased
		}
	}
	r.report(place(node), "the aliases here go in a circle", "write the value out")
	return nil, aliased
}

// get returns the field of a key that the file holds.
func (o *object) get(key string) (field, bool) {
	f, ok := o.fields[key]
	return f, ok
}

// need returns the field of a key, or reports that it is missing.
func (o *object) need(key, fix string) (field, bool) {
	f, ok := o.fields[key]
	if !ok && !o.bad {
		o.r.report(o.at, fmt.Sprintf("%s lacks the key %q", named(o.path), key), fix)
	}
	return f, ok
}

// list returns the entries of a list that must not be empty.
func (r *reader) list(f field, fix string) ([]field, bool) {
	node, _ := r.resolve(f.node)
	if node == nil {
		return nil, false
	}
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		r.report(f.at(), fmt.Sprintf("%s is %s, not a list", f.path, kindOf(node)), fix)
		return nil, false
	}
	if len(list.Values) == 0 {
		r.report(f.at(), fmt.Sprintf("%s is an empty list", f.path), fix)
		return nil, false
	}
	entries := make([]field, len(list.Values))
	for i, value := range list.Values {
		entries[i] = field{path: f.path + "[" + strconv.Itoa(i) + "]", node: value}
	}
	return entries, true
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func named(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func isText(node ast.Node) bool {
	switch node.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return true
	}
	return false
}

func kindOf(node ast.Node) string {
	switch node.(type) {
	case *ast.NullNode:
		return "empty"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.SequenceNode:
		return "a list"
	case ast.MapNode:
		return "a group of keys"
	}
	return "something else"
}

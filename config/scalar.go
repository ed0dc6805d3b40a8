package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// text is a text of the file with its references replaced.
type text struct {
	value string
	said  string // as the file writes it, quoted: a replaced reference may be a secret
	plain bool   // value stands in the file as it is
	at    *token.Token
}

// text reads the text of a key; false if there is none or it has a problem.
func (o *object) text(key string) (text, bool) {
	f, ok := o.get(key)
	if !ok {
		return text{}, false
	}
	return o.r.text(f, classOf(key) == closed || classOf(key) == address)
}

// text reads a text that is not empty. Nothing of a secret is shown.
func (r *reader) text(f field, secret bool) (text, bool) {
	node, aliased := r.resolve(f.node)
	var raw string
	switch n := node.(type) {
	case nil:
		return text{}, false
	case *ast.StringNode:
		raw = n.Value
	case *ast.LiteralNode:
		raw = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		r.report(f.at(), fmt.Sprintf("%s is %s, not text", f.path, kindOf(node)), "put it in quotes")
		return text{}, false
	case ast.MapNode: // to the parser host:port is one too, in a list inside { }
		r.report(f.at(), fmt.Sprintf("%s is %s, not text", f.path, kindOf(node)), "write a text, in quotes if it holds a colon, or remove the key")
		return text{}, false
	default:
		r.report(f.at(), fmt.Sprintf("%s is %s, not text", f.path, kindOf(node)), "write a text, or remove the key")
		return text{}, false
	}
	value, ok := r.expand(f, raw, secret)
	if !ok {
		return text{}, false
	}
	if value == "" {
		fix := "write a text, or remove the key"
		if raw != "" {
			fix = "set what it refers to, or remove the key"
		}
		r.report(f.at(), f.path+" is empty", fix)
		return text{}, false
	}
	t := text{value: value, said: strconv.Quote(raw), plain: value == raw && !aliased, at: f.at()}
	if aliased { // the text may stand where it is a secret
		t.said = `"*..."`
		if alias, ok := f.node.(*ast.AliasNode); ok && anchorName.MatchString(alias.Value.GetToken().Value) {
			t.said = strconv.Quote("*" + alias.Value.GetToken().Value)
		}
	}
	return t, true
}

// scalar reads what may be written with or without quotes: a number, a switch, a
// duration, a property.
func (r *reader) scalar(f field, secret bool) (text, bool) {
	node, _ := r.resolve(f.node)
	switch node.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		value := node.GetToken().Value
		return text{value: value, said: strconv.Quote(value), plain: true, at: f.at()}, true
	case nil:
		return text{}, false
	}
	return r.text(f, secret)
}

// number reads a whole number of at least 1; alsoMinusOne allows -1.
func (o *object) number(key string, alsoMinusOne bool) (int, bool) {
	f, ok := o.get(key)
	if !ok {
		return 0, false
	}
	t, ok := o.r.scalar(f, false)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(t.value, 10, 32)
	if err != nil || n < 1 && (!alsoMinusOne || n != -1) {
		want := "write a whole number of at least 1"
		if alsoMinusOne {
			want += ", or -1 for the broker's default"
		}
		o.r.report(t.at, fmt.Sprintf("%s cannot be %s", f.path, t.said), want)
		return 0, false
	}
	return int(n), true
}

// flag reads true or false.
func (o *object) flag(key string) (value, ok bool) {
	f, ok := o.get(key)
	if !ok {
		return false, false
	}
	t, ok := o.r.scalar(f, false)
	if !ok {
		return false, false
	}
	if t.value != "true" && t.value != "false" {
		o.r.report(t.at, fmt.Sprintf("%s cannot be %s", f.path, t.said), "write true or false")
		return false, false
	}
	return t.value == "true", true
}

// choice reports whether the second of two words was chosen; the first is the default.
func (o *object) choice(key, usual, other string) bool {
	t, ok := o.text(key)
	if ok && t.value != usual && t.value != other {
		o.r.report(t.at, fmt.Sprintf("%s cannot be %s", join(o.path, key), t.said), fmt.Sprintf("write %s or %s", usual, other))
	}
	return ok && t.value == other
}

// The bounds of a delay. Beyond them a delay is more likely a slip than a wish.
const (
	minDelay     = time.Second
	maxDelay     = 7 * 24 * time.Hour
	defaultDelay = 5 * time.Minute
)

// delay reads how long after a message its twin follows.
func (o *object) delay(key string) (time.Duration, bool) {
	f, ok := o.get(key)
	if !ok {
		return defaultDelay, true
	}
	t, ok := o.r.scalar(f, false)
	if !ok {
		return 0, false
	}
	d, ok := parseDuration(t.value)
	if !ok || d != 0 && (d < minDelay || d > maxDelay) || d%time.Millisecond != 0 {
		o.r.report(t.at, fmt.Sprintf("%s cannot be %s", f.path, t.said),
			"write a time from 1s to 7d in whole milliseconds, such as 30s, 5m or 1h30m; 0 switches delay messages off")
		return 0, false
	}
	return d, true
}

// parseDuration is time.ParseDuration with days in front and without signs.
func parseDuration(s string) (time.Duration, bool) {
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		return 0, false
	}
	var days time.Duration
	if count, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(count, 10, 16)
		if err != nil || strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
			return 0, false
		}
		days = time.Duration(n) * 24 * time.Hour
		if s = rest; s == "" {
			return days, true
		}
	}
	d, err := time.ParseDuration(s)
	return days + d, err == nil
}

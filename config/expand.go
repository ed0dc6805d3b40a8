package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// maxSecret bounds what ${file:PATH} reads.
const maxSecret = 64 << 10

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces ${NAME} and ${file:PATH}; $${ stands for ${ itself. What is
// put in is not looked at again. If a reference cannot be replaced, it is
// reported; its name only if that cannot be a piece of a secret.
func (r *reader) expand(f field, raw string, secret bool) (string, bool) {
	var out strings.Builder
	for rest := raw; rest != ""; {
		at := strings.Index(rest, "${")
		if at < 0 {
			out.WriteString(rest)
			break
		}
		if at > 0 && rest[at-1] == '$' {
			out.WriteString(rest[:at-1] + "${")
			rest = rest[at+2:]
			continue
		}
		out.WriteString(rest[:at])
		name, after, closed := strings.Cut(rest[at+2:], "}")
		value, what, fix := "", "", ""
		if closed {
			value, what, fix = r.lookup(name)
		} else {
			what, fix = "a ${ has no }", "close it, or write $${ for the characters themselves"
		}
		if what != "" {
			if secret && !isReference(raw) {
				what = "something that it refers to with ${ cannot be replaced"
				fix = "check the names inside ${ }, or write $${ for the characters themselves"
			}
			r.report(f.at(), f.path+": "+what, fix)
			return "", false
		}
		out.WriteString(value)
		rest = after
	}
	return out.String(), true
}

// lookup returns the value of one reference, or what is wrong with it.
func (r *reader) lookup(name string) (value, what, fix string) {
	if path, ok := strings.CutPrefix(name, "file:"); ok {
		value, err := readSecret(path)
		if err != nil {
			return "", fmt.Sprintf("the file %q cannot be read: %v", path, err), "write a file that this process may read"
		}
		return value, "", ""
	}
	if !envName.MatchString(name) {
		return "", fmt.Sprintf("%q is not a name of an environment variable", name),
			"write ${NAME} or ${file:/path}; there are no defaults; $${ stands for the characters themselves"
	}
	value, ok := r.env(name)
	if !ok {
		return "", fmt.Sprintf("the environment variable %s is not set", name), "set it for this process"
	}
	return value, "", ""
}

// readSecret reads a small regular file without its last line end. Anything else,
// such as a pipe, could block for ever.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", cause(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is not a regular file")
	}
	if info.Size() > maxSecret {
		return "", errors.New("it is larger than 64 KiB")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", cause(err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}

// cause drops the path, which the problem names anyway.
func cause(err error) error {
	var wrapped interface{ Unwrap() error }
	if errors.As(err, &wrapped) {
		return wrapped.Unwrap()
	}
	return err
}

package mysql

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const defaultPort = "3306"

// address is what a URL says: where the servers are, and how to log in to them.
type address struct {
	hosts          []string // with ports
	user, password string
	tls            security
}

// parseURL reads mysql://user:password@host:port,host:port/database?tls=verify-full. The database is of
// no consequence: the log is that of all of them. No error of it quotes the URL, which may hold a password.
func parseURL(text string) (*address, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != MySQL && scheme != MariaDB {
		return nil, errors.New("it does not begin with mysql://")
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	if strings.ContainsRune(tail, '#') {
		return nil, errors.New("it has a # in it")
	}
	var to address
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return nil, errors.New("it names no user")
	}
	if err := to.readUser(authority[:at]); err != nil {
		return nil, err
	}
	for host := range strings.SplitSeq(authority[at+1:], ",") {
		h, err := hostOf(host)
		if err != nil {
			return nil, err
		}
		to.hosts = append(to.hosts, h)
	}
	_, query, _ := strings.Cut(tail, "?")
	settings, err := readQuery(query)
	if err != nil {
		return nil, err
	}
	to.tls, err = readSecurity(settings)
	return &to, err
}

func (a *address) readUser(text string) error {
	user, password, _ := strings.Cut(text, ":")
	var err, passwordErr error
	a.user, err = url.PathUnescape(user)
	a.password, passwordErr = url.PathUnescape(password)
	switch {
	case err != nil || passwordErr != nil: // whose text would show them
		return errors.New("the user or the password has a % that begins no escape such as %25")
	case a.user == "":
		return errors.New("it names no user")
	}
	return nil
}

// hostOf returns a host with its port.
func hostOf(text string) (string, error) {
	host, port := text, defaultPort
	// The colons of an IPv6 address stand in brackets.
	if colon := strings.LastIndexByte(text, ':'); colon > strings.LastIndexByte(text, ']') {
		host, port = text[:colon], text[colon+1:]
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" {
		return "", errors.New("it has an empty host")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q of host %s is not a port", port, host)
	}
	return net.JoinHostPort(host, port), nil
}

// readQuery reads what stands behind the question mark, each setting once.
func readQuery(query string) (map[string]string, error) {
	known := []string{"tls", "ssl-ca", "ssl-cert", "ssl-key"}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("what stands behind its ? cannot be read")
	}
	settings := make(map[string]string, len(values))
	for name, all := range values {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("it has the unknown setting %q, want one of %s", name, strings.Join(known, ", "))
		}
		if len(all) != 1 || all[0] == "" {
			return nil, fmt.Errorf("want one value for %s", name)
		}
		settings[name] = all[0]
	}
	return settings, nil
}

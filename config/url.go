package config

import (
	"net/url"
	"slices"
	"strings"

	"github.com/kafkasync/kafkasync/source/postgres"
)

// database is what a URL says, as far as the file's rules look at it.
type database struct {
	user, name, hosts string
	password          bool
	query             url.Values
}

// urlForm is shown whenever a URL is wrong; the URL itself is not.
const urlForm = "write postgres://USER@HOST:PORT/DATABASE, several hosts with commas between them, and the password apart, under password"

// parseURL reads the URL of a Postgres as libpq does.
func parseURL(s string) (database, string) {
	db, fault := splitURL(s, "postgres://", "postgresql://")
	if fault != "" {
		return db, fault
	}
	db.user = orElse(db.query.Get("user"), db.user)
	db.name = orElse(db.query.Get("dbname"), db.name)
	db.hosts = orElse(db.query.Get("host"), db.hosts)
	db.password = db.password || db.query.Get("password") != ""
	return db, db.fault()
}

// splitURL takes a URL apart: net/url refuses several hosts with ports.
// What is wrong is said without repeating any part of the URL.
func splitURL(s string, schemes ...string) (db database, fault string) {
	rest, ok := "", false
	for _, scheme := range schemes {
		if rest, ok = strings.CutPrefix(s, scheme); ok {
			break
		}
	}
	if !ok {
		return db, "does not start with " + strings.Join(schemes, " or ")
	}
	rest, query, _ := strings.Cut(rest, "?")
	var err error
	if db.query, err = url.ParseQuery(query); err != nil {
		return db, "has parameters after the ? that cannot be read"
	}
	authority, path, _ := strings.Cut(rest, "/")
	if user, hosts, ok := strings.Cut(authority, "@"); ok {
		user, password, _ := strings.Cut(user, ":")
		if db.user, err = url.PathUnescape(user); err != nil {
			return db, "has a % in the user name that is no escape"
		}
		if _, err := url.PathUnescape(password); err != nil {
			return db, "has a % in the password that is no escape"
		}
		db.password, authority = password != "", hosts
	}
	db.hosts = authority
	if db.name, err = url.PathUnescape(path); err != nil {
		return db, "has a % in the database name that is no escape"
	}
	return db, ""
}

// fault says what the URL lacks or has too much of; "" if nothing.
func (db database) fault() string {
	switch {
	case strings.ContainsAny(db.hosts+db.name, "@ \t\r\n"):
		return "has an @ or a blank after the first @: a password with @, /, ? or a blank in it must stand apart"
	case !legalPostgresHosts(db.hosts):
		return "has a host or port that cannot be"
	case db.user == "":
		return "names no user"
	case db.name == "":
		return "names no database"
	case strings.Contains(db.name, "/"):
		return "has a / in the database name"
	case !oneOf(db.query, "sslmode", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"):
		return "has an sslmode that is none of disable, allow, prefer, require, verify-ca, verify-full"
	case !oneOf(db.query, "target_session_attrs", "any", "read-write", "read-only", "primary", "standby", "prefer-standby"):
		return "has a target_session_attrs that is none of any, read-write, primary"
	}
	return ""
}

// legalPostgresHosts accepts no host at all, too: that is a local socket.
func legalPostgresHosts(hosts string) bool {
	return hosts == "" || strings.HasPrefix(hosts, "/") || strings.HasPrefix(hosts, "%2F") || strings.HasPrefix(hosts, "%2f") || legalHosts(hosts, "5432")
}

// legalHosts accepts host[:port] with commas between them.
func legalHosts(hosts, port string) bool {
	for host := range strings.SplitSeq(hosts, ",") {
		if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
			continue
		}
		if !strings.Contains(host, ":") {
			host += ":" + port
		}
		if name, ok := splitAddress(host); !ok || name == "" || strings.HasSuffix(host, ":0") {
			return false
		}
	}
	return true
}

// oneOf reports whether a parameter is left out or is one of the values.
func oneOf(query url.Values, key string, values ...string) bool {
	return !query.Has(key) || slices.Contains(values, query.Get(key))
}

// urlHoldsNoSecret reports whether a URL may be shown. One that cannot be read
// may hold a password anywhere.
func urlHoldsNoSecret(s string) bool {
	known := mysqlSettings()
	db, fault := parseMySQLURL(s)
	if fault != "" {
		known = []string{"sslmode", "target_session_attrs", "connect_timeout", "application_name", "host", "port", "user", "dbname"}
		db, fault = parseURL(s)
	}
	if fault != "" && fault != "names no database" {
		return false
	}
	for key := range db.query {
		if !slices.Contains(known, key) {
			return false
		}
	}
	return !db.password && strings.Count(s, "@") == 1
}

func (r *reader) postgres(f field, pipeline text) postgres.Config {
	p := r.object(f, "url", "password", "slot", "publication")
	c := postgres.Config{Slot: "kafkasync_" + pipeline.value, Publication: "kafkasync_" + pipeline.value}
	p.need("url", urlForm)
	t, given := p.text("url")
	var db database
	if given {
		var fault string
		c.URL = t.value
		if db, fault = parseURL(t.value); fault != "" {
			r.report(t.at, "the URL "+fault, urlForm)
		}
	}
	if t, ok := p.text("password"); ok {
		c.Password = t.value
		if db.password {
			r.report(t.at, "there is a password here and another one in the URL", "remove the one in the URL")
		}
	}
	if t, ok := p.text("slot"); ok {
		c.Slot = t.value
		if !legalSlot(t.value) {
			r.report(t.at, "Postgres allows no slot named "+t.said, "use 1 to 63 of a-z, 0-9 and _")
		}
	}
	if t, ok := p.text("publication"); ok {
		c.Publication = t.value
		if len(t.value) > 63 || strings.ContainsAny(t.value, "\x00\r\n") {
			r.report(t.at, "Postgres allows no publication named "+t.said, "use at most 63 bytes on one line")
		}
	}
	return c
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

package config

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kafkasync/kafkasync/source/mysql"
)

const mysqlForm = "write mysql://USER@HOST:PORT/?tls=verify-full, several hosts with commas between them, and the password apart, under password"

// mysqlSettings are the parameters of a URL.
func mysqlSettings() []string { return []string{"tls", "ssl-ca", "ssl-cert", "ssl-key"} }

// parseMySQLURL reads the URL of a MySQL or a MariaDB.
// What is wrong is said without repeating any part of the URL.
func parseMySQLURL(s string) (database, string) {
	db, fault := splitURL(s, "mysql://", "mariadb://")
	if fault != "" {
		return db, fault
	}
	given := db.query
	switch {
	case strings.ContainsAny(db.hosts+db.name, "@ \t\r\n"):
		return db, "has an @ or a blank after the first @: a password with @, /, ? or a blank in it must stand apart"
	case strings.Contains(s, "#"):
		return db, "has a # in it: a password that holds one must stand apart"
	case db.hosts == "":
		return db, "names no host"
	case !legalHosts(db.hosts, "3306"):
		return db, "has a host or port that cannot be"
	case db.user == "":
		return db, "names no user"
	case db.name != "":
		return db, "names a database, but the log is that of all of them: which tables are captured is said by tables, as in match: shop.*"
	case !oneOf(given, "tls", "disabled", "preferred", "required", "verify-ca", "verify-full"):
		return db, "has a tls that is none of disabled, preferred, required, verify-ca, verify-full"
	case given.Has("ssl-ca") && !strings.HasPrefix(given.Get("tls"), "verify-"):
		return db, "has an ssl-ca, which is of use only with tls=verify-full or tls=verify-ca"
	case given.Has("ssl-cert") != given.Has("ssl-key"):
		return db, "has one of ssl-cert and ssl-key, which belong together"
	case given.Has("ssl-cert") && given.Get("tls") == "disabled":
		return db, "has an ssl-cert, which is of no use with tls=disabled"
	}
	for name, values := range given {
		if !slices.Contains(mysqlSettings(), name) {
			return db, "has a parameter that is none of " + strings.Join(mysqlSettings(), ", ")
		}
		if len(values) != 1 || values[0] == "" {
			return db, "has a parameter twice, or without a value"
		}
	}
	return db, ""
}

// mysqlReader is who reads which servers under which server ids.
type mysqlReader struct {
	hosts []string
	first uint32 // of so many as there are nodes
}

// mysql reads one of the two flavours, which is the name of its key.
func (r *reader) mysql(f field, cluster string, c *Pipeline, taken *claims) {
	m := r.object(f, "url", "password", "server_id")
	c.MySQL = mysql.Config{Flavour: f.key.Value, ServerID: derivedServerID(cluster, c.Name)}
	m.need("url", mysqlForm)
	var db database
	if t, ok := m.text("url"); ok {
		c.MySQL.URL = t.value
		var fault string
		if db, fault = parseMySQLURL(t.value); fault != "" {
			r.report(t.at, "the URL "+fault, mysqlForm)
		}
	}
	if t, ok := m.text("password"); ok {
		c.MySQL.Password = t.value
		if db.password {
			r.report(t.at, "there is a password here and another one in the URL", "remove the one in the URL")
		}
	}
	if f, ok := m.get("server_id"); ok {
		r.serverID(f, &c.MySQL.ServerID, taken.nodes)
	}
	r.claimServerID(f, db, c.MySQL.ServerID, taken)
}

// serverID reads the id that the first node has; each further one has one more.
func (r *reader) serverID(f field, id *uint32, nodes int) {
	t, ok := r.scalar(f, false)
	if !ok {
		return
	}
	most := uint64(math.MaxUint32 - nodes + 1)
	n, err := strconv.ParseUint(t.value, 10, 32)
	if err != nil || n == 0 || n > most {
		r.report(t.at, fmt.Sprintf("%s cannot be %s", f.path, t.said),
			fmt.Sprintf("write a whole number from 1 to %d that no server has, or leave it out; the number of the node is added", most))
		return
	}
	*id = uint32(n)
}

// claimServerID refuses two pipelines under one id: the server would end the connection of the one for that of the other.
func (r *reader) claimServerID(f field, db database, first uint32, taken *claims) {
	one := mysqlReader{first: first}
	for host := range strings.SplitSeq(strings.ToLower(db.hosts), ",") {
		if host != "" {
			one.hosts = append(one.hosts, strings.TrimSuffix(host, ":3306"))
		}
	}
	for _, other := range taken.readers {
		apart := max(one.first, other.first) - min(one.first, other.first)
		same := slices.ContainsFunc(one.hosts, func(h string) bool { return slices.Contains(other.hosts, h) })
		if same && int64(apart) < int64(taken.nodes) {
			r.report(f.key, "two pipelines read the same server under the same server_id", fmt.Sprintf(
				"leave server_id out, or let the two be at least %d apart: the number of the node is added", taken.nodes))
		}
	}
	taken.readers = append(taken.readers, one)
}

// derivedServerID is the same on every node, and leaves room for 16 of them. It lies between 2^30
// and 2^31: people choose small ones, and some tools derive theirs from an address.
func derivedServerID(cluster, pipeline string) uint32 {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(cluster + "/" + pipeline)) // never fails
	return 1<<30 + hash.Sum32()%(1<<26)*16
}

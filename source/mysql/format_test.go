package mysql_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestCompressedTransactionsOfMySQLArrive(t *testing.T) {
	for _, gtids := range []string{"ON", "OFF"} {
		t.Run("gtid_mode="+gtids, func(t *testing.T) {
			server := devtest.MySQL(t)
			if gtids == "OFF" {
				server = ownServer(t, "MySQL", map[string]string{"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"})
			}
			db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY, body longtext)")
			p := db.begin(t, columns{"t": nil})
			db.run(t, "SET binlog_transaction_compression = ON", "BEGIN", "INSERT INTO t VALUES (1, REPEAT('x', 100000)), (2, 'y')", "UPDATE t SET id = 3 WHERE id = 1", "COMMIT",
				"INSERT INTO t VALUES (4, '')")
			p.more(t, "t c id=1", "t c id=2", "t u id=3 <- id=1", "t c id=4")
			again := db.reopen(t, columns{"t": nil}, p.pos, p.memory)
			db.run(t, "DELETE FROM t WHERE id = 4")
			again.wants(t, "t d <- id=4")
		})
	}
}

func TestCompressedEventsOfMariaDBArrive(t *testing.T) {
	server := ownServer(t, "MariaDB", map[string]string{"log_bin_compress": "ON", "log_bin_compress_min_len": "10"})
	db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY, body longtext)")
	p := db.begin(t, columns{"t": nil})
	db.run(t, "INSERT INTO t VALUES (1, REPEAT('x', 100000)), (2, 'y')", "UPDATE t SET id = 3 WHERE id = 1", "DELETE FROM t WHERE id = 2",
		"TRUNCATE TABLE t /* "+strings.Repeat("a statement that is long enough to be compressed ", 20)+"*/")
	p.wants(t, "t c id=1", "t c id=2", "t u id=3 <- id=1", "t d <- id=2", "t t")
}

// Without names in the log, the server's catalog has them, as of now.
func TestALogWithoutNamesIsReadWithTheCatalog(t *testing.T) {
	for flavour, without := range map[string]string{"MySQL": "MINIMAL", "MariaDB": "NO_LOG"} {
		t.Run(flavour, func(t *testing.T) {
			server := ownServer(t, flavour, map[string]string{"binlog_row_metadata": without})
			db := newDatabase(t, server, "CREATE TABLE t (n bigint unsigned, kind enum('a', 'it''s'), id int, code char(5) CHARACTER SET latin1, PRIMARY KEY (id, n))",
				"CREATE TABLE times (id int PRIMARY KEY, a datetime(3), b time(2), c timestamp(6) NULL, d datetime, e time(6))")
			wanted := columns{"t": {"id", "n", "kind", "code"}, "times": {"id", "a", "b", "c", "d", "e"}}
			p := db.begin(t, wanted)
			db.run(t, "INSERT INTO times VALUES (1, '2026-11-30 10:00:00.125', '-00:00:00.25', '2026-11-30 10:00:00.000001', '2026-11-30 10:00:00', '100:00:00.5')")
			p.wants(t, "times c id=1 a=2026-11-30T10:00:00.125 b=-00:00:00.25 c=2026-11-30T10:00:00.000001Z d=2026-11-30T10:00:00 e=100:00:00.5")
			db.run(t, "INSERT INTO t VALUES (18446744073709551615, 'it''s', -1, 'ä')")
			p.more(t, "t c id=-1 n=18446744073709551615 kind=it's code=ä")
			before := p.pos

			// What is read at once is read by the definition of its time.
			db.run(t, "ALTER TABLE t ADD COLUMN more int FIRST", "INSERT INTO t VALUES (0, 1, 'a', 1, '')")
			p.more(t, "t c id=1 n=1 kind=a code=")
			for i, change := range []string{"ALTER TABLE t MODIFY id bigint", "ALTER TABLE t ADD COLUMN later int", "DROP TABLE t"} {
				db.run(t, fmt.Sprintf("INSERT INTO t (n, kind, id, code) VALUES (%d, 'a', 5, '')", 10+i))
				p.read(t, len(p.lines)+1)
				db.run(t, change)
			}
			// What is read later could only be guessed at.
			wantStop(t, db.reopen(t, wanted, before, p.memory).fails(t), "does not say enough of the columns of "+db.prefix()+"t", "binlog_row_metadata", anew)
		})
	}
}

func TestNamesThatDifferInCaseOnly(t *testing.T) {
	for flavour, without := range map[string]string{"MySQL": "MINIMAL", "MariaDB": "NO_LOG"} {
		t.Run(flavour+", two tables", func(t *testing.T) {
			db := newDatabase(t, ownServer(t, flavour, map[string]string{"binlog_row_metadata": without}),
				"CREATE TABLE t (id int PRIMARY KEY, a int)", "CREATE TABLE T (a int, id int PRIMARY KEY)", "CREATE TABLE `it's \\` (id int PRIMARY KEY)")
			p := db.begin(t, columns{"t": nil, "T": nil, `it's \`: nil})
			db.run(t, "INSERT INTO t VALUES (1, 10)", "INSERT INTO T VALUES (20, 2)", "INSERT INTO `it's \\` VALUES (3)", "TRUNCATE TABLE T")
			p.wants(t, "t c id=1", "T c id=2", `it's \ c id=3`, "T t")
		})
		t.Run(flavour+", one table", func(t *testing.T) {
			db := newDatabase(t, ownServer(t, flavour, map[string]string{"lower_case_table_names": "1"}), "CREATE TABLE Products (id int PRIMARY KEY)")
			p := db.begin(t, columns{"products": nil, "made": nil})
			db.run(t, "INSERT INTO PRODUCTS VALUES (1)", "TRUNCATE TABLE Products", "CREATE TABLE Made (id int PRIMARY KEY)", "INSERT INTO MADE VALUES (2)")
			p.wants(t, "products c id=1", "products t", "made c id=2")
			p.wantCovered(t, "made", "products")
			p.wantGaps(t)
		})
	}
}

// MariaDB logs some of its types as bytes, whatever its metadata.
func TestTypesThatOnlyTheCatalogTellsApart(t *testing.T) {
	db := newDatabase(t, devtest.MariaDB(t), "CREATE TABLE t (id uuid PRIMARY KEY, a inet6, b binary(16))")
	wanted := columns{"t": {"id", "a"}}
	p := db.begin(t, wanted)
	db.run(t, "INSERT INTO t VALUES ('7F9C24E8-3B12-4FEF-91E0-56A2D5A5A500', '::1', 'x')")
	p.wants(t, "t c id=7f9c24e8-3b12-4fef-91e0-56a2d5a5a500 a=::1")
	from := p.pos
	db.run(t, "DELETE FROM t", "DROP TABLE t")
	// Whoever reads on has known the table; a new run cannot know it any more.
	p.wants(t, "t d <- id=7f9c24e8-3b12-4fef-91e0-56a2d5a5a500 a=::1")
	wantStop(t, db.reopen(t, wanted, from, p.memory).fails(t), "does not say enough", anew)
}

func TestEventsWithVeryManyRowsComeInBoundedBatches(t *testing.T) {
	onOwn(t, map[string]string{"binlog_row_event_max_size": "4194304"}, func(t *testing.T, server *devstack.MySQL) { bulk(t, server, "") })
}

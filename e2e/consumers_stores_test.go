package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// index is a full-text index in a database of its own. It guards versions, and keeps those of deleted rows.
type index struct{ *postgres }

// A row is healed if a delay message has changed it, and no instant message has come to it since.
const indexSchema = `CREATE TABLE docs (id bigint PRIMARY KEY, content text, version bigint NOT NULL, twin boolean NOT NULL, healed boolean NOT NULL,
	words tsvector GENERATED ALWAYS AS (to_tsvector('simple', coalesce(content, ''))) STORED);
	CREATE INDEX ON docs USING gin (words); CREATE INDEX ON docs (version)`

func (x index) write(ctx context.Context, all []entry) (refused int, err error) {
	ids, rows, versions, twins := make([]int64, len(all)), make([]*string, len(all)), make([]int64, len(all)), make([]bool, len(all))
	for i, e := range all {
		ids[i], versions[i], twins[i] = e.id, e.version, e.twin
		if e.row != "" {
			rows[i] = new(e.row)
		}
	}
	written, err := x.exec(ctx, `INSERT INTO docs AS old (id, content, version, twin, healed)
		SELECT id, content, version, twin, twin AND content IS NOT NULL FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::boolean[]) AS n (id, content, version, twin) ORDER BY id
		ON CONFLICT (id) DO UPDATE SET content = excluded.content, version = excluded.version, twin = excluded.twin,
			healed = excluded.twin AND (old.healed OR old.content IS DISTINCT FROM excluded.content)
		WHERE old.version <= excluded.version`, ids, rows, versions, twins)
	return len(all) - int(written), err
}

func (x index) truncate(ctx context.Context, version int64) error {
	_, err := x.exec(ctx, "UPDATE docs SET content = NULL, version = $1, twin = false, healed = false WHERE version < $1", version)
	return err
}

// postgres is a connection to one, opened again when it is broken.
type postgres struct {
	url string

	mu   sync.Mutex
	conn *pgx.Conn
}

func (p *postgres) use(ctx context.Context, do func(*pgx.Conn) error) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil || p.conn.IsClosed() {
		if p.conn, err = pgx.Connect(ctx, p.url); err != nil {
			return err
		}
	}
	return do(p.conn)
}

func (p *postgres) exec(ctx context.Context, sql string, args ...any) (rows int64, err error) {
	err = p.use(ctx, func(conn *pgx.Conn) error {
		tag, err := conn.Exec(ctx, sql, args...)
		rows = tag.RowsAffected()
		return err
	})
	return rows, err
}

// cache is rows in Redis, without versions: whoever writes last is right.
type cache struct {
	redis *redis
	name  string
	load  func(ctx context.Context, ids []int64) (map[int64]string, error)
}

func (c *cache) key(id int64) string { return c.name + ":" + strconv.FormatInt(id, 10) }

func (c *cache) healed() string { return c.name + ":healed" }

// What is said of the index about healed rows is true here as well.
const cacheScript = `local healed = ARGV[1]
for i = 2, #KEYS do
	local row, twin = ARGV[2 * i - 2], ARGV[2 * i - 1]
	if row == '' then row = false end
	if twin ~= 'true' then redis.call('SREM', healed, KEYS[i])
	elseif redis.call('GET', KEYS[i]) ~= row then redis.call('SADD', healed, KEYS[i]) end
	if row then redis.call('SET', KEYS[i], row) else redis.call('DEL', KEYS[i]) end
end`

func (c *cache) write(ctx context.Context, all []entry) (refused int, err error) {
	keys, args := []string{c.healed()}, []string{c.healed()}
	for _, e := range all {
		keys, args = append(keys, c.key(e.id)), append(args, e.row, strconv.FormatBool(e.twin))
	}
	_, err = c.redis.do(ctx, append(append([]string{"EVAL", cacheScript, strconv.Itoa(len(keys))}, keys...), args...)...)
	return 0, err
}

// truncate looks at every row that it holds, as it has no versions to go by.
func (c *cache) truncate(ctx context.Context, _ int64) error {
	held, err := c.rows(ctx)
	if err != nil {
		return err
	}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(held)), 1000) {
		there, err := c.load(ctx, ids)
		if err != nil {
			return err
		}
		var gone []entry
		for _, id := range ids {
			if _, is := there[id]; !is {
				gone = append(gone, entry{id: id})
			}
		}
		if len(gone) == 0 {
			continue
		}
		if _, err := c.write(ctx, gone); err != nil {
			return err
		}
	}
	return nil
}

// rows is all that it has.
func (c *cache) rows(ctx context.Context) (map[int64]string, error) {
	all := map[int64]string{}
	for cursor := "0"; ; {
		answer, err := c.redis.do(ctx, "SCAN", cursor, "MATCH", c.name+":*", "COUNT", "1000")
		if err != nil {
			return nil, err
		}
		page := answer.([]any)
		var keys []string
		for _, key := range page[1].([]any) {
			if key != c.healed() {
				keys = append(keys, key.(string))
			}
		}
		if len(keys) > 0 {
			if answer, err = c.redis.do(ctx, append([]string{"MGET"}, keys...)...); err != nil {
				return nil, err
			}
			for i, row := range answer.([]any) {
				id, err := strconv.ParseInt(strings.TrimPrefix(keys[i], c.name+":"), 10, 64)
				if err != nil {
					return nil, err
				}
				if row != nil { // else it is gone since
					all[id] = row.(string)
				}
			}
		}
		if cursor = page[0].(string); cursor == "0" {
			return all, nil
		}
	}
}

// redis is a connection to one, opened again when it is broken.
type redis struct {
	address string

	mu     sync.Mutex
	conn   net.Conn
	reader *bufio.Reader
}

// do sends a command and returns its answer: a string, an int64, a list of answers, or nil.
func (r *redis) do(ctx context.Context, args ...string) (answer any, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil {
		if r.conn, err = new(net.Dialer).DialContext(ctx, "tcp", r.address); err != nil {
			r.conn = nil
			return nil, err
		}
		r.reader = bufio.NewReader(r.conn)
	}
	var command strings.Builder
	fmt.Fprintf(&command, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&command, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if err = r.conn.SetDeadline(time.Now().Add(10 * time.Second)); err == nil {
		_, err = io.WriteString(r.conn, command.String())
	}
	if err == nil {
		answer, err = r.read()
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("asking Redis: %w", err), r.conn.Close())
		r.conn = nil
	}
	return answer, err
}

func (r *redis) read() (any, error) {
	line, err := r.reader.ReadString('\n')
	if err != nil {
		return nil, err
	}
	kind, rest := line[0], strings.TrimSuffix(line[1:], "\r\n")
	switch kind {
	case '+':
		return rest, nil
	case '-':
		return nil, errors.New(rest)
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	switch {
	case err != nil || kind == ':':
		return n, err
	case n < 0:
		return nil, nil //nolint:nilnil // what is not there is one of the answers
	case kind == '$':
		text := make([]byte, n+2)
		_, err := io.ReadFull(r.reader, text)
		return string(text[:n]), err
	}
	list := make([]any, n)
	for i := range list {
		if list[i], err = r.read(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

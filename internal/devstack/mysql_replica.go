package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
)

// Replica starts a replica of the running server m, on a port of its own, and
// returns once it has executed all that m had in its log. It follows by GTID from
// the very first transaction, so m must still have its whole log. It is read_only
// (MariaDB lets root write all the same), and answers m's semi-synchronous commits
// (SemiSync). cfg.Settings come over those of m; password and certificates are those of m.
func (m *MySQL) Replica(ctx context.Context, cfg MySQLConfig) (*MySQL, error) {
	if cfg.Password != "" || cfg.TLS != nil {
		return nil, errors.New("starting a replica: password and certificates are those of its primary")
	}
	settings := map[string]string{}
	maps.Copy(settings, m.cfg.Settings)
	settings[m.flavour.words.semiReplica+"_enabled"] = "ON"
	maps.Copy(settings, cfg.Settings)
	cfg.Settings, cfg.Password, cfg.TLS = settings, m.cfg.Password, m.cfg.TLS
	r, err := newMySQL(m.flavour, cfg)
	if err != nil {
		return nil, err
	}
	r.name = "replica"
	if err := r.follow(ctx, m); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (m *MySQL) follow(ctx context.Context, primary *MySQL) error {
	if m.cfg.TLS != nil {
		if err := m.shareTLS(primary); err != nil {
			return err
		}
	}
	if err := m.first(ctx); err != nil {
		return err
	}
	tls := 0
	if m.cfg.TLS != nil {
		tls = 1
	}
	words := m.flavour.words
	follow := fmt.Sprintf(words.follow, primary.port, literal(primary.cfg.Password), tls)
	if err := m.Exec(ctx, "", follow); err != nil {
		return fmt.Errorf("following the primary: %w", err)
	}
	if err := m.set(ctx, words.readOnly, "ON"); err != nil {
		return err
	}
	executed, err := primary.Executed(ctx)
	if err != nil {
		return err
	}
	return m.WaitExecuted(ctx, executed)
}

// set sets a variable for now and for the restarts to come.
func (m *MySQL) set(ctx context.Context, variable, value string) error {
	if err := m.Exec(ctx, "", "SET GLOBAL "+variable+" = "+value); err != nil {
		return fmt.Errorf("setting %s: %w", variable, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	settings := map[string]string{variable: value}
	for name, v := range m.cfg.Settings {
		if name != variable {
			settings[name] = v
		}
	}
	m.cfg.Settings = settings
	return nil
}

// SemiSync makes every commit on m wait, for up to an hour, until a replica has
// it in its relay log, and returns once a replica is there to answer. off ends that.
func (m *MySQL) SemiSync(ctx context.Context, on bool) error {
	words := m.flavour.words
	if !on {
		return m.set(ctx, words.semiSource+"_enabled", "OFF")
	}
	if err := m.set(ctx, words.semiSource+"_timeout", "3600000"); err != nil {
		return err
	}
	if err := m.set(ctx, words.semiSource+"_enabled", "ON"); err != nil {
		return err
	}
	return m.until(ctx, "waiting for a semi-synchronous replica", func(conn *client.Conn) (bool, error) {
		result, err := conn.Execute("SHOW GLOBAL STATUS LIKE " + literal(words.semiClients))
		if err != nil {
			return false, err
		}
		clients, err := result.GetStringByName(0, "Value")
		return clients != "0", err
	})
}

// Executed returns the GTIDs that the server has in its log, as it prints them.
func (m *MySQL) Executed(ctx context.Context) (string, error) {
	gtids, err := m.value(ctx, m.flavour.words.executed)
	if err != nil {
		return "", fmt.Errorf("asking for the executed GTIDs: %w", err)
	}
	return gtids, nil
}

// WaitExecuted waits until a replica has executed the GTIDs, and fails if it stops to follow.
func (m *MySQL) WaitExecuted(ctx context.Context, gtids string) error {
	words := m.flavour.words
	return m.until(ctx, "waiting for the replica to execute "+gtids, func(conn *client.Conn) (bool, error) {
		status, err := replicaStatus(conn)
		if err != nil {
			return false, err
		}
		if trouble := status["Last_IO_Error"] + status["Last_SQL_Error"]; trouble != "" {
			return false, errors.New(trouble)
		}
		result, err := conn.Execute(fmt.Sprintf(words.waitExecuted, literal(gtids)))
		if err != nil {
			return false, err
		}
		done, err := result.GetInt(0, 0)
		return done == 1, err
	})
}

// Promote makes a replica a primary that accepts writes, once it has executed all
// that it has received; its primary may be gone. Its port stays: clients list both servers.
func (m *MySQL) Promote(ctx context.Context) error {
	words := m.flavour.words
	if err := m.Exec(ctx, "", words.stop+" IO_THREAD"); err != nil {
		return fmt.Errorf("promoting the replica: %w", err)
	}
	var received string
	err := m.with(ctx, "", func(conn *client.Conn) error {
		status, err := replicaStatus(conn)
		received = status[words.received]
		return err
	})
	if err != nil {
		return fmt.Errorf("promoting the replica: %w", err)
	}
	// Not WaitExecuted: that the primary is gone is no trouble.
	err = m.until(ctx, "promoting the replica: waiting for it to execute "+received, func(conn *client.Conn) (bool, error) {
		result, err := conn.Execute(fmt.Sprintf(words.waitExecuted, literal(received)))
		if err != nil {
			return false, err
		}
		done, err := result.GetInt(0, 0)
		return done == 1, err
	})
	if err != nil {
		return err
	}
	if err := m.Exec(ctx, "", words.stop+"; "+words.forget); err != nil {
		return fmt.Errorf("promoting the replica: %w", err)
	}
	if err := m.set(ctx, words.readOnly, "OFF"); err != nil {
		return err
	}
	return m.set(ctx, "read_only", "OFF")
}

// until asks the server again and again until ask says yes.
func (m *MySQL) until(ctx context.Context, what string, ask func(*client.Conn) (bool, error)) error {
	err := m.with(ctx, "", func(conn *client.Conn) error {
		for {
			if yes, err := ask(conn); yes || err != nil {
				return err
			}
			if err := pause(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// replicaStatus is SHOW REPLICA STATUS by its columns.
func replicaStatus(conn *client.Conn) (map[string]string, error) {
	result, err := conn.Execute("SHOW REPLICA STATUS")
	if err != nil {
		return nil, fmt.Errorf("asking for the replica's status: %w", err)
	}
	rows, err := texts(result.Resultset)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, errors.New("asking for the replica's status: it follows no primary")
	}
	status := map[string]string{}
	for i, field := range result.Fields {
		status[string(field.Name)] = rows[0][i]
	}
	return status, nil
}

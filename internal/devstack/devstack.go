// Package devstack runs real servers on this machine for tests, the demo,
// benchmarks and people: PostgreSQL with its standbys, PgBouncer, MySQL and
// MariaDB with their replicas, and Apache Kafka, as child processes on free
// loopback ports, in folders of their own.
//
// It promises that a started server answers, that the error of one that does
// not start shows the end of its log, and that no server and no temporary folder
// outlives the process that started it, even if that process dies by kill -9: a
// guard process stays behind for as long as it takes to clean up.
//
// It never touches a server that it did not start, and never listens beyond
// 127.0.0.1.
package devstack

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Component is something that Install can put on this machine.
type Component string

// The components.
const (
	ComponentPostgres  Component = "postgresql" // Debian's package, or what is on the PATH; others: PostgresVersion
	ComponentKafka     Component = "kafka"      // Apache Kafka's jars, and a Java runtime
	ComponentKcat      Component = "kcat"       // the Kafka client for people
	ComponentPgBouncer Component = "pgbouncer"  // the connection pooler
	ComponentMySQL     Component = "mysql"      // the newest of Debian's, unpacked beside the system
	ComponentMariaDB   Component = "mariadb"    // Debian 12's (10.11), likewise
	ComponentLinters   Component = "linters"    // of what stands in deploy/: Linter
	ComponentSystemd   Component = "systemd"    // for systemd-analyze; nothing is started
	ComponentRedis     Component = "redis"      // its server, which StartPrograms starts
)

// Install makes sure that each component is on this machine. It asks nothing,
// writes one line to log for whatever it installs and nothing if all is there.
// Processes that install at the same time wait for each other.
func Install(ctx context.Context, log io.Writer, what ...Component) error {
	for _, c := range what {
		if installed(c) {
			continue
		}
		if err := installLocked(ctx, log, c); err != nil {
			return fmt.Errorf("installing %s: %w", c, err)
		}
	}
	return nil
}

func installLocked(ctx context.Context, log io.Writer, c Component) error {
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	unlock, err := lockFile(ctx, filepath.Join(cache, "install.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if installed(c) { // by whoever held the lock before us
		return nil
	}
	switch c {
	case ComponentPostgres:
		return installPostgres(ctx, log)
	case ComponentKafka:
		return installKafka(ctx, log)
	case ComponentKcat:
		return aptInstall(ctx, log, "kcat")
	case ComponentPgBouncer:
		return aptInstallServer(ctx, log, "pgbouncer")
	case ComponentMySQL:
		return flavourMySQL().install(ctx, log)
	case ComponentMariaDB:
		return flavourMariaDB().install(ctx, log)
	case ComponentLinters:
		return installLinters(ctx, log)
	case ComponentSystemd:
		return aptInstall(ctx, log, "systemd")
	case ComponentRedis:
		return aptInstallServer(ctx, log, "redis-server")
	}
	if release := c.release(); release != "" {
		return installVersion(ctx, log, release)
	}
	return fmt.Errorf("unknown component, want one of %s, %[1]s-14 to %[1]s-18, %[2]s, %s, %s, %s, %s, %s, %s, %s",
		ComponentPostgres, ComponentKafka, ComponentKcat, ComponentPgBouncer, ComponentMySQL, ComponentMariaDB, ComponentLinters, ComponentSystemd, ComponentRedis)
}

func installed(c Component) bool {
	switch c {
	case ComponentPostgres:
		_, err := postgresBinDir()
		return err == nil
	case ComponentKafka:
		return kafkaInstalled()
	case ComponentKcat:
		return onPath("kcat")
	case ComponentPgBouncer:
		_, err := pgBouncerProgram()
		return err == nil
	case ComponentMySQL:
		return flavourMySQL().installed()
	case ComponentMariaDB:
		return flavourMariaDB().installed()
	case ComponentLinters:
		return lintersInstalled()
	case ComponentSystemd:
		return onPath("systemd-analyze")
	case ComponentRedis:
		return onPath("redis-server")
	}
	release := c.release()
	return release != "" && versionInstalled(release)
}

// cacheDir is the folder that keeps what is downloaded, shared by all checkouts.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w", err)
	}
	dir := filepath.Join(base, "kafkasync")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("creating the cache folder: %w", err)
	}
	return dir, nil
}

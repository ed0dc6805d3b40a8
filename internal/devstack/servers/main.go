// Program servers runs a real Postgres, MySQL or MariaDB and a real Kafka on this machine to play
// with, until Ctrl-C: `make servers`.
//
// It writes a kafkasync.yaml that works with them, and says what to try. It never
// overwrites a file that somebody else wrote, and leaves no data behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "servers:", err)
		os.Exit(1)
	}
}

// run starts the servers and stays until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("servers", flag.ContinueOnError)
	dir := flags.String("dir", ".", "write kafkasync.yaml into this `folder`")
	source := flags.String("source", "postgres", "start this kind of `database`: postgres, mysql or mariadb")
	if err := flags.Parse(args); err != nil {
		return err
	}
	kind, err := kindOf(*source)
	if err != nil {
		return err
	}
	file := filepath.Join(*dir, "kafkasync.yaml")
	if err := mayWrite(file); err != nil {
		return err // before anything is started
	}
	say := printer{out: out}
	err = devstack.Install(ctx, out, kind.component, devstack.ComponentKafka, devstack.ComponentKcat)
	if err != nil {
		return err
	}
	say.line("starting %s and Kafka ...", kind.name)
	db, err := kind.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	kafka, err := devstack.StartKafka(ctx, devstack.KafkaConfig{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kafka.Close()) }()
	listen, err := freeHTTP(ctx)
	if err != nil {
		return err
	}
	if err := writeConfig(file, listen, db, kafka); err != nil {
		return err
	}
	say.welcome(file, listen, db, kafka)
	if say.err == nil {
		<-ctx.Done()
	}
	say.line("\nstopping %s and Kafka; their data goes with them, %s stays", kind.name, file)
	return say.err
}

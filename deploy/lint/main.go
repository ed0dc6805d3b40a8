// Command lint loads a compose file with the loader that Docker Compose is built of, and fails if that refuses it. Variables
// come from the environment. It is a module of its own, so that whoever imports kafkasync gets nothing of it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	if err := load(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func load(ctx context.Context, files []string) error {
	if len(files) == 0 {
		return fmt.Errorf("which file? lint COMPOSE_FILE")
	}
	options, err := cli.NewProjectOptions(files, cli.WithOsEnv)
	if err != nil {
		return fmt.Errorf("reading %s: %w", files, err)
	}
	if _, err := options.LoadProject(ctx); err != nil {
		return fmt.Errorf("loading %s: %w", files, err)
	}
	return nil
}

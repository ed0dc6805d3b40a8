package main

import (
	"cmp"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/spf13/cobra"
)

// build is what this program was made of.
type build struct {
	Version    string `json:"version"`            // of the module; "devel" if it was not built from a release
	Revision   string `json:"revision,omitempty"` // the commit; absent if it is not known
	Modified   bool   `json:"modified"`           // whether files differed from the commit
	Go         string `json:"go"`
	Platform   string `json:"platform"`
	Librdkafka string `json:"librdkafka"`
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program and of what it is made of",
		Example: `  kafkasync version
  kafkasync version --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), readBuild())
			}
			return writeBuild(cmd.OutOrStdout(), readBuild())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

func readBuild() build {
	_, librdkafka := ck.LibraryVersion()
	b := build{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Librdkafka: librdkafka}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = cmp.Or(strings.Trim(info.Main.Version, "()"), b.Version)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func writeBuild(w io.Writer, b build) error {
	revision := cmp.Or(b.Revision, "unknown")
	if b.Modified {
		revision += ", with changes"
	}
	return writeTable(w, [][]string{
		{"kafkasync", b.Version}, {"revision", revision}, {"go", b.Go + " " + b.Platform}, {"librdkafka", b.Librdkafka},
	})
}

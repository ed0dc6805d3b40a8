package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/template"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// mark is the first line of a file that this program wrote and may write again.
const mark = "# Written by `make servers`, which writes it anew each time; delete this line to keep the file.\n"

// The positions belong to these servers, so they are kept beside their data and go
// with it: a checkpoint of another database would stop the pipeline.
const configText = mark + `name: kafkasync
data_dir: {{.Data}}

http:
  listen: {{.Listen}}

kafka:
  brokers: [{{.Brokers}}]

pipelines:
  - name: shop
    source:
      {{.Source}}
    tables:
      - match: {{.Match}}
`

// mayWrite refuses a file that somebody else wrote.
func mayWrite(file string) error {
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("looking at what is there: %w", err)
	case !bytes.HasPrefix(text, []byte(mark)):
		return fmt.Errorf("%s is there and was not written by this program: move it away, or choose another folder with -dir", file)
	default:
		return nil
	}
}

func writeConfig(file, listen string, db *database, kafka *devstack.Kafka) error {
	var text bytes.Buffer
	err := template.Must(template.New("config").Parse(configText)).Execute(&text, map[string]string{
		"Data":    filepath.Join(kafka.Dir(), "kafkasync"),
		"Listen":  listen,
		"Brokers": kafka.Brokers(),
		"Source":  db.source,
		"Match":   db.match,
	})
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}

package main

import (
	"fmt"
	"io"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// printer prints lines and keeps the first error.
type printer struct {
	out io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

// welcome says what is there and what to try.
func (p *printer) welcome(file, listen string, db *database, kafka *devstack.Kafka) {
	option := ""
	if file != "kafkasync.yaml" {
		option = " -c " + file
	}
	p.line("")
	p.line("  %-14s %s   database shop, table products", db.name, db.addr)
	p.line("  Kafka          %s", kafka.Brokers())
	p.line("  configuration  %s", file)
	p.line("")
	p.line("Build, then run a node:")
	p.line("  make build")
	p.line("  bin/kafkasync check%s", option)
	p.line("  bin/kafkasync run%s", option)
	p.line("  http://%s/ is a page of how far it is", listen)
	p.line("")
	p.line("In a second terminal, change rows:")
	p.line("  %s %s 'UPDATE products SET featured = true WHERE on_stock'", db.shell, db.run)
	p.line("  %s", db.shell)
	p.line("")
	p.line("And look at the messages, in either way:")
	p.line("  bin/kafkasync consume products --from-beginning%s", option)
	p.line("  kcat -b %s -C -t products -f '%%k %%s %%h\\n'", kafka.Brokers())
	p.line("")
	p.line("Ctrl-C stops both.")
}

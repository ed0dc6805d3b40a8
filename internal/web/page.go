package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

// page is the status page: one answer that needs nothing else, so that it also
// works where the internet does not. The first status comes inside it; its
// script then asks /api/status.
type page struct {
	template *template.Template
	policy   string // allows this style, this script, asking this node, and nothing else
}

func newPage() (*page, error) {
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("parsing the status page: %w", err)
	}
	return &page{
		template: t,
		policy: fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
			hashSource(pageCSS), hashSource(pageJS)),
	}, nil
}

func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (p *page) render(s Status) ([]byte, error) {
	var out bytes.Buffer
	err := p.template.Execute(&out, struct {
		Status Status // inside <script type="application/json">, where html/template writes JSON that cannot end the script
		CSS    template.CSS
		JS     template.JS
	}{s, template.CSS(pageCSS), template.JS(pageJS)})
	if err != nil {
		return nil, fmt.Errorf("executing the template: %w", err)
	}
	return out.Bytes(), nil
}

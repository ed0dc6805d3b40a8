package web

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// api answers the requests.
type api struct {
	cfg      Config
	report   Reporter
	operator Operator
	page     *page
	log      *slog.Logger
}

// routes builds the handler. Whoever asks whether the node lives or is ready is a
// machine without a token, and learns nothing else.
func (a *api) routes(metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", a.healthz)
	mux.HandleFunc("GET /readyz", a.readyz)
	a.changes(mux)

	read := http.NewServeMux()
	read.HandleFunc("GET /{$}", a.index)
	read.HandleFunc("GET /api/status", a.status)
	read.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
	}))
	mux.Handle("/", a.reading(read))
	return a.changing(mux)
}

// changing guards every request that is not a read, before anything else is
// looked at: whether a path exists is nobody's business without the token.
func (a *api) changing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			next.ServeHTTP(w, r)
		case a.cfg.Token == "":
			http.Error(w, "nothing can be changed over HTTP: http.token is not set in this node's file", http.StatusForbidden)
		case !bears(r, a.cfg.Token):
			unauthorized(w, "this needs http.token as a bearer token")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// reading guards what shows the cluster, if a read token is set. Who may change
// things may look at them.
func (a *api) reading(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.cfg.ReadToken != "" && !bears(r, a.cfg.ReadToken) && !bears(r, a.cfg.Token) {
			unauthorized(w, "this needs http.read_token as a bearer token")
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func unauthorized(w http.ResponseWriter, text string) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="kafkasync"`)
	http.Error(w, text, http.StatusUnauthorized)
}

// bears reports whether the request carries the token, which is never "". The
// hashes have one length, so that the time taken tells nothing about the token's.
func bears(r *http.Request, token string) bool {
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token == "" || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	a, b := sha256.Sum256([]byte(strings.TrimSpace(got))), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func (a *api) healthz(w http.ResponseWriter, _ *http.Request) {
	a.write(w, "text/plain; charset=utf-8", []byte("ok\n"))
}

func (a *api) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := a.report.Ready(); err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	a.write(w, "text/plain; charset=utf-8", []byte("ready\n"))
}

func (a *api) status(w http.ResponseWriter, r *http.Request) {
	body, err := indented(a.report.Status(r.Context()))
	if err != nil {
		a.fail(w, "encoding the status", err)
		return
	}
	a.write(w, "application/json", body)
}

func indented(v any) ([]byte, error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // read by people and jq, not inside HTML
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return body.Bytes(), err
}

func (a *api) index(w http.ResponseWriter, r *http.Request) {
	body, err := a.page.render(a.report.Status(r.Context()))
	if err != nil {
		a.fail(w, "rendering the status page", err)
		return
	}
	w.Header().Set("Content-Security-Policy", a.page.policy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	a.write(w, "text/html; charset=utf-8", body)
}

// write sends a whole answer. That a client has gone is its own affair.
func (a *api) write(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	if _, err := w.Write(body); err != nil {
		a.log.Debug("answering a request", "err", err)
	}
}

func (a *api) fail(w http.ResponseWriter, doing string, err error) {
	a.log.Error("answering a request", "doing", doing, "err", err)
	http.Error(w, doing+": see the log of this node", http.StatusInternalServerError)
}

// Package web is what a node shows over HTTP: the status page, its data as
// JSON, health, readiness and metrics; and how an operator's orders come in.
//
// It promises that a token which is configured guards what it says it guards,
// and that reading changes nothing. It never decides anything about the cluster,
// never shows a token, and never blocks what it reports on. Tokens are checked by the
// node that is asked; what nodes ask one another goes another way.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkasync/kafkasync"
)

// drain is how long a shutdown waits for answers that are under way.
const drain = 5 * time.Second

// Config is what the file says under http.
type Config struct {
	Listen    string // host:port; port 0 takes a free one
	Token     string `json:"-"` // for what changes something; "": nothing can be changed
	ReadToken string `json:"-"` // for reading; "": reading is open
	CertFile  string // PEM, with KeyFile; both "": plain HTTP
	KeyFile   string
}

// String shows where the server listens, and no token.
func (c Config) String() string { return "http.listen " + c.Listen }

// GoString keeps the tokens out of %#v as well.
func (c Config) GoString() string { return c.String() }

// Reporter knows what is to be shown. Its methods are called from many goroutines.
type Reporter interface {
	// Status is the whole cluster. It asks other nodes, and waits for them a few
	// seconds at most: then it is what this node knows by itself.
	Status(ctx context.Context) Status
	// Ready returns nil when the quorum is reachable and this node has caught up with it.
	Ready() error
}

// Server answers HTTP on one address.
type Server struct {
	cfg     Config
	handler http.Handler
	log     *slog.Logger
}

// New checks the configuration and starts nothing. What /metrics shows is what
// metrics gathers: the caller registers the collectors.
func New(cfg Config, report Reporter, operator Operator, metrics prometheus.Gatherer, log *slog.Logger) (*Server, error) {
	if _, _, err := net.SplitHostPort(cfg.Listen); err != nil {
		return nil, fmt.Errorf("reading http.listen: %w", err)
	}
	if (cfg.CertFile == "") != (cfg.KeyFile == "") {
		return nil, errors.New("reading http.tls: cert and key are needed together")
	}
	page, err := newPage()
	if err != nil {
		return nil, err
	}
	a := api{cfg: cfg, report: report, operator: operator, page: page, log: log}
	return &Server{cfg: cfg, handler: a.routes(metrics), log: log}, nil
}

// Run listens and answers until ctx ends, then lets answers under way finish.
// It returns nil when it ended because ctx did.
func (s *Server) Run(ctx context.Context) error {
	ln, err := s.Listen(ctx)
	if err != nil {
		return err
	}
	return s.Serve(ctx, ln)
}

// Listen opens the configured address, so that a caller can know the port, or
// that there is none to be had, before it starts anything else.
func (s *Server) Listen(ctx context.Context) (net.Listener, error) {
	var certs []tls.Certificate
	if s.cfg.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(s.cfg.CertFile, s.cfg.KeyFile)
		if err != nil {
			return nil, &kafkasync.Fault{
				Class: kafkasync.Stop,
				What:  fmt.Sprintf("the certificate %s with the key %s cannot be used", s.cfg.CertFile, s.cfg.KeyFile),
				Fix:   "set http.tls.cert and http.tls.key to a PEM certificate and its key, readable by this user",
				Err:   err,
			}
		}
		certs = []tls.Certificate{cert}
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return nil, listenFault(s.cfg.Listen, err)
	}
	if certs != nil {
		ln = tls.NewListener(ln, &tls.Config{Certificates: certs, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	return ln, nil
}

// Serve answers on ln until ctx ends, and closes it.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// A broken TLS handshake or a request that is no HTTP is the client's affair.
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()

	select {
	case err := <-served:
		return fmt.Errorf("serving HTTP on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	// ctx has ended already; what is under way gets a little more.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := srv.Shutdown(last)
	if err != nil {
		err = srv.Close() // whoever took longer is cut off; that is no failure of ours
	}
	<-served // http.ErrServerClosed
	if err != nil {
		return fmt.Errorf("shutting HTTP down: %w", err)
	}
	return nil
}

// listenFault tells an operator why an address cannot be listened on.
func listenFault(addr string, err error) error {
	fault := &kafkasync.Fault{Class: kafkasync.Stop, Err: err}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		fault.Class = kafkasync.Wait // it heals when the other process ends
		fault.What = fmt.Sprintf("the HTTP address %s is in use by another process", addr)
		fault.Fix = "set http.listen to a free address, or stop the process that listens there"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		fault.What = fmt.Sprintf("the HTTP address %s is not an address of this machine", addr)
		fault.Fix = "set http.listen to an address of this machine, or to 127.0.0.1"
	case errors.Is(err, syscall.EACCES):
		fault.What = fmt.Sprintf("this user may not listen on the HTTP address %s", addr)
		fault.Fix = "set http.listen to a port above 1023"
	default:
		return fmt.Errorf("listening on http.listen %s: %w", addr, err)
	}
	return fault
}

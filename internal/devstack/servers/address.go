package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
)

// The first address is the default of http.listen, which the documentation speaks of.
const (
	firstHTTPPort = 7480
	httpPorts     = 100
)

// freeHTTP returns the first free address for the node that will be run with the
// file: another kafkasync may well have the default one.
func freeHTTP(ctx context.Context) (string, error) {
	var listener net.ListenConfig
	var last error
	for port := firstHTTPPort; port < firstHTTPPort+httpPorts; port++ {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := listener.Listen(ctx, "tcp", address)
		if err != nil {
			last = err
			continue
		}
		if err := l.Close(); err != nil {
			return "", fmt.Errorf("freeing %s: %w", address, err)
		}
		return address, nil
	}
	return "", fmt.Errorf("looking for a free address for http.listen: %w", last)
}

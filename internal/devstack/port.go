package devstack

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
)

// The ports lie below those that systems hand to outgoing connections: between
// the stop and the start of a server, its port must not become the local end of
// somebody's connection.
const (
	firstPort = 20000
	ports     = 10000
)

// freePort returns a loopback port that nobody listens on. Another process may
// still take it before we do; whoever starts a server tries again then.
func freePort(ctx context.Context) (int, error) {
	var listener net.ListenConfig
	for range 100 {
		port := firstPort + rand.IntN(ports)
		l, err := listener.Listen(ctx, "tcp", loopback(port))
		if err != nil {
			continue // taken
		}
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("freeing port %d: %w", port, err)
		}
		return port, nil
	}
	return 0, errors.New("finding a free port: 100 tries met only taken ones")
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// onFreePort calls start with a free port, and with another one if that was taken in between.
func onFreePort(ctx context.Context, start func(port int) error) error {
	return onFreePorts(ctx, 1, func(ports []int) error { return start(ports[0]) })
}

// onFreePorts calls start with n free ports, and with others if one was taken in between.
// Postgres says "in use" of a port, Java and Go say it of an address.
func onFreePorts(ctx context.Context, n int, start func(ports []int) error) error {
	for try := 1; ; try++ {
		ports := make([]int, 0, n)
		for len(ports) < n {
			port, err := freePort(ctx)
			if err != nil {
				return err
			}
			if !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
		}
		err := start(ports)
		if err == nil || try == 3 || !strings.Contains(strings.ToLower(err.Error()), "address already in use") {
			return err
		}
	}
}

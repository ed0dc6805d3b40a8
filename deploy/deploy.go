// Package deploy is how three nodes are run: the image, compose.yaml, a systemd unit and a Kubernetes StatefulSet. It holds no code.
//
// Its tests promise that each of these files passes the linter of its kind, that its nodes are those of the configuration that
// they mount, and that the command lines in it are understood.
package deploy

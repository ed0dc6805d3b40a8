package devstack

import (
	"errors"
	"testing"
)

func TestAPortThatAStrangerTookIsReplacedByAnother(t *testing.T) {
	taken := errors.New(`could not bind IPv4 address "127.0.0.1": Address already in use`)
	for _, test := range []struct {
		name  string
		errs  []error
		tries int
		err   error
	}{
		{"free", []error{nil}, 1, nil},
		{"taken once", []error{taken, nil}, 2, nil},
		{"taken for ever", []error{taken, taken, taken, taken}, 3, taken},
		{"another failure", []error{errors.ErrUnsupported, nil}, 1, errors.ErrUnsupported},
	} {
		t.Run(test.name, func(t *testing.T) {
			tries := 0
			err := onFreePort(t.Context(), func(int) error {
				tries++
				return test.errs[tries-1]
			})
			if tries != test.tries || !errors.Is(err, test.err) {
				t.Errorf("got %d tries and %v, want %d and %v", tries, err, test.tries, test.err)
			}
		})
	}
}

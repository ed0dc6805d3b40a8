package kafkasync_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/kafkasync/kafkasync"
)

func TestFaultSaysWhatIsAtRiskAndHowToFixIt(t *testing.T) {
	tests := []struct {
		fault kafkasync.Fault
		want  string
	}{
		{kafkasync.Fault{What: "the slot is gone"}, "the slot is gone"},
		{kafkasync.Fault{What: "the slot is gone", Err: io.EOF}, "the slot is gone: EOF"},
		{kafkasync.Fault{What: "the slot is gone", Risk: "all since 10:00"}, "the slot is gone; at risk: all since 10:00"},
		{
			kafkasync.Fault{What: "the slot is gone", Risk: "all since 10:00", Fix: "kafkasync recover shop --new-slot", Err: io.EOF},
			"the slot is gone: EOF; at risk: all since 10:00; to fix: kafkasync recover shop --new-slot",
		},
	}
	for _, tt := range tests {
		if got := tt.fault.Error(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestClassIsThatOfTheFirstFault(t *testing.T) {
	stop := &kafkasync.Fault{Class: kafkasync.Stop, What: "gone"}
	wait := &kafkasync.Fault{Class: kafkasync.Wait, What: "in use", Err: stop}
	tests := []struct {
		name string
		err  error
		want kafkasync.Class
		text string
	}{
		{"what is not known better is tried again", io.EOF, kafkasync.Retry, "retry"},
		{"no error", nil, kafkasync.Retry, "retry"},
		{"a fault", stop, kafkasync.Stop, "stop"},
		{"wrapped", fmt.Errorf("opening slot: %w", stop), kafkasync.Stop, "stop"},
		{"joined", errors.Join(io.EOF, stop), kafkasync.Stop, "stop"},
		{"a fault around another", wait, kafkasync.Wait, "wait"},
	}
	for _, tt := range tests {
		if got := kafkasync.ClassOf(tt.err); got != tt.want || got.String() != tt.text {
			t.Errorf("%s: got %v, want %s", tt.name, got, tt.text)
		}
	}
}

func TestFaultUnwrapsToItsCause(t *testing.T) {
	err := fmt.Errorf("reading: %w", &kafkasync.Fault{What: "the server hung up", Err: io.ErrUnexpectedEOF})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want it to be %v", err, io.ErrUnexpectedEOF)
	}
}

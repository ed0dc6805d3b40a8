package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync"
	main "github.com/kafkasync/kafkasync/cmd/kafkasync"
)

func TestWrongUsageExitsWith2AndSaysWhy(t *testing.T) {
	oneNode := settings(t, "cluster: {nodes: [{id: a}]}")
	tests := []struct {
		args []string
		want string
	}{
		{nil, "which command?"},
		{[]string{"nosuch"}, `unknown command "nosuch"`},
		{[]string{"chek"}, "Did you mean this?\n\tcheck"},
		{[]string{"nosuch", "--bogus"}, `unknown command "nosuch"`},
		{[]string{"--bogus"}, "unknown flag: --bogus"},
		{[]string{"run", "--bogus"}, "unknown flag: --bogus"},
		{[]string{"run", "extra"}, `"extra"`},
		{[]string{"run", "-c"}, "needs an argument"},
		{[]string{"run", "-c", oneNode, "--node", "b"}, `lists only node "a"`},
		{[]string{"run", "-c", oneNode, "--log-format", "xml"}, `text or json, not "xml"`},
		{[]string{"run", "--log-level", "loud"}, `level string "loud"`},
		{[]string{"check", "extra"}, `"extra"`},
		{[]string{"status", "extra"}, `"extra"`},
		{[]string{"consume"}, "consume needs one TOPIC, got 0"},
		{[]string{"consume", "a", "b"}, "consume needs one TOPIC, got 2"},
		{[]string{"consume", "a", "--limit", "many"}, `"--limit" flag`},
		{[]string{"consume", "a", "--limit", "-1"}, "--limit cannot be -1"},
		{[]string{"recover", "--new-slot"}, "recover needs PIPELINE, got nothing"},
		{[]string{"recover", "shop"}, "exactly one of --new-slot, --adopt-slot and --skip-to"},
		{[]string{"recover", "shop", "--new-slot", "--adopt-slot"}, "exactly one of --new-slot"},
		{[]string{"recover", "shop", "--skip-to", "x"}, "add --accept-gap to allow it"},
		{[]string{"position"}, "which command? kafkasync position has show, set"},
		{[]string{"position", "move"}, `unknown command "move" for "kafkasync position": it has show, set`},
		{[]string{"position", "show", "a", "b"}, "show needs PIPELINE, got a b"},
		{[]string{"position", "set", "shop"}, "set needs PIPELINE and POSITION, got shop"},
		{[]string{"table"}, "which command? kafkasync table has forget"},
		{[]string{"table", "forget", "shop"}, "forget needs PIPELINE and TABLE, got shop"},
		{[]string{"pipeline", "drop"}, "drop needs PIPELINE, got nothing"},
		{[]string{"member"}, "which command? kafkasync member has list, add, remove, transfer"},
		{[]string{"member", "add", "d"}, "add needs NODE and RAFT-ADDRESS, got d"},
		{[]string{"member", "remove"}, "remove needs NODE, got nothing"},
		{[]string{"member", "transfer", "a", "b"}, "transfer needs at most one NODE, got a b"},
		{[]string{"demo", "extra"}, `"extra"`},
		{[]string{"demo", "--rows", "many"}, `"--rows" flag`},
		{[]string{"demo", "--source", "oracle"}, "want postgres, mysql, mariadb"},
		{[]string{"demo", "--rows", "999"}, "--rows cannot be 999"},
		{[]string{"version", "extra"}, `"extra"`},
		{[]string{"help", "nosuch"}, `unknown command "nosuch"`},
		{[]string{"completion"}, "which shell?"},
		{[]string{"completion", "nosuch"}, `unknown command "nosuch"`},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			got := command(t.Context(), tt.args...)
			if got.exit != 2 {
				t.Errorf("exit: got %d, want 2", got.exit)
			}
			if got.stdout != "" {
				t.Errorf("stdout: got %q, want nothing", got.stdout)
			}
			if strings.Count(got.stderr, tt.want) != 1 {
				t.Errorf("stderr: got %q, want %q once", got.stderr, tt.want)
			}
		})
	}
}

func TestNodeOfTheEnvironmentIsChecked(t *testing.T) {
	t.Setenv("KAFKASYNC_NODE", "b")
	got := command(t.Context(), "run", "-c", settings(t, "cluster: {nodes: [{id: a}]}"))
	if got.exit != 2 || !strings.Contains(got.stderr, `choosing node "b"`) {
		t.Errorf("got exit %d and %q, want 2 and the node", got.exit, got.stderr)
	}
}

func TestHelpTexts(t *testing.T) {
	t.Setenv("KAFKASYNC_NODE", "shown-nowhere")
	for _, args := range []string{
		"", "run", "check", "status", "consume", "recover", "position", "position show", "position set", "table forget", "pipeline drop", "demo", "version",
		"member", "member list", "member add", "member remove", "member transfer", "consumer lag", "consumer reset", "dlq list", "dlq redrive",
	} {
		name := "help.txt"
		if args != "" {
			name = "help_" + strings.ReplaceAll(args, " ", "_") + ".txt"
		}
		t.Run(name, func(t *testing.T) {
			got := command(t.Context(), append(strings.Fields(args), "--help")...)
			if got.exit != 0 || got.stderr != "" {
				t.Errorf("got exit %d and %q, want 0 and no error", got.exit, got.stderr)
			}
			golden(t, name, got.stdout)
			if same := command(t.Context(), append([]string{"help"}, strings.Fields(args)...)...); same != got {
				t.Errorf("kafkasync help %s: got %+v, want what --help prints", args, same)
			}
		})
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	for _, cmd := range main.NewRoot(io.Discard, io.Discard).Commands() {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		if cmd.Short == "" || !strings.Contains(cmd.Example, "  kafkasync "+cmd.Name()) {
			t.Errorf("%s: got %q and the examples %q, want a line and an example", cmd.Name(), cmd.Short, cmd.Example)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "fish", "powershell", "zsh"} {
		got := command(t.Context(), "completion", shell)
		if got.exit != 0 || !strings.Contains(got.stdout, "kafkasync") {
			t.Errorf("%s: got exit %d and %d bytes, want a script", shell, got.exit, len(got.stdout))
		}
	}
}

func TestErrorsArePrintedForAPerson(t *testing.T) {
	fault := &kafkasync.Fault{
		Class: kafkasync.Stop, What: "the replication slot kafkasync_shop does not exist", Risk: "changes since 0/16B3748",
		Fix: "kafkasync recover shop --new-slot\nkafkasync recover shop --accept-gap", Err: errors.New("ERROR 42704"),
	}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"plain", errors.New("reading x: broken"), "kafkasync: reading x: broken\n"},
		{"fault", fault, "kafkasync: the replication slot kafkasync_shop does not exist: ERROR 42704\n" +
			"  at risk: changes since 0/16B3748\n" +
			"  to fix: kafkasync recover shop --new-slot\n          kafkasync recover shop --accept-gap\n"},
		{"wrapped fault", fmt.Errorf("opening: %w", &kafkasync.Fault{What: "no", Fix: "do"}), "kafkasync: opening: no\n  to fix: do\n"},
		{"fault in the middle", fmt.Errorf("opening (%w) again", &kafkasync.Fault{What: "no", Fix: "do"}), "kafkasync: opening (no; to fix: do) again\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			main.Complain(&out, tt.err)
			if out.String() != tt.want {
				t.Errorf("got %q, want %q", out.String(), tt.want)
			}
		})
	}
}

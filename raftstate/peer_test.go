package raftstate

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync"
)

// Nodes of two releases talk to each other during an upgrade, so these bytes never change.
func TestTheBytesBetweenNodesStayTheSame(t *testing.T) {
	w := who{
		id: "a", incarnation: "1f", cluster: "C", leads: true, leader: "a#1f", last: 9, applied: 8,
		listed:  []Peer{{ID: "a", Address: "h:1"}},
		members: []raft.Server{{ID: "a#1f", Address: "h:1#1f"}, {ID: "b#2f", Address: "i:1#2f", Suffrage: raft.Nonvoter}},
	}
	fault := &kafkasync.Fault{Class: kafkasync.Stop, What: "w", Risk: "r", Fix: "f", Err: errors.New("e")}
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"hello", putFrame([]byte{forRaft, wireVersion}, hello{cluster: "C", incarnation: "1f", from: "b#2f"}.bytes()), "520100000013" + "0000000143" + "000000023166" + "0000000462233266"},
		{"request", putFrame([]byte{forPeer, wireVersion}, request{question: askMember, cluster: "C", wait: time.Second, body: []byte("?")}.bytes()), "50010000000f" + "08" + "0000000143" + "00000000000003e8" + "3f"},
		{"who", w.bytes(), "0000000161" + "000000023166" + "0000000143" + "00" + "01" + "0000000461233166" + "0000000000000009" + "0000000000000008" +
			"0000000000000001" + "0000000161" + "00000003683a31" +
			"0000000000000002" + "0000000461233166" + "00000006683a31233166" + "01" + "0000000462233266" + "00000006693a31233266" + "00"},
		{"answer", encodeAnswer([]byte("!"), nil), "0021"},
		{"failed", encodeAnswer(nil, errors.New("no")), "01" + "000000026e6f"},
		{"not the leader", encodeAnswer(nil, ErrLeadershipLost), "02" + "00000025" + hex.EncodeToString([]byte(ErrLeadershipLost.Error()))},
		{"a fault", encodeAnswer(nil, fmt.Errorf("x: %w", fault)), "03" + "02" + "0000000177" + "0000000172" + "0000000166" + "0000000165"},
		{"not a member", encodeAnswer(nil, ErrNotMember), "04" + "0000001b" + hex.EncodeToString([]byte(ErrNotMember.Error()))},
	} {
		if got := hex.EncodeToString(tt.got); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	for q, want := range map[question]byte{askWho: 1, askJoin: 2, askName: 3, askAdd: 4, askRemove: 5, askTransfer: 6, askLeader: 7, askMember: 8} {
		if byte(q) != want {
			t.Errorf("got question %d, want %d", q, want)
		}
	}
	if got, err := decodeWho(w.bytes()); err != nil || !reflect.DeepEqual(got, w) {
		t.Errorf("got %+v, %v, want %+v", got, err, w)
	}
	if _, err := decodeAnswer(encodeAnswer(nil, fault)); err == nil || err.Error() != fault.Error() || kafkasync.ClassOf(err) != kafkasync.Stop {
		t.Errorf("got %v, want %v", err, fault)
	}
	for _, of := range []error{ErrLeadershipLost, ErrNotMember} {
		if _, err := decodeAnswer(encodeAnswer(nil, fmt.Errorf("doing it: %w", of))); !errors.Is(err, of) {
			t.Errorf("got %v, want %v", err, of)
		}
	}
}

func TestAFrameIsNotLongerThanAllowed(t *testing.T) {
	frame := putFrame(nil, []byte("12345"))
	if got, err := readFrame(bytes.NewReader(frame), 5); string(got) != "12345" || err != nil {
		t.Errorf("got %q, %v, want the frame", got, err)
	}
	if _, err := readFrame(bytes.NewReader(frame), 4); err == nil {
		t.Error("got no error for a frame that is too long")
	}
	if _, err := readFrame(bytes.NewReader(frame[:8]), 5); err == nil {
		t.Error("got no error for half a frame")
	}
}

func TestWhatIsNotFromANodeIsRefused(t *testing.T) {
	for _, head := range []string{"", "R", "GE", "R\x02", "P\x00"} {
		if _, err := readPurpose(bytes.NewReader([]byte(head))); err == nil {
			t.Errorf("%q: got no error", head)
		}
	}
}

func FuzzWhatNodesSend(f *testing.F) {
	f.Add(who{id: "a", listed: []Peer{{ID: "a", Address: "h:1"}}, members: []raft.Server{{ID: "a", Address: "h:1"}}}.bytes())
	f.Add(request{question: askMember, cluster: "C", wait: time.Second, body: []byte("?")}.bytes())
	f.Add(hello{cluster: "C", incarnation: "1f", from: "b#2f"}.bytes())
	f.Add(encodeAnswer(nil, &kafkasync.Fault{Class: kafkasync.Stop, What: "w"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if w, err := decodeWho(data); err == nil && !bytes.Equal(w.bytes(), data) {
			t.Errorf("who: got %x, want %x", w.bytes(), data)
		}
		if h, err := decodeHello(data); err == nil && !bytes.Equal(h.bytes(), data) {
			t.Errorf("hello: got %x, want %x", h.bytes(), data)
		}
		if q, err := decodeRequest(data); err == nil && !bytes.Equal(q.bytes(), data) && q.wait < time.Hour {
			t.Errorf("request: got %x, want %x", q.bytes(), data)
		}
		_, _ = decodeAnswer(data)
	})
}

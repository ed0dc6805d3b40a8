package raftstate

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// The bytes of a command are kept in logs on disk: a difference here means that
// a cluster cannot be upgraded. Add a version instead.
func TestCommandBytesNeverChange(t *testing.T) {
	tests := []struct {
		command command
		want    string
	}{
		{identify{clusterID: "c1"}, "0101" + "000000026331"},
		{grant{pipeline: "shop", holder: "a", micros: 1_700_000_000_000_000}, "0201" + "0000000473686f70" + "0000000161" + "00060a24181e4000"},
		{
			commit{pipeline: "shop", epoch: 3, n: 7, position: "0/16", intact: "0/15"},
			"0302" + "0000000473686f70" + "0000000000000003" + "0000000000000007" + "00000004302f3136" + "00000004302f3135",
		},
		{raise{pipeline: "shop", epoch: 3, ceiling: -1}, "0401" + "0000000473686f70" + "0000000000000003" + "ffffffffffffffff"},
		{declare{pipeline: "", epoch: 1}, "0501" + "00000000" + "0000000000000001"},
		{
			cover{
				pipeline: "shop", epoch: 3, covered: []source.Coverage{{Table: "t", ID: "9", Since: "0/1", Until: "0/2"}, {Table: "u"}},
				gaps: []source.Gap{{Table: "t", From: "0/1", To: "0/3", Cause: "x"}},
			}, "0601" + "0000000473686f70" + "0000000000000003" +
				"0000000000000002" + "0000000174" + "0000000139" + "00000003302f31" + "00000003302f32" + "0000000175" + "000000000000000000000000" +
				"0000000000000001" + "0000000174" + "00000003302f31" + "00000003302f33" + "0000000178",
		},
		{cover{pipeline: "shop", epoch: 3}, "0601" + "0000000473686f70" + "0000000000000003" + "0000000000000000" + "0000000000000000"},
		{skip{pipeline: "shop", epoch: 3, position: "0/16", cause: "x"}, "0701" + "0000000473686f70" + "0000000000000003" + "00000004302f3136" + "0000000178"},
		{drop{pipeline: "shop", epoch: 3}, "0801" + "0000000473686f70" + "0000000000000003"},
		{
			use{pipeline: "shop", epoch: 3, pair: kafkasync.Pair{Topic: "t", Delay: 5 * time.Minute, ID: "x", Ends: []int64{7, 0}}},
			"0901" + "0000000473686f70" + "0000000000000003" + "0000000174" + "00000045d964b800" + "0000000178" +
				"0000000000000002" + "0000000000000007" + "0000000000000000",
		},
		{
			use{pipeline: "shop", epoch: 3, pair: kafkasync.Pair{Topic: "t", Delay: time.Millisecond}},
			"0901" + "0000000473686f70" + "0000000000000003" + "0000000174" + "00000000000f4240" + "00000000" + "0000000000000000",
		},
		{
			name{member: "a", namings: []Naming{{Topics: "shop.*", Delay: time.Second}, {Topics: "t", Delay: 5 * time.Minute}}},
			"0a01" + "0000000161" + "0000000000000002" + "0000000673686f702e2a" + "000000003b9aca00" + "0000000174" + "00000045d964b800",
		},
		{name{member: "a"}, "0a01" + "0000000161" + "0000000000000000"},
		{release{topic: "t", delay: 5 * time.Minute, revision: 4}, "0b01" + "0000000174" + "00000045d964b800" + "0000000000000004"},
	}
	for _, tt := range tests {
		if got := hex.EncodeToString(encode(tt.command)); got != tt.want {
			t.Errorf("%#v: got %s, want %s", tt.command, got, tt.want)
		}
		data, err := hex.DecodeString(tt.want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(data)
		if err != nil || !reflect.DeepEqual(got, tt.command) {
			t.Errorf("%s: got %#v, %v, want %#v", tt.want, got, err, tt.command)
		}
	}
}

func TestCommitsOfVersionOneAreRead(t *testing.T) {
	data, err := hex.DecodeString("0301" + "0000000473686f70" + "0000000000000003" + "0000000000000007" + "00000004302f3136")
	if err != nil {
		t.Fatal(err)
	}
	want := commit{pipeline: "shop", epoch: 3, n: 7, position: "0/16"}
	if got, err := decode(data); err != nil || got != command(want) {
		t.Errorf("got %#v, %v, want %#v", got, err, want)
	}
	for i := range data {
		if got, err := decode(data[:i]); err == nil {
			t.Errorf("the first %d bytes: got %#v, want an error", i, got)
		}
	}
}

func TestCommandsThatNoReleaseWroteAreRefused(t *testing.T) {
	whole := encode(commit{pipeline: "shop", epoch: 3, n: 7, position: "0/16", intact: "0/15"})
	tests := map[string][]byte{
		"nothing":              {},
		"no version":           {1},
		"an unknown kind":      {99, 1},
		"kind zero":            {0, 1},
		"a newer version":      {byte(kindDeclare), 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
		"version zero":         {byte(kindDeclare), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
		"a newer commit":       append([]byte{byte(kindCommit), 3}, whole[2:]...),
		"more than version 1":  append([]byte{byte(kindCommit), 1}, whole[2:]...),
		"something left over":  append(bytes.Clone(whole), 0),
		"a length beyond it":   {byte(kindIdentify), 1, 0, 0, 0, 9, 'x'},
		"a length beyond 2 GB": {byte(kindIdentify), 1, 0xff, 0xff, 0xff, 0xff, 'x'},
		"a count beyond it":    append(encode(declare{pipeline: "shop"}), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
	}
	tests["a count beyond it"][0] = byte(kindCover)
	ends, namings := encode(use{pipeline: "shop", epoch: 3, pair: testPair("t", time.Second)}), encode(name{member: "a"})
	tests["one end too few"] = ends[:len(ends)-8]
	tests["a newer use"] = append([]byte{byte(kindUse), 2}, ends[2:]...)
	tests["namings beyond it"] = append(namings[:len(namings)-1], 1)
	tests["a newer release"] = append([]byte{byte(kindRelease), 2}, encode(release{topic: "t"})[2:]...)
	for i := range whole {
		tests["the first bytes of one, "+hex.EncodeToString(whole[:i])] = whole[:i]
	}
	for name, data := range tests {
		if got, err := decode(data); err == nil {
			t.Errorf("%s: got %#v, want an error", name, got)
		}
	}
}

func FuzzDecodeCommand(f *testing.F) {
	for _, c := range []command{
		identify{clusterID: "c1"},
		grant{pipeline: "shop", holder: "a", micros: 1},
		commit{pipeline: "shop", epoch: 3, n: 7, position: "0/16", intact: "0/15"},
		raise{pipeline: "shop", epoch: 3, ceiling: 9},
		declare{pipeline: "shop", epoch: 3},
		cover{
			pipeline: "shop", epoch: 3, covered: []source.Coverage{{Table: "t", ID: "9", Since: "0/1", Until: "0/2"}},
			gaps: []source.Gap{{Table: "t", From: "0/1", To: "0/3", Cause: "x"}},
		},
		skip{pipeline: "shop", epoch: 3, position: "0/16", cause: "x"},
		drop{pipeline: "shop", epoch: 3},
		use{pipeline: "shop", epoch: 3, pair: testPair("t", time.Second)},
		name{member: "a", namings: []Naming{{Topics: "t*", Delay: time.Second}}},
		name{member: "a"},
		release{topic: "t", delay: time.Second, revision: 4},
	} {
		f.Add(encode(c))
	}
	f.Add([]byte{3, 1, 0, 0, 0, 200})
	f.Add(append([]byte{3, 1}, make([]byte, 4+8+8+4)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMachine()
		m.Apply(&raft.Log{Data: data}) // must not panic either
		c, err := decode(data)
		if (err == nil) != (m.failure() == nil) {
			t.Errorf("decode says %v, the machine %v", err, m.failure())
		}
		if err != nil {
			return
		}
		written := encode(c)
		if data[1] == c.kind().version() && !bytes.Equal(written, data) {
			t.Errorf("%x is %#v, which encodes to %x", data, c, written)
		}
		if again, err := decode(written); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%#v is %x, which decodes to %#v, %v", c, written, again, err)
		}
	})
}

func FuzzEncodeCommand(f *testing.F) {
	f.Add("shop", "a", uint64(1), uint64(2), int64(-3))
	f.Add("", "\x00\xff", ^uint64(0), uint64(0), int64(1<<62))
	f.Fuzz(func(t *testing.T, pipeline, text string, epoch, n uint64, number int64) {
		for _, c := range []command{
			identify{clusterID: text},
			grant{pipeline: pipeline, holder: text, micros: number},
			commit{pipeline: pipeline, epoch: epoch, n: n, position: source.Position(text), intact: source.Position(pipeline)},
			raise{pipeline: pipeline, epoch: epoch, ceiling: number},
			declare{pipeline: pipeline, epoch: epoch},
			cover{
				pipeline: pipeline, epoch: epoch, covered: []source.Coverage{{Table: text, Since: source.Position(pipeline)}, {ID: text}},
				gaps: []source.Gap{{Table: pipeline, To: source.Position(text)}, {Cause: text}},
			},
			skip{pipeline: pipeline, epoch: epoch, position: source.Position(text), cause: pipeline},
			drop{pipeline: pipeline, epoch: epoch},
			use{pipeline: pipeline, epoch: epoch, pair: kafkasync.Pair{
				Topic: text, Delay: time.Duration(number), ID: pipeline, Ends: []int64{number, -number},
			}},
			name{member: text, namings: []Naming{{Topics: pipeline, Delay: time.Duration(number)}, {Topics: text}}},
			release{topic: text, delay: time.Duration(number), revision: n},
		} {
			got, err := decode(encode(c))
			if err != nil || !reflect.DeepEqual(got, c) {
				t.Errorf("got %#v, %v, want %#v", got, err, c)
			}
		}
	})
}

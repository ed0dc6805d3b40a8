package postgres

import (
	"testing"

	"github.com/kafkasync/kafkasync/source"
)

func TestPositionsReadBackEqual(t *testing.T) {
	want := source.Position("7380012345678901234:3:16/B374D848")
	at, err := parsePosition(want)
	if err != nil || at.position() != want {
		t.Errorf("got %q %v, want %q", at.position(), err, want)
	}
}

func TestWhatIsNoPositionIsRefused(t *testing.T) {
	for _, p := range []source.Position{"", "1:1", "1:1:0/0", "1:0:0/1", ":1:0/1", "1:x:0/1", "1:1:zz", "1:1:0/01", "1:1:0/1:9"} {
		if _, err := parsePosition(p); err == nil {
			t.Errorf("got no error for %q", p)
		}
	}
}

func FuzzPosition(f *testing.F) {
	f.Add("7380012345678901234:3:16/B374D848")
	f.Fuzz(func(t *testing.T, text string) {
		at, err := parsePosition(source.Position(text))
		if err == nil && at.position() != source.Position(text) {
			t.Errorf("%q became %q", text, at.position())
		}
	})
}

package source_test

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/kafkasync/kafkasync/source"
)

func TestAFloatReadsBackEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		f := math.Float64frombits(r.Uint64())
		f4 := math.Float32frombits(r.Uint32())
		if math.IsNaN(f) || math.IsNaN(float64(f4)) {
			continue
		}
		text := string(source.AppendFloat(nil, f, 64))
		if back, err := strconv.ParseFloat(text, 64); err != nil || back != f {
			t.Errorf("%v: got %s, which reads %v %v", f, text, back, err)
		}
		text = string(source.AppendFloat(nil, float64(f4), 32))
		if back, err := strconv.ParseFloat(text, 32); err != nil || float32(back) != f4 {
			t.Errorf("%v: got %s, which reads %v %v", f4, text, back, err)
		}
	}
}

// The examples are those of ECMAScript's Number::toString.
func TestAFloatIsLaidOutAsECMAScriptDoes(t *testing.T) {
	for want, f := range map[string]float64{
		"100000000000000000000": 1e20, "1e+21": 1e21, "999999999999999900000": 999999999999999900000,
		"0.000001": 1e-6, "1e-7": 1e-7, "1.5e-7": 1.5e-7, "-1e-10": -1e-10, "1e+100": 1e100, "5e-324": 5e-324,
		"123456789.125": 123456789.125, "0": math.Copysign(0, -1),
	} {
		if got := string(source.AppendFloat(nil, f, 64)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

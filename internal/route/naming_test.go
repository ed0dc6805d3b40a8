package route_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/route"
)

func TestNamingsAreWhatTheRulesCanMakeOfAnyTable(t *testing.T) {
	r, err := route.New("shop", []route.Rule{
		{Match: "public.secrets", Skip: true},
		{Match: "public.products", Delay: time.Minute},
		{Match: "public.order_*", Topic: "{pipeline}.{schema}.{table}", Delay: time.Hour},
		{Match: "public.a?", Topic: "all", Delay: time.Hour},
		{Match: "*.*"},
	}, route.Encoding{})
	if err != nil {
		t.Fatal(err)
	}
	want := []route.Naming{{"products", time.Minute}, {"shop.public.order_*", time.Hour}, {"all", time.Hour}}
	if got := r.Namings(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

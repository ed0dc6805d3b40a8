package postgres

import (
	"testing"
	"time"
)

func TestEveryServerOfTheURLIsTriedInTime(t *testing.T) {
	for url, want := range map[string]time.Duration{
		"postgres://cdc@db1/shop":                                  10 * time.Second,
		"postgres://cdc@db1/shop?sslmode=disable":                  10 * time.Second,
		"postgres://cdc@db1/shop?connect_timeout=2":                2 * time.Second,
		"postgres://cdc@db1,db2/shop":                              5 * time.Second,
		"postgres://cdc@db:5432,db:5433/shop?sslmode=verify-full":  5 * time.Second,
		"postgres://cdc@db1,db2,db3,db4,db5/shop":                  2 * time.Second,
		"postgres://cdc@db1,db2/shop?connect_timeout=60":           5 * time.Second,
		"postgres://cdc@db1,db2/shop?connect_timeout=3":            3 * time.Second,
		"postgres://cdc@db1,db2/shop?target_session_attrs=primary": 5 * time.Second,
	} {
		conn, err := connConfig(Config{URL: url}, "test")
		if err != nil {
			t.Fatal(err)
		}
		if conn.ConnectTimeout != want {
			t.Errorf("%s: got %v for each server, want %v", url, conn.ConnectTimeout, want)
		}
	}
}

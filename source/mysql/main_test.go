package mysql

import (
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestMain(m *testing.M) { devtest.Main(m) }

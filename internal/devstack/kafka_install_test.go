package devstack

import (
	"bytes"
	"testing"
)

func TestTheVersionOfTheFolderIsThatOfTheJars(t *testing.T) {
	if n := bytes.Count(kafkaPOM, []byte("<version>"+kafkaVersion+"</version>")); n != 2 {
		t.Errorf("got %d jars of version %s in kafka.pom.xml, want 2", n, kafkaVersion)
	}
}

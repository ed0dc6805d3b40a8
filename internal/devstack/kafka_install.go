package devstack

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const kafkaVersion = "4.3.1" // as in kafka.pom.xml, which a test compares

//go:embed kafka.pom.xml
var kafkaPOM []byte

// kafkaLibs is the folder of Kafka's jars.
func kafkaLibs() (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "kafka-"+kafkaVersion), nil
}

func kafkaInstalled() bool {
	libs, err := kafkaLibs()
	if err != nil {
		return false
	}
	_, err = os.Stat(libs)
	return err == nil && onPath("java")
}

// installKafka fetches the jars with Maven. The folder appears whole or not at all.
func installKafka(ctx context.Context, log io.Writer) (err error) {
	for program, pkg := range map[string]string{"java": "default-jre-headless", "mvn": "maven"} {
		if onPath(program) {
			continue
		}
		if err := aptInstall(ctx, log, pkg); err != nil {
			return err
		}
	}
	libs, err := kafkaLibs()
	if err != nil {
		return err
	}
	if _, err := os.Stat(libs); err == nil {
		return nil // only Java was missing
	}
	if _, err := fmt.Fprintf(log, "installing Apache Kafka %s (Maven, 54 MB) into %s\n", kafkaVersion, libs); err != nil {
		return fmt.Errorf("saying what is installed: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(libs), "kafka-")
	if err != nil {
		return fmt.Errorf("creating a folder for the download: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), kafkaPOM, 0o644); err != nil {
		return fmt.Errorf("writing the list of jars: %w", err)
	}
	if err := run(ctx, work, "mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs"); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(work, "libs"), libs); err != nil {
		return fmt.Errorf("moving the jars into place: %w", err)
	}
	return nil
}

package devstack

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
)

// PostgresVersion is the component that PostgresConfig.Version needs: "14" to
// "18" from Maven, "" for what ComponentPostgres is.
func PostgresVersion(version string) Component {
	if version == "" {
		return ComponentPostgres
	}
	return ComponentPostgres + "-" + Component(version)
}

// release is the exact release of a version as Maven names it; "" if it is unknown.
// The builds hold initdb, pg_ctl and postgres, and all libraries that these need.
func (c Component) release() string {
	return map[Component]string{
		PostgresVersion("14"): "14.23.0",
		PostgresVersion("15"): "15.18.0",
		PostgresVersion("16"): "16.14.0",
		PostgresVersion("17"): "17.10.0",
		PostgresVersion("18"): "18.4.0",
	}[c]
}

// releaseDir is the folder of a release.
func releaseDir(release string) (string, error) {
	if os.Geteuid() != 0 {
		cache, err := cacheDir()
		return filepath.Join(cache, "postgresql-"+release), err
	}
	// Root's own cache is closed to user postgres, whom a server of root runs as.
	return filepath.Join("/var/cache/kafkasync", "postgresql-"+release), nil
}

// versionBinDir finds the programs of a version that was installed.
func versionBinDir(version string) (string, error) {
	release := PostgresVersion(version).release()
	if release == "" {
		return "", fmt.Errorf("PostgreSQL %s is not known here", version)
	}
	dir, err := releaseDir(release)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("PostgreSQL %s is not on this machine: devstack.Install was not called", version)
	}
	return filepath.Join(dir, "bin"), nil
}

func versionInstalled(release string) bool {
	dir, err := releaseDir(release)
	if err == nil {
		_, err = os.Stat(dir)
	}
	if err == nil {
		_, err = postgresUser()
	}
	return err == nil
}

// installVersion fetches a release with Maven. The folder appears whole or not at all.
func installVersion(ctx context.Context, log io.Writer, release string) (err error) {
	if err := requireForVersion(ctx, log); err != nil {
		return err
	}
	dir, err := releaseDir(release)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil {
		return nil // only what it needs was missing
	}
	if _, err := fmt.Fprintf(log, "installing PostgreSQL %s (Maven, 15 MB) into %s\n", release, dir); err != nil {
		return fmt.Errorf("saying what is installed: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("creating the cache folder: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "postgresql-")
	if err != nil {
		return fmt.Errorf("creating a folder for the download: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := run(ctx, work, "mvn", "-q", "-B", "dependency:copy", "-DoutputDirectory=.", "-Dartifact="+artifact(release)); err != nil {
		return err
	}
	tree := filepath.Join(work, "tree")
	if err := unpack(ctx, work, tree); err != nil {
		return fmt.Errorf("unpacking PostgreSQL %s: %w", release, err)
	}
	if err := os.Rename(tree, dir); err != nil {
		return fmt.Errorf("moving PostgreSQL %s into place: %w", release, err)
	}
	return nil
}

// requireForVersion installs what a release needs beside itself.
func requireForVersion(ctx context.Context, log io.Writer) error {
	for program, pkg := range map[string]string{"mvn": "maven", "xz": "xz-utils"} {
		if onPath(program) {
			continue
		}
		if err := aptInstall(ctx, log, pkg); err != nil {
			return err
		}
	}
	var unknown user.UnknownUserError
	if _, err := postgresUser(); errors.As(err, &unknown) {
		return aptInstall(ctx, log, "postgresql-common") // which creates user postgres
	}
	return nil
}

func artifact(release string) string {
	system := runtime.GOOS + "-" + runtime.GOARCH
	if runtime.GOARCH == "arm64" {
		system += "v8"
	}
	return "io.zonky.test.postgres:embedded-postgres-binaries-" + system + ":" + release
}

// unpack unpacks the archive that the only jar in work holds.
func unpack(ctx context.Context, work, tree string) (err error) {
	jars, err := filepath.Glob(filepath.Join(work, "*.jar"))
	if err != nil {
		return fmt.Errorf("looking for the jar: %w", err)
	}
	if len(jars) != 1 {
		return fmt.Errorf("looking for the jar: found %d of them, want 1", len(jars))
	}
	jar, err := zip.OpenReader(jars[0])
	if err != nil {
		return fmt.Errorf("opening the jar: %w", err)
	}
	defer func() { err = errors.Join(err, jar.Close()) }()
	archive := filepath.Join(work, "tree.txz")
	for _, f := range jar.File {
		if strings.HasSuffix(f.Name, ".txz") {
			if err := extract(f, archive); err != nil {
				return err
			}
		}
	}
	// Open to the user that the server runs as, whatever our umask is.
	if err := errors.Join(os.Mkdir(tree, 0o755), os.Chmod(tree, 0o755)); err != nil {
		return fmt.Errorf("creating its folder: %w", err)
	}
	return run(ctx, work, "tar", "--extract", "--xz", "--no-same-owner", "--file", archive, "--directory", tree)
}

// extract writes one file of a zip archive.
func extract(f *zip.File, to string) error {
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("opening %s in the jar: %w", f.Name, err)
	}
	out, err := os.Create(to)
	if err != nil {
		return errors.Join(fmt.Errorf("extracting %s: %w", f.Name, err), in.Close())
	}
	_, err = io.Copy(out, in) //nolint:gosec // our own download, of a fixed release
	if err = errors.Join(err, out.Close(), in.Close()); err != nil {
		return fmt.Errorf("extracting %s: %w", f.Name, err)
	}
	return nil
}

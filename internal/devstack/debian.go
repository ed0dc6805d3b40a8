package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// debianTree is a server of some release of Debian, unpacked into a folder beside
// the system: nothing is installed, nothing needs root, and no package of the
// machine is in its way. It brings its own C library, and so its own loader.
type debianTree struct {
	root string
}

// command is the command line of one of the tree's programs.
func (t debianTree) command(program string, args ...string) ([]string, error) {
	loader, err := t.find("usr/lib/*/ld-linux*.so.*", "lib/*/ld-linux*.so.*")
	if err != nil {
		return nil, err
	}
	path, err := t.find(filepath.Join("usr/sbin", program), filepath.Join("usr/bin", program))
	if err != nil {
		return nil, err
	}
	triplet := filepath.Base(filepath.Dir(loader))
	libs := filepath.Join(t.root, "usr/lib", triplet) + ":" + filepath.Join(t.root, "lib", triplet)
	return append([]string{loader, "--library-path", libs, path}, args...), nil
}

// file is a file of the tree.
func (t debianTree) file(name string) string { return filepath.Join(t.root, name) }

func (t debianTree) find(patterns ...string) (string, error) {
	for _, pattern := range patterns {
		found, err := filepath.Glob(t.file(pattern))
		if err != nil {
			return "", fmt.Errorf("looking for %s: %w", pattern, err)
		}
		if len(found) > 0 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("looking for %s in %s: it is not there", patterns[len(patterns)-1], t.root)
}

// debianPackages says what a tree is made of.
type debianPackages struct {
	release string   // of Debian, by its code name
	with    []string // with all that they need
	alone   []string // without what they need, for single files of them
}

// unpack downloads the packages, with what apt needs for that in work, and unpacks
// them into root. The machine's own apt and its state are not touched.
func (p debianPackages) unpack(ctx context.Context, work, root string) error {
	apt, err := newPrivateApt(ctx, work, p.release)
	if err != nil {
		return err
	}
	if err := apt.run(ctx, "update"); err != nil {
		return err
	}
	if err := apt.run(ctx, append([]string{"-y", "--download-only", "--no-install-recommends", "install"}, p.with...)...); err != nil {
		return err
	}
	if len(p.alone) > 0 {
		if err := apt.run(ctx, append([]string{"download"}, p.alone...)...); err != nil {
			return err
		}
	}
	archives, err := filepath.Glob(filepath.Join(apt.archives, "*.deb"))
	if err != nil {
		return fmt.Errorf("looking for what was downloaded: %w", err)
	}
	for _, deb := range archives {
		if strings.Contains(filepath.Base(deb), "perl") {
			continue // 65 MB for scripts that nobody here runs
		}
		if err := run(ctx, work, "dpkg", "-x", deb, root); err != nil {
			return err
		}
	}
	return nil
}

// privateApt is apt with lists, cache and state of its own.
type privateApt struct {
	archives string
	options  []string
}

func newPrivateApt(ctx context.Context, dir, release string) (*privateApt, error) {
	for _, program := range []string{"apt-get", "dpkg"} {
		if !onPath(program) {
			return nil, fmt.Errorf("this machine has no %s, and is no Debian", program)
		}
	}
	mirror, err := debianMirror(ctx)
	if err != nil {
		return nil, err
	}
	a := &privateApt{archives: filepath.Join(dir, "cache/archives")}
	for _, folder := range []string{filepath.Join(a.archives, "partial"), filepath.Join(dir, "lists/partial")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, fmt.Errorf("creating apt's folders: %w", err)
		}
	}
	source := "deb "
	// With the key of the release before, where a newer one has another.
	if keys := "/usr/share/keyrings/debian-archive-keyring.gpg"; exists(keys) {
		source += "[signed-by=" + keys + "] "
	}
	source += mirror + " " + release + " main\n"
	sources, status := filepath.Join(dir, "sources.list"), filepath.Join(dir, "status")
	err = errors.Join(os.WriteFile(sources, []byte(source), 0o644), os.WriteFile(status, nil, 0o644))
	if err != nil {
		return nil, fmt.Errorf("configuring apt: %w", err)
	}
	for _, option := range []string{
		"Dir::Etc::SourceList=" + sources, "Dir::Etc::SourceParts=/dev/null",
		"Dir::State=" + dir, "Dir::State::Lists=" + filepath.Join(dir, "lists"), "Dir::State::Status=" + status,
		"Dir::Cache=" + filepath.Join(dir, "cache"), "Dir::Cache::Archives=" + a.archives,
		"APT::Sandbox::User=root", "Acquire::Languages=none",
	} {
		a.options = append(a.options, "-o", option)
	}
	return a, nil
}

func (a *privateApt) run(ctx context.Context, args ...string) error {
	return run(ctx, a.archives, append(append([]string{"apt-get", "-q"}, a.options...), args...)...)
}

// debianMirror is the address from which this machine has its own packages: no
// other is known to be reachable.
func debianMirror(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("asking apt for its mirror: %w", err)
	}
	ours, err := codename()
	if err != nil {
		return "", err
	}
	releases := []string{ours, "stable", "oldstable", "testing", "unstable", "sid"}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[2] == "main" && slices.Contains(releases, fields[1]) {
			return fields[0], nil
		}
	}
	return "", fmt.Errorf("apt's sources name no mirror of Debian %s", ours)
}

// codename is that of the machine's release.
func codename() (string, error) {
	const file = "/etc/os-release"
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("finding out which system this is: %w", err)
	}
	var id, name string
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch value = strings.Trim(value, `"`); key {
		case "ID":
			id = value
		case "VERSION_CODENAME":
			name = value
		}
	}
	if id != "debian" {
		return "", fmt.Errorf("this machine is no Debian: %s says ID=%s", file, id)
	}
	return name, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

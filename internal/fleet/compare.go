// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// Base is a tree of generated files to compare with: environment → content of its values file.
type Base map[string][]byte

// BaseFromFolder reads the tree that is in a folder; a folder that there is not is an empty tree.
func BaseFromFolder(dir string) (Base, error) {
	out := Base{}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*", ValuesFile))
	if err != nil {
		return nil, fmt.Errorf("reading the tree to compare with: %w", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the tree to compare with: %w", err)
		}
		out.add(file, content)
	}
	return out, nil
}

// BaseFromGit reads the tree as it is at a revision, for example origin/main.
func BaseFromGit(ctx context.Context, dir, revision string) (Base, error) {
	if strings.HasPrefix(revision, "-") {
		return nil, fmt.Errorf("%q is no revision", revision)
	}
	// git works in a folder that exists in any case; the tree may be new.
	there := filepath.Dir(filepath.Clean(dir))
	command := exec.CommandContext(ctx, "git", "archive", "--format=tar", revision, "--", filepath.Base(filepath.Clean(dir)))
	command.Dir = there
	var text, failed bytes.Buffer
	command.Stdout, command.Stderr = &text, &failed
	if err := command.Run(); err != nil {
		if strings.Contains(failed.String(), "did not match any files") {
			return Base{}, nil
		}
		return nil, fmt.Errorf("asking git for %s at %s: %w: %s", dir, revision, err, strings.TrimSpace(failed.String()))
	}
	out := Base{}
	archive := tar.NewReader(&text)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading what git archived: %w", err)
		}
		if header.Typeflag != tar.TypeReg || path.Base(header.Name) != ValuesFile {
			continue
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return nil, fmt.Errorf("reading what git archived: %w", err)
		}
		out.add(header.Name, content)
	}
}

func (b Base) add(file string, content []byte) {
	if bytes.HasPrefix(content, []byte(headerMark)) {
		folder := filepath.Dir(file)
		b[filepath.Base(filepath.Dir(folder))+"/"+filepath.Base(folder)] = content
	}
}

// KeyChange is one change that a number of environments have in common.
type KeyChange struct {
	Key string `json:"key"`
	// Before and After are shown on one line; secrets are masked. Null is a key that there was not, or is not any more.
	Before       *string       `json:"before"`
	After        *string       `json:"after"`
	Source       values.Origin `json:"source"`
	Environments []string      `json:"environments"`
}

// compare finds what is another value than in the base. Added environments are not compared key by key.
func (w *Whole) compare(base Base) (changes []KeyChange, affected, added, removed []string, err error) {
	type identity struct{ key, before, after string }
	places := map[identity]int{}
	now := map[string]bool{}
	for _, r := range w.Resolved {
		now[r.Name()] = true
		content, known := base[r.Name()]
		if !known {
			added = append(added, r.Name())
			continue
		}
		if bytes.Equal(content, w.YAML(r)) {
			continue
		}
		affected = append(affected, r.Name())
		before, err := values.ParseDefaults("before", r.Name(), content)
		if err != nil {
			return nil, nil, nil, nil, fmt.Errorf("reading the generated values to compare with: %w", err)
		}
		for key, pair := range differences(before.Root(), r.Values) {
			id := identity{key, pair[0].OneLine(), pair[1].OneLine()}
			at, known := places[id]
			if !known {
				at = len(changes)
				places[id] = at
				changes = append(changes, KeyChange{Key: key, Before: w.shownOrNil(key, pair[0]), After: w.shownOrNil(key, pair[1]), Source: pair[1].Origin()})
			}
			changes[at].Environments = append(changes[at].Environments, r.Name())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(base)) {
		if !now[name] && !w.failed(name) {
			removed = append(removed, name)
		}
	}
	slices.SortFunc(changes, func(a, b KeyChange) int {
		return cmp.Or(cmp.Compare(len(b.Environments), len(a.Environments)), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Environments[0], b.Environments[0]))
	})
	return changes, affected, added, removed, nil
}

// failed tells environments that exist and could not be made.
func (w *Whole) failed(name string) bool {
	client, stage, _ := strings.Cut(name, "/")
	return w.Find(client, stage) != nil
}

func (f *Fleet) shownOrNil(key string, n *values.Node) *string {
	if n == nil {
		return nil
	}
	text := f.Shown(key, n)
	return &text
}

// differences are the leaves that two trees have otherwise; a missing one is nil.
func differences(before, after *values.Node) map[string][2]*values.Node {
	out := map[string][2]*values.Node{}
	before.Walk(func(path []string, leaf *values.Node) bool {
		out[values.JoinPath(path)] = [2]*values.Node{leaf, nil}
		return true
	})
	after.Walk(func(path []string, leaf *values.Node) bool {
		key := values.JoinPath(path)
		pair := out[key]
		if pair[0] != nil && pair[0].Equal(leaf) {
			delete(out, key)
			return true
		}
		out[key] = [2]*values.Node{pair[0], leaf}
		return true
	})
	return out
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// Base is a tree of generated files to compare with: environment → content of its values file.
type Base map[string][]byte

// BaseFromFolder reads the tree in a folder; a missing folder is an empty tree.
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
		return nil, fmt.Errorf("%q is not a revision", revision)
	}
	// git runs in a folder that always exists; the tree may be new.
	there := filepath.Dir(filepath.Clean(dir))
	command := exec.CommandContext(ctx, "git", "archive", "--format=tar", revision, "--", filepath.Base(filepath.Clean(dir)))
	command.Dir = there
	var text, failed bytes.Buffer
	command.Stdout, command.Stderr = &text, &failed
	if err := command.Run(); err != nil {
		if strings.Contains(failed.String(), "did not match any files") {
			return Base{}, nil
		}
		return nil, fmt.Errorf("reading %s at %s from git: %w: %s", dir, revision, err, strings.TrimSpace(failed.String()))
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
	// Before and After are printed on one line; secrets are masked. Null is a key that did not exist before, or does not exist now.
	Before       *string       `json:"before"`
	After        *string       `json:"after"`
	Source       values.Origin `json:"source"`
	Environments []string      `json:"environments"`
}

func (f *Fleet) shownOrNil(key string, n *values.Node) *string {
	if n == nil {
		return nil
	}
	text := f.Shown(key, n)
	return &text
}

// differences are the leaves that differ between two trees; a missing leaf is nil.
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

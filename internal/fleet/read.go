// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// Fleet is a fleet as described. Safe for concurrent use after it has been read.
type Fleet struct {
	// Dir is the folder of fleet.yaml, as given.
	Dir string
	Description
	// Environments sorted by client, then by stage in the order of promotion.
	Environments []*Environment
	// Strays are folders that look like a client's folder but have no client.yaml.
	Strays []string

	rules    *values.Rules
	chart    *Chart
	layers   sync.Map // path → *layerFile
	prefixes sync.Map // paths of shared layers → *values.Node
}

// Environment is one stage of one client.
type Environment struct {
	Client string            `json:"client"`
	Stage  string            `json:"stage"`
	Tags   map[string]string `json:"tags,omitempty"`
	Facts  map[string]string `json:"facts,omitempty"`
	// Wave is the position of its wave in the rollout, from 0.
	Wave     int    `json:"wave"`
	WaveName string `json:"wave_name"`

	// nested are texts and numbers in objects of the environment's Terraform variables: "cluster.context".
	nested map[string]string
}

// Name is "client-a/prod".
func (e *Environment) Name() string { return e.Client + "/" + e.Stage }

// Labels are what selectors match: the tags, client and stage.
func (e *Environment) Labels() labels.Set {
	out := make(labels.Set, len(e.Tags)+2)
	maps.Copy(out, e.Tags)
	out["client"], out["stage"] = e.Client, e.Stage
	return out
}

// clientFile is the content of client.yaml.
type clientFile struct {
	Tags   texts                 `yaml:"tags"`
	Facts  texts                 `yaml:"facts"`
	Stages map[string]*stageSpec `yaml:"stages"`
}

type stageSpec struct {
	Tags  texts `yaml:"tags"`
	Facts texts `yaml:"facts"`
}

// clientFileName identifies the folder of a client.
const clientFileName = "client.yaml"

// Open reads only the description. Errors: *DescriptionError.
func Open(dir string) (*Fleet, error) {
	file := filepath.Join(dir, FileName)
	content, err := readFile(file)
	if err != nil {
		return nil, unreadable(file, err)
	}
	return openContent(dir, content)
}

func openContent(dir string, content []byte) (*Fleet, error) {
	file := filepath.Join(dir, FileName)
	description, err := parseDescription(file, content)
	if err != nil {
		return nil, err
	}
	rules, err := description.rules()
	if err != nil {
		return nil, &DescriptionError{File: file, Reason: "lists: " + err.Error(), Err: err}
	}
	return &Fleet{Dir: dir, Description: *description, rules: rules}, nil
}

func unreadable(file string, err error) *DescriptionError {
	reason := err.Error()
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		reason = pathError.Err.Error()
	}
	if errors.Is(err, fs.ErrNotExist) {
		reason = "there is no such file"
	}
	return &DescriptionError{File: file, Reason: reason, Err: err}
}

// Read reads the description and all clients. Errors: *DescriptionError.
func Read(ctx context.Context, dir string) (*Fleet, error) {
	f, err := Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := f.clientNames(ctx, statFile)
	if err != nil {
		return nil, err
	}
	clients := make([][]*Environment, len(names))
	if err := parallel(ctx, len(names), func(i int) error {
		environments, err := f.readClient(names[i], &inputs{})
		clients[i] = environments
		return err
	}); err != nil {
		return nil, err
	}
	f.Environments = slices.Concat(clients...)
	return f, nil
}

// parallel calls do for 0 to n-1 on all processors, and returns the error of the smallest number.
func parallel(ctx context.Context, n int, do func(int) error) error {
	workers := min(n, runtime.GOMAXPROCS(0))
	failed := make([]error, workers)
	at := make([]int, workers)
	group, ctx := errgroup.WithContext(ctx)
	for worker := range workers {
		group.Go(func() error {
			for i := worker; i < n; i += workers {
				if err := ctx.Err(); err != nil {
					return err
				}
				// The other workers continue, so that the reported error is always the same.
				if failed[worker] = do(i); failed[worker] != nil {
					at[worker] = i
					break
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var first error
	smallest := n
	for worker, err := range failed {
		if err != nil && at[worker] < smallest {
			first, smallest = err, at[worker]
		}
	}
	return first
}

// statFile reports whether a file exists.
func statFile(path string) error {
	_, err := os.Stat(path)
	return err
}

// clientNames lists the folders of clients, including those behind symbolic links, and records strays. stat reports whether a
// file exists.
func (f *Fleet) clientNames(ctx context.Context, stat func(path string) error) ([]string, error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return nil, unreadable(f.Dir, err)
	}
	// Folders of layers or generated files are not clients.
	first, _, _ := strings.Cut(filepath.ToSlash(f.Output), "/")
	shared := map[string]bool{first: true}
	for _, layer := range f.Layers {
		if first, _, inFolder := strings.Cut(filepath.ToSlash(layer.File), "/"); inFolder && !strings.Contains(first, "{") {
			shared[first] = true
		}
	}
	entries = slices.DeleteFunc(entries, func(entry fs.DirEntry) bool {
		if shared[entry.Name()] || strings.HasPrefix(entry.Name(), ".") {
			return true
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			target, err := os.Stat(filepath.Join(f.Dir, entry.Name()))
			return err != nil || !target.IsDir()
		}
		return !entry.IsDir()
	})
	found := make([]error, len(entries))
	if err := parallel(ctx, len(entries), func(i int) error {
		found[i] = stat(filepath.Join(f.Dir, entries[i].Name(), clientFileName))
		return nil
	}); err != nil {
		return nil, err
	}
	var names []string
	for i, entry := range entries {
		switch {
		case errors.Is(found[i], fs.ErrNotExist):
			f.Strays = append(f.Strays, entry.Name())
			continue
		case found[i] != nil:
			return nil, unreadable(filepath.Join(f.Dir, entry.Name(), clientFileName), found[i])
		case !namePattern.MatchString(entry.Name()):
			return nil, &DescriptionError{
				File:   filepath.Join(f.Dir, entry.Name()),
				Reason: "a client's name is lower-case letters, digits and hyphens, at most 63",
			}
		}
		names = append(names, entry.Name())
	}
	return names, nil
}

// readClient reads a client's description; the files that it depends on are added to used.
func (f *Fleet) readClient(name string, used *inputs) ([]*Environment, error) {
	file := filepath.Join(f.Dir, name, clientFileName)
	content, err := used.read(file)
	if err != nil {
		return nil, unreadable(file, err)
	}
	var client clientFile
	if err := decode(file, content, &client); err != nil {
		return nil, err
	}
	for _, stage := range slices.Sorted(maps.Keys(client.Stages)) {
		if !slices.Contains(f.Stages, stage) {
			return nil, &DescriptionError{
				File: file, Reason: fmt.Sprintf("stage %q is none of the fleet's: %s", stage, strings.Join(f.Stages, ", ")),
			}
		}
	}
	var environments []*Environment
	for _, stage := range f.Stages {
		spec, listed := client.Stages[stage]
		if len(client.Stages) > 0 && !listed {
			continue
		}
		if spec == nil {
			spec = &stageSpec{}
		}
		e := &Environment{Client: name, Stage: stage, Tags: map[string]string{}, Facts: map[string]string{}}
		maps.Copy(e.Tags, client.Tags)
		maps.Copy(e.Tags, spec.Tags)
		maps.Copy(e.Facts, client.Facts)
		if f.Tfvars != "" {
			found, err := f.readVariables(e, used)
			if err != nil {
				return nil, err
			}
			if !found && !listed {
				continue
			}
		}
		maps.Copy(e.Facts, spec.Facts)
		if err := f.complete(e, file); err != nil {
			return nil, err
		}
		environments = append(environments, e)
	}
	return environments, nil
}

// complete adds the facts of the description, checks tags, and finds the wave.
func (f *Fleet) complete(e *Environment, file string) error {
	refuse := func(format string, arguments ...any) error {
		return &DescriptionError{File: file, Reason: fmt.Sprintf("stage %s: ", e.Stage) + fmt.Sprintf(format, arguments...)}
	}
	for _, reserved := range []string{"client", "stage", "service", "wave"} {
		if _, taken := e.Tags[reserved]; taken {
			return refuse("%q cannot be a tag, since every environment has it already", reserved)
		}
		if value, taken := e.Facts[reserved]; taken && value != e.Client && value != e.Stage {
			return refuse("%s is %q here, and this is %s", reserved, value, e.Name())
		}
		delete(e.Facts, reserved) // Terraform variables repeat them
	}
	made := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(f.Facts)) {
		if _, given := e.Facts[name]; given {
			continue
		}
		text, err := f.expand(e, f.Facts[name])
		var missing *MissingError
		if errors.As(err, &missing) && f.Facts[missing.Name] != "" {
			return refuse("fact %s is made of fact %s; facts in %s are made of tags and of what the client gives, not of each other", name,
				missing.Name, FileName)
		}
		if err != nil {
			return refuse("fact %s: %v", name, err)
		}
		made[name] = text
	}
	maps.Copy(e.Facts, made)
	if len(f.Waves) == 0 {
		e.Wave, e.WaveName = slices.Index(f.Stages, e.Stage), e.Stage
		return nil
	}
	set := e.Labels()
	for i, wave := range f.Waves {
		if wave.Select.matches(set) {
			e.Wave, e.WaveName = i, wave.Name
			return nil
		}
	}
	return refuse("no wave selects it; give the last wave of %s no selector", FileName)
}

// MissingError is a placeholder that no tag or fact of an environment defines.
type MissingError struct{ Environment, Text, Name string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("%q needs {%s}, and %s has no such tag or fact", e.Text, e.Name, e.Environment)
}

// Expand replaces the placeholders of a text. Error: *MissingError.
func (f *Fleet) Expand(e *Environment, text string) (string, error) { return f.expand(e, text) }

// expandPath is expand for the path of a file. A value is one element of a path or a part of one, so that a tag cannot lead out of the
// fleet's folder.
func (f *Fleet) expandPath(e *Environment, path string) (string, error) {
	for _, found := range placeholder.FindAllStringSubmatch(path, -1) {
		if value, ok := f.lookup(e, found[1]); ok && (value == "" || value == "." || value == ".." || strings.ContainsAny(value, `/\`)) {
			return "", &DescriptionError{File: filepath.Join(f.Dir, e.Client, clientFileName),
				Reason: fmt.Sprintf("%s is %q, which cannot be a part of the file name %q", found[1], value, path)}
		}
	}
	return f.expand(e, path)
}

func (f *Fleet) expand(e *Environment, text string) (string, error) {
	if strings.IndexByte(text, '{') < 0 {
		return text, nil
	}
	var out strings.Builder
	rest := text
	for {
		place := placeholder.FindStringSubmatchIndex(rest)
		if place == nil {
			out.WriteString(rest)
			return out.String(), nil
		}
		name := rest[place[2]:place[3]]
		value, ok := f.lookup(e, name)
		if !ok {
			return "", &MissingError{Environment: e.Name(), Text: text, Name: name}
		}
		out.WriteString(rest[:place[0]])
		out.WriteString(value)
		rest = rest[place[1]:]
	}
}

func (f *Fleet) lookup(e *Environment, name string) (string, bool) {
	switch name {
	case "client":
		return e.Client, true
	case "stage":
		return e.Stage, true
	case "service":
		return f.Service, true
	case "wave":
		return e.WaveName, true
	}
	if value, ok := e.Tags[name]; ok {
		return value, true
	}
	value, ok := e.Facts[name]
	return value, ok
}

// Find returns an environment, or nil.
func (f *Fleet) Find(client, stage string) *Environment {
	for _, e := range f.Environments {
		if e.Client == client && e.Stage == stage {
			return e
		}
	}
	return nil
}

// Select lists the environments that a selector matches.
func (f *Fleet) Select(selector Selector) []*Environment {
	var out []*Environment
	for _, e := range f.Environments {
		if selector.matches(e.Labels()) {
			out = append(out, e)
		}
	}
	return out
}

// WaveNames are the names of the waves in order.
func (f *Fleet) WaveNames() []string {
	if len(f.Waves) == 0 {
		return slices.Clone(f.Stages)
	}
	names := make([]string, len(f.Waves))
	for i, wave := range f.Waves {
		names[i] = wave.Name
	}
	return names
}

// ReadClient reads the description and one client. Errors: *DescriptionError, ErrNoEnvironment for a client that does not exist.
func ReadClient(ctx context.Context, dir, client string) (*Fleet, error) {
	f, err := Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := f.clientNames(ctx, statFile)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, client) {
		return nil, ErrNoEnvironment(f, client, "", names...)
	}
	f.Environments, err = f.readClient(client, &inputs{})
	return f, err
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// Resolved are the finished values of an environment.
type Resolved struct {
	*Environment
	// Values hold no nulls.
	Values *values.Node
	// Findings in this environment, among them those in the files that it is made of.
	Findings []Finding

	layers []*values.Node // as laid, the chart's defaults first where there is a chart
	files  []*layerFile
	inline []inlineLayer
}

// inlineLayer is a layer that stands in the description, with its placeholders filled in for an environment.
type inlineLayer struct {
	position int
	root     *values.Node
}

// layerFile is a file of values, read once for all environments that use it.
type layerFile struct {
	once     sync.Once
	path     string
	layer    *values.Layer // nil where there is no such file
	sum      sum
	err      error
	findings []Finding
}

// layerAt reads a layer's file.
func (f *Fleet) layerAt(position int, path string) *layerFile {
	spec := &f.Layers[position]
	found, _ := f.layers.LoadOrStore(spec.Name+"\x00"+path, &layerFile{})
	file, ok := found.(*layerFile)
	if !ok {
		return &layerFile{path: path, err: fmt.Errorf("%s is in the cache of layers as a %T", path, found)}
	}
	file.once.Do(func() {
		file.path = path
		used := &inputs{}
		content, err := used.read(path)
		if len(used.files) > 0 {
			file.sum = used.files[0].Sum
		}
		switch {
		case errors.Is(err, fs.ErrNotExist) && spec.Optional:
			return
		case err != nil:
			file.err = fmt.Errorf("layer %s: %w", spec.Name, unreadable(path, err))
			return
		}
		if file.layer, file.err = values.ParseLayer(spec.Name, path, content); file.err != nil {
			return
		}
		if file.err = f.rules.Check(file.layer); file.err != nil {
			return
		}
		file.findings = f.checkLayer(position, file.layer)
	})
	return file
}

// Resolve makes an environment's values. Errors are those of files: *values.FileError, *DescriptionError, *MissingError.
func (f *Fleet) Resolve(e *Environment) (*Resolved, error) { return f.resolve(e, &inputs{}) }

func (f *Fleet) resolve(e *Environment, used *inputs) (*Resolved, error) {
	out := &Resolved{Environment: e, layers: make([]*values.Node, 0, len(f.Layers)+1)}
	include := true
	if f.chart != nil {
		out.layers = append(out.layers, f.chart.defaults)
		include = f.Chart.Defaults == "include"
	}
	var merged *values.Node
	var prefix strings.Builder // the files of all layers so far, while all clients may share them
	shared := true
	set := e.Labels()
	for i := range f.Layers {
		spec := &f.Layers[i]
		if !spec.Select.matches(set) {
			continue
		}
		shared = shared && !spec.perClient
		root, err := f.layerRoot(i, e, used, out, &prefix)
		if err != nil {
			return nil, err
		}
		if root == nil {
			continue
		}
		out.layers = append(out.layers, root)
		if !shared {
			merged = f.rules.Lay(merged, root)
			continue
		}
		if known, ok := f.prefixes.Load(prefix.String()); ok {
			if tree, ok := known.(*values.Node); ok {
				merged = tree
				continue
			}
		}
		merged = f.rules.Lay(merged, root)
		f.prefixes.Store(prefix.String(), merged)
	}
	var defaults *values.Node
	if f.chart != nil {
		defaults = f.chart.defaults
	}
	finished, conflicts := f.rules.Finish(defaults, merged, include)
	out.Values = finished
	f.checkEnvironment(out, conflicts)
	return out, nil
}

// layerRoot is the content of one layer for an environment, nil where an optional file is missing.
func (f *Fleet) layerRoot(position int, e *Environment, used *inputs, out *Resolved, prefix *strings.Builder) (*values.Node, error) {
	spec := &f.Layers[position]
	if spec.inline != nil {
		root, err := spec.inline.Root().WithTexts(func(text string) (string, error) { return f.expand(e, text) })
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", spec.Name, err)
		}
		out.inline = append(out.inline, inlineLayer{position, root})
		return root, nil
	}
	name, err := f.expandPath(e, spec.File)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", spec.Name, err)
	}
	path := filepath.Join(f.Dir, filepath.FromSlash(name))
	file := f.layerAt(position, path)
	used.note(path, file.sum)
	if file.err != nil {
		return nil, file.err
	}
	if file.layer == nil {
		return nil, nil
	}
	prefix.WriteString(spec.Name)
	prefix.WriteByte(0)
	prefix.WriteString(path)
	prefix.WriteByte(0)
	out.files = append(out.files, file)
	return file.layer.Root(), nil
}

// Explain tells what each layer says of a value of a resolved environment, last layer first.
func (f *Fleet) Explain(r *Resolved, path string) []values.Setting {
	return f.rules.Explain(path, r.layers)
}

// Engine is the version of the rules by which finished values are made; it stands in each generated file, so that a change of
// meaning is a change that reviewers see.
const Engine = 1

// header stands at the top of generated files.
func (f *Fleet) header() []byte {
	return fmt.Appendf(nil, "# Generated by slipway (engine %d). Do not edit: change the layers of values, then run `slipway generate`.\n", Engine)
}

// headerMark is how a generated file is recognized.
const headerMark = "# Generated by slipway (engine "

// YAML is the content of the environment's generated values file.
func (f *Fleet) YAML(r *Resolved) []byte {
	return r.Values.AppendYAML(append(make([]byte, 0, 4096), f.header()...))
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

import (
	"errors"

	yamlnode "go.yaml.in/yaml/v3"
)

// LayerOf makes a layer of values inside another file. Error: *FileError.
func LayerOf(name, path string, at *yamlnode.Node) (*Layer, error) {
	refused := func(err error) (*Layer, error) {
		var file *FileError
		if errors.As(err, &file) {
			file.Path = path
			return nil, file
		}
		return nil, &FileError{Path: path, Line: at.Line, Reason: err.Error(), Err: err}
	}
	if at.Kind != yamlnode.MappingNode {
		return refused(errors.New("values are a map of keys"))
	}
	text, err := yamlnode.Marshal(at)
	if err != nil {
		return refused(err)
	}
	data, err := Parse(text)
	if err != nil {
		return refused(err)
	}
	layer := &Layer{Name: name, Path: path}
	builder := &treeBuilder{layer: layer, strict: true, aliases: map[*yamlnode.Node]*Node{}}
	if layer.root, err = builder.build(at, data, nil); err != nil {
		return refused(err)
	}
	return layer, nil
}

// YAML writes plain data as AppendYAML does.
func YAML(v map[string]any) ([]byte, error) {
	n, err := TreeOf(nil, v)
	if err != nil {
		return nil, err
	}
	return n.AppendYAML(nil), nil
}

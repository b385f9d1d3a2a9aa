// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	yamlnode "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/terraform-provider-slipway/internal/regularfile"
)

// Layer is a file of values in which the place of every value is known.
type Layer struct {
	// Name of the layer, for example "client".
	Name string
	// Path of the file, for people.
	Path string
	// Traps are scalars with another meaning than they seem to have.
	Traps []Trap

	root *Node
}

// Root of the values; an empty file has an empty map.
func (l *Layer) Root() *Node {
	if l == nil {
		return nil
	}
	return l.root
}

// Trap is an unquoted scalar that YAML reads as another value than written: "1.10" as the number 1.1, "on" as true,
// "0123" as 83. It has the value that Helm reads.
type Trap struct {
	Path   string
	Line   int
	Column int
	Text   string // as written
	Means  string // as YAML reads it, for example "the boolean true"
}

// MaxDepth is how deep maps and lists may be nested.
const MaxDepth = 200

// maxExact is the largest integer that Helm's templates get without loss.
const maxExact = int64(1) << 53

// ReadLayer reads a file as ParseLayer does. Errors are *FileError.
func ReadLayer(name, path string) (*Layer, error) {
	content, err := regularfile.Read(path, MaxSize)
	if err != nil {
		return nil, unreadable(path, err)
	}
	return ParseLayer(name, path, content)
}

func unreadable(path string, err error) *FileError {
	reason := err.Error()
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		reason = pathError.Err.Error()
	}
	if errors.Is(err, fs.ErrNotExist) {
		reason = "there is no such file"
	}
	return &FileError{Path: path, Reason: reason, Err: err}
}

// ParseLayer reads values with Helm's YAML rules and records the place of each. Values that would not reach a chart as written are
// errors of type *FileError with their line: what Parse refuses, and also two keys that become one ("1" and 1), tags other than
// those of plain data, integers beyond 2^53 (Helm reads numbers as floats), nulls in lists (final values contain none), nesting beyond
// MaxDepth, and a text that YAML 1.1 and YAML 1.2 parse differently.
func ParseLayer(name, path string, content []byte) (*Layer, error) {
	return parseLayer(name, path, content, true)
}

// ParseDefaults reads a chart's own values.yaml. It refuses less than ParseLayer, since a chart is as it is.
func ParseDefaults(name, path string, content []byte) (*Layer, error) {
	return parseLayer(name, path, content, false)
}

func parseLayer(name, path string, content []byte, strict bool) (*Layer, error) {
	layer := &Layer{Name: name, Path: path}
	if err := layer.parse(content, strict); err != nil {
		var fileError *FileError
		if errors.As(err, &fileError) {
			fileError.Path = path
			return nil, fileError
		}
		return nil, &FileError{Path: path, Reason: err.Error(), Err: err}
	}
	return layer, nil
}

func (l *Layer) parse(content []byte, strict bool) error {
	data, err := Parse(content)
	if err != nil {
		var refused *FileError
		if errors.As(err, &refused) && refused.Line == 0 {
			refused.Line = locate(content, refused.Reason)
		}
		return err
	}
	var document yamlnode.Node
	if err := yamlnode.Unmarshal(content, &document); err != nil {
		refused := yamlError(err)
		refused.Reason = "YAML 1.1, which Helm reads, allows this text, and YAML 1.2 does not: " + refused.Reason
		return refused
	}
	builder := &treeBuilder{layer: l, strict: strict, aliases: map[*yamlnode.Node]*Node{}}
	if len(document.Content) == 0 {
		l.root = &Node{form: formMap, layer: l}
		return nil
	}
	root := document.Content[0]
	if root.Kind == yamlnode.ScalarNode {
		// A document of nothing but a null.
		l.root = &Node{form: formMap, layer: l}
		return nil
	}
	l.root, err = builder.build(root, data, nil)
	return err
}

// treeBuilder combines the data from Helm's parser with the places from the other parser.
type treeBuilder struct {
	layer   *Layer
	strict  bool
	aliases map[*yamlnode.Node]*Node
}

func refuse(at *yamlnode.Node, format string, arguments ...any) error {
	return &FileError{Line: at.Line, Reason: fmt.Sprintf(format, arguments...)}
}

var plainTags = map[string]bool{
	"!!str": true, "!!int": true, "!!float": true, "!!bool": true, "!!null": true, "!!map": true, "!!seq": true, "!!merge": true,
	"!!timestamp": true,
}

func (b *treeBuilder) build(at *yamlnode.Node, data any, path []string) (*Node, error) {
	if at.Kind == yamlnode.AliasNode {
		if made := b.aliases[at.Alias]; made != nil {
			return made, nil
		}
		made, err := b.build(at.Alias, data, path)
		b.aliases[at.Alias] = made
		return made, err
	}
	if b.strict {
		if len(path) > MaxDepth {
			return nil, refuse(at, "maps and lists are nested deeper than %d levels", MaxDepth)
		}
		if at.Style&yamlnode.TaggedStyle != 0 && !plainTags[at.ShortTag()] {
			return nil, refuse(at, "the tag %s has no meaning in values; write the value without it", at.Tag)
		}
	}
	n := &Node{layer: b.layer, line: int32(at.Line), column: int32(at.Column)}
	switch data := data.(type) {
	case map[string]any:
		n.form = formMap
		return n, b.buildMap(n, at, data, path)
	case []any:
		n.form = formList
		return n, b.buildList(n, at, data, path)
	case nil:
		n.form, n.prunable = formNull, true
		if at.Kind != yamlnode.ScalarNode {
			return nil, b.ambiguous(at)
		}
		return n, nil
	default:
		n.form, n.scalar = formScalar, data
		if at.Kind != yamlnode.ScalarNode {
			return nil, b.ambiguous(at)
		}
		return n, b.checkScalar(at, data, path)
	}
}

func (b *treeBuilder) ambiguous(at *yamlnode.Node) error {
	return refuse(at, "YAML 1.1, which Helm reads, and YAML 1.2 take this text apart differently; write it with plain block lists and maps")
}

func (b *treeBuilder) buildList(n *Node, at *yamlnode.Node, data []any, path []string) error {
	if at.Kind != yamlnode.SequenceNode || len(at.Content) != len(data) {
		return b.ambiguous(at)
	}
	n.items = make([]*Node, len(data))
	for i, item := range data {
		below, err := b.build(at.Content[i], item, append(path, "[]"))
		if err != nil {
			return err
		}
		if below.form == formNull && b.strict {
			return refuse(at.Content[i], "an item of the list %s is null; final values hold no null: give it a value or remove it", JoinPath(path))
		}
		if b.strict && below.form == formMap {
			if key := nullIn(below); key != "" {
				return refuse(at.Content[i], "%s in an item of the list %s is null; Helm does not remove keys from list items, and final values "+
					"hold no null: leave the key out", key, JoinPath(path))
			}
		}
		n.items[i], n.prunable = below, n.prunable || below.prunable || removed(below)
	}
	return nil
}

// nullIn is the path of a null in a map.
func nullIn(n *Node) (found string) {
	n.Walk(func(path []string, leaf *Node) bool {
		if leaf.form == formNull {
			found = JoinPath(path)
		}
		return found == ""
	})
	return found
}

func (b *treeBuilder) buildMap(n *Node, at *yamlnode.Node, data map[string]any, path []string) error {
	if at.Kind != yamlnode.MappingNode {
		return b.ambiguous(at)
	}
	places := make(map[string]place, len(data))
	if err := b.collect(places, at, path, true); err != nil {
		return err
	}
	if len(places) != len(data) {
		return b.ambiguous(at)
	}
	n.keys = make([]string, 0, len(data))
	n.items = make([]*Node, len(data))
	for key := range data {
		n.keys = append(n.keys, key)
	}
	slices.Sort(n.keys)
	for i, key := range n.keys {
		from, known := places[key]
		if !known {
			return b.ambiguous(at)
		}
		below, err := b.build(from.value, data[key], append(path, key))
		if err != nil {
			return err
		}
		if from.value.Kind != yamlnode.AliasNode {
			// People look for the line of the key.
			below.line, below.column = int32(from.key.Line), int32(from.key.Column)
		}
		n.items[i], n.prunable = below, n.prunable || below.prunable
	}
	return nil
}

// place is the position of a key and its value.
type place struct{ key, value *yamlnode.Node }

// collect finds the keys of a map and, unless it has them itself, those that it merges in with "<<".
func (b *treeBuilder) collect(places map[string]place, at *yamlnode.Node, path []string, own bool) error {
	if at.Kind == yamlnode.AliasNode {
		at = at.Alias
	}
	var merged []*yamlnode.Node
	for i := 0; i+1 < len(at.Content); i += 2 {
		key, value := at.Content[i], at.Content[i+1]
		if key.Kind == yamlnode.ScalarNode && key.Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		name, err := b.keyName(key, path, own)
		if err != nil {
			return err
		}
		if _, exists := places[name]; !exists {
			places[name] = place{key, value}
		} else if own && b.strict {
			return refuse(key, "the key %q is defined twice in one map, in different spellings", name)
		}
	}
	for _, from := range merged {
		if from.Kind == yamlnode.AliasNode {
			from = from.Alias
		}
		sources := []*yamlnode.Node{from}
		if from.Kind == yamlnode.SequenceNode {
			sources = from.Content
		}
		for _, source := range sources {
			if err := b.collect(places, source, path, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyName is the key as Helm's parser reads it.
func (b *treeBuilder) keyName(key *yamlnode.Node, path []string, own bool) (string, error) {
	if key.Kind == yamlnode.AliasNode {
		key = key.Alias
	}
	if key.Kind != yamlnode.ScalarNode {
		return "", refuse(key, "a key is a list or a map; keys of values are texts")
	}
	if key.Style&explicitStyle != 0 || !maybeResolved(key.Value) {
		return key.Value, nil
	}
	asJSON, err := yaml.YAMLToJSON([]byte(key.Value + ": 0\n"))
	if err != nil {
		return "", refuse(key, "the key %q cannot be read: %s", key.Value, yamlError(err).Reason)
	}
	var read map[string]any
	if err := json.NewDecoder(bytes.NewReader(asJSON)).Decode(&read); err != nil || len(read) != 1 {
		return "", b.ambiguous(key)
	}
	for name := range read {
		if name != key.Value && own && b.strict {
			b.layer.Traps = append(b.layer.Traps, Trap{
				Path: JoinPath(append(path, name)), Line: key.Line, Column: key.Column, Text: key.Value, Means: fmt.Sprintf("the key %q", name),
			})
		}
		return name, nil
	}
	return key.Value, nil
}

// checkScalar refuses numbers that would not reach a chart as written, and records texts that are read as another type.
func (b *treeBuilder) checkScalar(at *yamlnode.Node, data any, path []string) error {
	if !b.strict {
		return nil
	}
	plain := at.Style&explicitStyle == 0
	switch data := data.(type) {
	case string:
		return nil
	case bool:
		if plain && !strings.EqualFold(at.Value, "true") && !strings.EqualFold(at.Value, "false") {
			b.trap(at, path, fmt.Sprintf("the boolean %t", data))
		}
		return nil
	case json.Number:
		return refuse(at, "%s is %s, a number with more digits than Helm keeps; write it in quotes", JoinPath(path), at.Value)
	case int64:
		if data > maxExact || data < -maxExact {
			return refuse(at, "%s is %s, a number with more digits than Helm keeps (integers up to 2^53 are exact); write it in quotes",
				JoinPath(path), at.Value)
		}
	case float64:
		if isInteger(at.Value) {
			return refuse(at, "%s is %s, a number with more digits than Helm keeps (integers up to 2^53 are exact); write it in quotes",
				JoinPath(path), at.Value)
		}
	}
	if text := numberText(data); plain && text != at.Value {
		b.trap(at, path, "the number "+text)
	}
	return nil
}

func (b *treeBuilder) trap(at *yamlnode.Node, path []string, means string) {
	b.layer.Traps = append(b.layer.Traps, Trap{Path: JoinPath(path), Line: at.Line, Column: at.Column, Text: at.Value, Means: means})
}

// maybeResolved reports that an unquoted text may be read as another type than a string.
func maybeResolved(text string) bool {
	if text == "" || strings.IndexByte("0123456789+-.~<", text[0]) >= 0 {
		return true
	}
	return len(text) <= 5 && isWord(text)
}

// isWord reports the words that YAML 1.1 reads as a boolean or null, in any case.
func isWord(text string) bool {
	switch strings.ToLower(text) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return true
	}
	return false
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package fleet reads the description of a fleet (the clients, their stages, and the layers of values that make up each
// environment), computes the final values of every environment, and reports errors and anomalies in them. It works offline and
// depends on the files only.
package fleet

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// FileName is the name of the description in the folder of the clients.
const FileName = "fleet.yaml"

// Description is the content of fleet.yaml. Paths in it are relative to the folder that it is in.
type Description struct {
	// Version of the format: 1.
	Version int `yaml:"version"`
	// Service is the name of what is deployed; generated objects are named after it.
	Service string `yaml:"service"`
	// Chart is the chart of the values. Without it, keys are not checked and there are no defaults.
	Chart *ChartSpec `yaml:"chart"`
	// Output is the folder of the generated tree; default "../environments".
	Output string `yaml:"output"`
	// Stages in the order of promotion.
	Stages []string `yaml:"stages"`
	// Layers of values: a later layer overrides an earlier one.
	Layers []LayerSpec `yaml:"layers"`
	// Facts of every environment; a client may override them. Placeholders are expanded.
	Facts texts `yaml:"facts"`
	// Tfvars is the pattern of files of Terraform variables whose texts, numbers and booleans are facts of an environment, for
	// example "{client}/{stage}.tfvars". A client that lists no stages has the stages for which there is such a file.
	Tfvars   string         `yaml:"tfvars"`
	Lists    []ListSpec     `yaml:"lists"`
	Locked   []LockSpec     `yaml:"locked"`
	Required []RequiredSpec `yaml:"required"`
	Identity IdentitySpec   `yaml:"identity"`
	Secrets  SecretSpec     `yaml:"secrets"`
	// Waves in the order in which a release reaches environments; an environment is in the first one that selects it. Without
	// waves, each stage is a wave.
	Waves      []WaveSpec      `yaml:"waves"`
	GitOps     *GitOpsSpec     `yaml:"gitops"`
	Prometheus *PrometheusSpec `yaml:"prometheus"`
}

type (
	// ChartSpec locates the chart: a path, or a repository with name and version.
	ChartSpec struct {
		Path       string `yaml:"path"`
		Repository string `yaml:"repository"`
		Name       string `yaml:"name"`
		Version    string `yaml:"version"`
		// Defaults is "include" (final values contain the chart's defaults; this is the default) or "omit".
		Defaults string `yaml:"defaults"`
	}

	// LayerSpec is one layer: a file per environment, or values in the description itself.
	LayerSpec struct {
		Name string `yaml:"name"`
		// File is a path with placeholders: {client}, {stage}, or any tag or fact.
		File string `yaml:"file"`
		// Optional layers may have no file.
		Optional bool `yaml:"optional"`
		// Select limits the layer to environments whose tags it matches.
		Select Selector `yaml:"select"`
		// Values replace a file. Strings in them may contain placeholders.
		Values yaml.Node `yaml:"values"`

		inline    *values.Layer
		perClient bool // the content may differ between clients
	}

	// ListSpec is a rule for a list: see values.ListRule.
	ListSpec struct {
		Path string   `yaml:"path"`
		Rule string   `yaml:"rule"`
		By   []string `yaml:"by"`
	}

	// LockSpec locks a key and all below it: layers after the named one may not set it.
	LockSpec struct {
		Path   string `yaml:"path"`
		Layer  string `yaml:"layer"`
		Reason string `yaml:"reason"`

		position int
	}

	// RequiredSpec is a key that a layer must set, to a value that is not empty. The chart's default does not count.
	RequiredSpec struct {
		Path   string   `yaml:"path"`
		Select Selector `yaml:"select"`
		Reason string   `yaml:"reason"`
	}

	// IdentitySpec defines what identifies a client, so that it is found in another client's values.
	IdentitySpec struct {
		Facts  []string `yaml:"facts"`
		Values []string `yaml:"values"`
		// Names of clients count, unless this is false.
		Names *bool `yaml:"names"`
		// Ignore are paths that are not checked.
		Ignore []string `yaml:"ignore"`
	}

	// SecretSpec lists paths whose values are not secrets although they look like secrets.
	SecretSpec struct {
		Ignore []string `yaml:"ignore"`
	}

	// WaveSpec is a group of environments that a release reaches at the same time.
	WaveSpec struct {
		Name   string   `yaml:"name"`
		Select Selector `yaml:"select"`
	}

	// GitOpsSpec configures Argo CD.
	GitOpsSpec struct {
		Repository string `yaml:"repository"` // address of the repository that holds the generated tree
		Revision   string `yaml:"revision"`   // default "main"
		// Root is the path of the fleet's repository root relative to the folder of fleet.yaml; default "..".
		Root string `yaml:"root"`
		// Namespace of Argo CD; default "argocd".
		Namespace string `yaml:"namespace"`
		// Project, with placeholder {stage} only; default "default".
		Project string `yaml:"project"`
		// Cluster is the name that Argo CD has the environment's cluster under, and TargetNamespace the namespace in it, with
		// placeholders; default "{context}" and "{namespace}".
		Cluster         string `yaml:"cluster"`
		TargetNamespace string `yaml:"target_namespace"`
		// Automated sync; without it, people or the pipeline sync.
		Automated bool `yaml:"automated"`
	}

	// PrometheusSpec configures monitoring.
	PrometheusSpec struct {
		// Target is host:port of the environment's Prometheus, with placeholders.
		Target string `yaml:"target"`
		// Scheme of the targets: http (default) or https.
		Scheme string `yaml:"scheme"`
		// RemoteWrite is the address that environments send to, in the variant without federation.
		RemoteWrite string `yaml:"remote_write"`
		// RuleLabels are put on PrometheusRule objects, so that the operator's ruleSelector finds them.
		RuleLabels map[string]string `yaml:"rule_labels"`
	}
)

// Selector is a Kubernetes label selector over tags, client and stage: "stage=prod,ring in (canary, early)". The empty selector
// matches all environments.
type Selector struct {
	Text string
	labels.Selector

	line int // in the description; 0 where it is not from there
}

// ParseSelector parses a selector.
func ParseSelector(text string) (Selector, error) {
	parsed, err := labels.Parse(text)
	if err != nil {
		return Selector{}, fmt.Errorf("%q is no selector such as stage=prod,ring in (canary, early): %w", text, err)
	}
	return Selector{Text: text, Selector: parsed}, nil
}

// UnmarshalYAML reads the selector's text.
func (s *Selector) UnmarshalYAML(at *yaml.Node) error {
	if at.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: a selector is a text such as stage=prod,ring in (canary, early)", at.Line)
	}
	parsed, err := ParseSelector(at.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", at.Line, err)
	}
	parsed.line = at.Line
	*s = parsed
	return nil
}

// texts are strings by name; none is empty.
type texts map[string]string

// UnmarshalYAML refuses a key without a value: it would select and expand as an empty string.
func (t *texts) UnmarshalYAML(at *yaml.Node) error {
	for i := 1; at.Kind == yaml.MappingNode && i < len(at.Content); i += 2 {
		if at.Content[i].Tag == "!!null" {
			return fmt.Errorf("line %d: %s has no value; set one, or remove the key", at.Content[i].Line, at.Content[i-1].Value)
		}
	}
	return at.Decode((*map[string]string)(t))
}

func (s Selector) matches(tags labels.Labels) bool { return s.Selector == nil || s.Matches(tags) }

// DescriptionError is a mistake in fleet.yaml or client.yaml.
type DescriptionError struct {
	File   string
	Line   int // 0 if unknown
	Reason string
	Err    error
}

func (e *DescriptionError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
	}
	return e.File + ": " + e.Reason
}

func (e *DescriptionError) Unwrap() error { return e.Err }

// Explain implements explain.Explainer.
func (e *DescriptionError) Explain() (happened, observed, advice string) {
	return "The description of the fleet is not valid.", e.Error() + ".", "Correct the file. Its format is in the guide \"From one " +
		"client to two hundred\"."
}

var (
	namePattern  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	stagePattern = regexp.MustCompile(`^[a-z0-9]{1,63}$`)
	placeholder  = regexp.MustCompile(`\{([a-zA-Z][a-zA-Z0-9_./-]*)\}`)
	yamlLine     = regexp.MustCompile(`line ([0-9]+): ?`)
)

// decode reads a description file and refuses unknown keys.
func decode(file string, content []byte, into any) error {
	for i, line := range bytes.Split(content, []byte("\n")) {
		if !utf8.Valid(line) {
			return &DescriptionError{File: file, Line: i + 1, Reason: "the text is no UTF-8"}
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	err := decoder.Decode(into)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		var more yaml.Node
		if err = decoder.Decode(&more); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			return &DescriptionError{File: file, Line: more.Line, Reason: "a second document begins; a description has only one"}
		}
	}
	reason, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors:\n")), "\n")
	out := &DescriptionError{File: file, Reason: strings.TrimSpace(reason), Err: err}
	if place := yamlLine.FindStringSubmatch(reason); place != nil {
		out.Line, _ = strconv.Atoi(place[1])
		out.Reason = strings.TrimSpace(strings.Replace(reason, place[0], "", 1))
	}
	if field, _, ok := strings.Cut(strings.TrimPrefix(out.Reason, "field "), " not found in type"); ok {
		out.Reason = fmt.Sprintf("there is no %q here", field)
	}
	if kinds := wrongKind.FindStringSubmatch(out.Reason); kinds != nil {
		out.Reason = fmt.Sprintf("%s is given where %s is needed", cmp.Or(foundKinds[kinds[1]], "something else"), neededKind(kinds[2]))
	}
	return out
}

var (
	wrongKind  = regexp.MustCompile("^cannot unmarshal !!([a-z]+)(?: `.*`)? into (\\S+)$")
	foundKinds = map[string]string{
		"seq": "a list", "map": "a map", "str": "a text", "int": "a number", "float": "a number", "bool": "true or false",
	}
)

// neededKind names the YAML kind that a Go type is decoded from.
func neededKind(goType string) string {
	switch goType = strings.TrimPrefix(goType, "*"); {
	case goType == "string":
		return "a text"
	case goType == "bool":
		return "true or false"
	case goType == "int":
		return "a whole number"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case goType == "map[string]string":
		return "a map of texts"
	}
	return "a map"
}

// parseDescription reads fleet.yaml; file is its path.
func parseDescription(file string, content []byte) (*Description, error) {
	d := &Description{}
	if err := decode(file, content, d); err != nil {
		return nil, err
	}
	if err := d.check(file); err != nil {
		var described *DescriptionError
		if errors.As(err, &described) {
			return nil, err
		}
		return nil, &DescriptionError{File: file, Reason: err.Error(), Err: err}
	}
	return d, nil
}

func (d *Description) check(file string) error {
	d.Output = filepath.Clean(cmp.Or(d.Output, "../environments"))
	switch {
	case filepath.IsAbs(d.Output) || d.Output == ".":
		return fmt.Errorf("output is %q; it is a folder relative to that of %s, and not the same", d.Output, FileName)
	case d.Version != 1:
		return fmt.Errorf("version is %d; this program reads version 1", d.Version)
	case !namePattern.MatchString(d.Service):
		return fmt.Errorf("service is %q; use lower-case letters, digits and hyphens", d.Service)
	case len(d.Stages) == 0:
		return errors.New("stages are missing: list them in the order of promotion")
	case len(d.Layers) == 0:
		return errors.New("layers are missing: list the files of values; a later layer overrides an earlier one")
	}
	for i, stage := range d.Stages {
		if !stagePattern.MatchString(stage) || slices.Contains(d.Stages[:i], stage) {
			return fmt.Errorf("stage %q: a stage's name is lower-case letters and digits, and is listed once", stage)
		}
	}
	if d.Chart != nil {
		d.Chart.Defaults = cmp.Or(d.Chart.Defaults, "include")
		if d.Chart.Defaults != "include" && d.Chart.Defaults != "omit" {
			return fmt.Errorf("chart.defaults is %q; use include or omit", d.Chart.Defaults)
		}
	}
	if rest := placeholder.ReplaceAllString(d.Tfvars, ""); strings.ContainsAny(rest, "{}") {
		return fmt.Errorf("tfvars: %q has a brace that belongs to no placeholder such as {client}", d.Tfvars)
	}
	if err := d.checkLayers(file); err != nil {
		return err
	}
	for i := range d.Locked {
		lock := &d.Locked[i]
		if lock.position = d.layer(lock.Layer); lock.position < 0 {
			return fmt.Errorf("locked %s names the layer %q, which there is not", lock.Path, lock.Layer)
		}
	}
	for i, wave := range d.Waves {
		if !namePattern.MatchString(wave.Name) || slices.ContainsFunc(d.Waves[:i], func(w WaveSpec) bool { return w.Name == wave.Name }) {
			return fmt.Errorf("wave %q: a wave's name is lower-case letters, digits and hyphens, and is listed once", wave.Name)
		}
		if wave.Name == "any" || wave.Name == "waves" {
			return fmt.Errorf("wave %q: the outputs of `slipway matrix` have something else under this name", wave.Name)
		}
	}
	if d.GitOps != nil {
		d.GitOps.Revision, d.GitOps.Root = cmp.Or(d.GitOps.Revision, "main"), cmp.Or(d.GitOps.Root, "..")
		d.GitOps.Namespace, d.GitOps.Project = cmp.Or(d.GitOps.Namespace, "argocd"), cmp.Or(d.GitOps.Project, "default")
		d.GitOps.Cluster, d.GitOps.TargetNamespace = cmp.Or(d.GitOps.Cluster, "{context}"), cmp.Or(d.GitOps.TargetNamespace, "{namespace}")
		if d.GitOps.Repository == "" {
			return errors.New("gitops.repository is missing: the address of the repository from which Argo CD reads")
		}
	}
	if d.Prometheus != nil {
		d.Prometheus.Scheme = cmp.Or(d.Prometheus.Scheme, "http")
		if d.Prometheus.Target == "" {
			return errors.New("prometheus.target is missing: host:port of an environment's Prometheus, with placeholders")
		}
	}
	return nil
}

func (d *Description) checkLayers(file string) error {
	for i := range d.Layers {
		layer := &d.Layers[i]
		hasValues := layer.Values.Kind != 0
		switch {
		case !namePattern.MatchString(layer.Name) || layer.Name == chartLayer || d.layer(layer.Name) < i:
			return fmt.Errorf("layer %q: a layer's name is lower-case letters, digits and hyphens, is not %q, and is listed once", layer.Name,
				chartLayer)
		case (layer.File == "") == !hasValues:
			return fmt.Errorf("layer %s needs either file or values", layer.Name)
		case filepath.IsAbs(layer.File):
			return fmt.Errorf("layer %s: the file %q must be relative to the folder of %s", layer.Name, layer.File, FileName)
		}
		if rest := placeholder.ReplaceAllString(layer.File, ""); strings.ContainsAny(rest, "{}") {
			return fmt.Errorf("layer %s: the file %q has a brace that belongs to no placeholder such as {client}", layer.Name, layer.File)
		}
		layer.perClient = hasValues
		for _, found := range placeholder.FindAllStringSubmatch(layer.File, -1) {
			if found[1] == "client" {
				layer.perClient = true
			}
		}
		if hasValues {
			made, err := values.LayerOf(layer.Name, file, &layer.Values)
			var refused *values.FileError
			if errors.As(err, &refused) {
				return &DescriptionError{File: file, Line: refused.Line, Reason: fmt.Sprintf("layer %s: %s", layer.Name, refused.Reason), Err: err}
			}
			if err != nil {
				return err
			}
			layer.inline = made
		}
	}
	return nil
}

// layer is the position of a layer, or -1.
func (d *Description) layer(name string) int {
	return slices.IndexFunc(d.Layers, func(l LayerSpec) bool { return l.Name == name })
}

// rules are the list rules.
func (d *Description) rules() (*values.Rules, error) {
	rules := make([]values.ListRule, len(d.Lists))
	for i, list := range d.Lists {
		rules[i] = values.ListRule{Path: list.Path, How: list.Rule, Keys: list.By}
	}
	return values.NewRules(rules)
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// ErrNoEnvironment is an environment that the fleet does not have; stage is empty where the client is missing. clients are the
// names of all clients, where f does not have them.
func ErrNoEnvironment(f *Fleet, client, stage string, clients ...string) *explain.Error {
	missing := "client " + client
	if stage != "" {
		missing = fmt.Sprintf("environment %s/%s", client, stage)
	}
	err := &explain.Error{Happened: fmt.Sprintf("The fleet in %s has no %s.", f.Dir, missing)}
	var stages []string
	listed := len(clients) > 0
	for _, environment := range f.Environments {
		if environment.Client == client {
			stages = append(stages, environment.Stage)
		}
		if !listed && (len(clients) == 0 || clients[len(clients)-1] != environment.Client) {
			clients = append(clients, environment.Client)
		}
	}
	if len(stages) > 0 {
		err.Observed = fmt.Sprintf("%s has the stages %s.", client, strings.Join(stages, ", "))
		err.Advice = "Name one of them."
		return err
	}
	err.Observed = fmt.Sprintf("It has %s.", plural(len(clients), "client"))
	err.Advice = "Name a client with a folder and a client.yaml."
	if nearest := values.Nearest(client, clients); nearest != "" {
		err.Advice = fmt.Sprintf("Did you mean %s?", nearest)
	}
	return err
}

// NoValueError is a key that an environment does not have.
type NoValueError struct{ Environment, Key, Nearest string }

func (e *NoValueError) Error() string {
	text := fmt.Sprintf("%s has no value %s, and no layer names it", e.Environment, e.Key)
	if e.Nearest != "" {
		text += fmt.Sprintf(" (did you mean %s?)", e.Nearest)
	}
	return text
}

// Explanation is where a value comes from.
type Explanation struct {
	Environment string `json:"environment"`
	Key         string `json:"key"`
	// Value as YAML on one line; secrets are masked. It is null where a layer removes the key.
	Value *string `json:"value"`
	// Sources, last layer first.
	Sources []Source `json:"sources"`
}

// Source is what one layer sets.
type Source struct {
	values.Origin
	// Effect is one of those in package values, for example "sets" or "is overridden".
	Effect string `json:"effect"`
	Value  string `json:"value"`
}

// Text is the explanation in words.
func (e Explanation) Text() string {
	var out strings.Builder
	value := "(removed)"
	if e.Value != nil {
		value = *e.Value
	}
	fmt.Fprintf(&out, "%s = %s\n", e.Key, value)
	for _, source := range e.Sources {
		what := source.Value
		if source.Effect == values.Wins {
			what = "sets it"
		}
		if source.Effect != values.Wins {
			what = source.Effect + ": " + source.Value
		}
		fmt.Fprintf(&out, "  %-14s %s  %s\n", source.Layer, source.Origin, what)
	}
	return out.String()
}

// ExplainKey explains the value at a dotted path and all values below it; with an empty path, all values. Error:
// *NoValueError.
func (f *Fleet) ExplainKey(r *Resolved, key string) ([]Explanation, error) {
	n := r.Values
	if key != "" {
		n = r.Values.At(key)
	}
	if !n.IsMap() || len(n.Keys()) == 0 {
		explained := f.explainOne(r, key, n)
		if len(explained.Sources) == 0 {
			var known []string
			r.Values.Walk(func(path []string, _ *values.Node) bool {
				known = append(known, values.JoinPath(path))
				return true
			})
			return nil, &NoValueError{Environment: r.Name(), Key: key, Nearest: values.Nearest(key, known)}
		}
		return []Explanation{explained}, nil
	}
	var out []Explanation
	n.Walk(func(path []string, leaf *values.Node) bool {
		at := values.JoinPath(path)
		if key != "" {
			at = key + "." + at
		}
		out = append(out, f.explainOne(r, at, leaf))
		return true
	})
	return out, nil
}

func (f *Fleet) explainOne(r *Resolved, key string, n *values.Node) Explanation {
	out := Explanation{Environment: r.Name(), Key: key, Sources: []Source{}}
	if n != nil {
		text := f.Shown(key, n)
		out.Value = &text
	}
	for _, setting := range f.Explain(r, key) {
		shown := f.Shown(setting.Path, setting.Value)
		if setting.Path != key {
			shown = setting.Path + ": " + shown
		}
		out.Sources = append(out.Sources, Source{Origin: setting.Origin, Effect: setting.Effect, Value: shown})
	}
	if len(out.Sources) == 0 && n != nil {
		// A part of a list: layers do not set it by this path.
		out.Sources = append(out.Sources, Source{Origin: n.Origin(), Effect: values.Wins, Value: f.Shown(key, n)})
	}
	return out
}

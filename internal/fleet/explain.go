// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// NoEnvironmentError is an environment that the fleet does not have.
type NoEnvironmentError struct {
	Client, Stage string // Stage is empty where there is no such client
	Fleet         *Fleet
	Clients       []string // all names, where Fleet does not have them
}

func (e *NoEnvironmentError) Error() string {
	if e.Stage == "" {
		return fmt.Sprintf("the fleet in %s has no client %s", e.Fleet.Dir, e.Client)
	}
	return fmt.Sprintf("the fleet in %s has no environment %s/%s", e.Fleet.Dir, e.Client, e.Stage)
}

// Explain says it in three parts.
func (e *NoEnvironmentError) Explain() (happened, observed, advice string) {
	var stages []string
	clients := e.Clients
	for _, environment := range e.Fleet.Environments {
		if environment.Client == e.Client {
			stages = append(stages, environment.Stage)
		}
		if e.Clients == nil && (len(clients) == 0 || clients[len(clients)-1] != environment.Client) {
			clients = append(clients, environment.Client)
		}
	}
	observed = fmt.Sprintf("It has %s.", plural(len(clients), "client"))
	advice = "Name a client with a folder and a client.yaml."
	if nearest := values.Nearest(e.Client, clients); nearest != "" {
		advice = fmt.Sprintf("Did you mean %s?", nearest)
	}
	if len(stages) > 0 {
		observed = fmt.Sprintf("%s has the stages %s.", e.Client, strings.Join(stages, ", "))
		advice = "Name one of them."
	}
	return capital(e.Error()) + ".", observed, advice
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

// Explanation tells where a value comes from.
type Explanation struct {
	Environment string `json:"environment"`
	Key         string `json:"key"`
	// Value as YAML on one line; secrets are masked. Null where layers name the key and it is removed in the end.
	Value *string `json:"value"`
	// Sources, last layer first.
	Sources []Source `json:"sources"`
}

// Source is what one layer says of a value.
type Source struct {
	values.Origin
	// Effect is one of those in package values, for example "sets" or "is overridden".
	Effect string `json:"effect"`
	Value  string `json:"value"`
}

// Text tells it to people.
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

// ExplainKey explains the value at a dotted path; where others are below it, each of them; with an empty path, all of them. Error:
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
		// A part of a list, which layers do not name by this path.
		out.Sources = append(out.Sources, Source{Origin: n.Origin(), Effect: values.Wins, Value: f.Shown(key, n)})
	}
	return out
}

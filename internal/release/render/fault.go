// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	helmchart "helm.sh/helm/v3/pkg/chart"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
)

// hiddenMessage stands for a message that only the real secrets cause.
const hiddenMessage = "the message is hidden, since it depends on a sensitive value"

// fault is an error of rendering, taken apart into what may and what may not depend on secrets.
type fault struct {
	kind, place, text string
	// with makes the error again with another text.
	with func(text string) error
}

func faultOf(err error) fault {
	var template *TemplateError
	var schema *SchemaError
	var parse *object.ParseError
	var duplicate *object.DuplicateKeyError
	switch {
	case errors.As(err, &template):
		same := *template
		same.Cause = ""
		return fault{"template", same.Error(), template.Cause, func(text string) error {
			same.Cause = text
			return &same
		}}
	case errors.As(err, &schema):
		return fault{"schema", "", schema.Problems, func(text string) error { return &SchemaError{Chart: schema.Chart, Problems: text} }}
	case errors.As(err, &parse):
		same := *parse
		same.Reason = ""
		return fault{"parse", same.Source, parse.Reason, func(text string) error {
			same.Reason = text
			return &same
		}}
	case errors.As(err, &duplicate):
		same := *duplicate
		return fault{"duplicate", strings.Join(same.Sources, " "), string(duplicate.Key), func(text string) error {
			if same.Key = object.Key(text); text == hiddenMessage || strings.Contains(text, object.MaskSecret) {
				same.Key = object.MaskSecret
			}
			return &same
		}}
	}
	return fault{"other", "", err.Error(), func(text string) error { return errors.New(text) }}
}

// withoutSecrets returns an error of rendering as it may be shown. What other secrets cause too does not depend on them; the rest of
// the message is hidden. Typed errors keep their type, and say the template and the line.
func (r *renderer) withoutSecrets(ctx context.Context, err error) error {
	leaves := secretLeaves(r.spec.Sensitive, r.spec.WriteOnly)
	if ctx.Err() != nil || len(leaves) == 0 {
		return err
	}
	ch, loading := r.load()
	if loading != nil {
		return err // It is the chart itself that cannot be read.
	}
	public := newPublicText(r.in, ch, r.spec.Values)
	found := faultOf(safePlaces(err, ch))
	if found.kind == "template" && len(found.text) >= minWhole && strings.Contains(public.text, found.text) {
		return found.with(r.scrub.Text(found.text)) // a text of the chart's own
	}
	var others []string
	for _, f := range []form{everyCharacter, withStructure, withSeparators} {
		changes := map[string]change{}
		for _, leaf := range leaves {
			changes[leaf.path] = change{form: f}
		}
		for variant := 1; variant <= variants; variant++ {
			in, _ := r.replaced(&sentinels{public: public, variant: variant, changes: changes, keys: true})
			in.Perturbed = found.kind != "schema"
			_, refused := r.once(ctx, in)
			if refused == nil {
				continue
			}
			if other := faultOf(safePlaces(refused, ch)); other.kind == found.kind && other.place == found.place {
				others = append(others, other.text)
			}
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(others) < variants {
		return found.with(hiddenMessage)
	}
	text := r.scrub.Text(common(found.text, others))
	// Where the chart takes a secret apart, it may be only the weaker sentinels that lead to the same place.
	if newBrace(public, leaves, &perturbation{}).finds(strings.ReplaceAll(text, object.MaskSecret, "")) {
		text = hiddenMessage
	}
	return found.with(text)
}

// safePlaces takes names out of an error that are not those of the chart's templates: a text that tpl executes can look like a place.
func safePlaces(err error, ch *helmchart.Chart) error {
	var template *TemplateError
	if !errors.As(err, &template) {
		return err
	}
	names := map[string]bool{path.Join(ch.Name(), "Chart.yaml"): true, path.Join(ch.Name(), "values.yaml"): true}
	visitTemplates(ch, func(name string, _ *helmchart.File) { names[name] = true })
	known := func(name string) bool {
		if names[name] {
			return true
		}
		// A subchart may have another name here than in its folder.
		_, rest, ok := strings.Cut(name, "/templates/")
		return ok && slices.ContainsFunc(ch.Dependencies(), func(d *helmchart.Chart) bool {
			return slices.ContainsFunc(d.Templates, func(f *helmchart.File) bool { return f != nil && f.Name == "templates/"+rest })
		})
	}
	same := *template
	if same.File != "" && !known(same.File) {
		same.File, same.Line, same.Column = "", 0, 0
	}
	same.Via = slices.DeleteFunc(slices.Clone(template.Via), func(via string) bool {
		name, _, _ := strings.Cut(via, ":")
		return !known(name)
	})
	return &same
}

// common shows of a text what all others begin and end with too, line by line if they have as many lines.
func common(text string, others []string) string {
	lines := strings.Split(text, "\n")
	theirs := make([][]string, len(others))
	for i, other := range others {
		if theirs[i] = strings.Split(other, "\n"); len(theirs[i]) != len(lines) {
			return commonPart(text, others)
		}
	}
	for i, line := range lines {
		same := make([]string, len(theirs))
		for j := range theirs {
			same[j] = theirs[j][i]
		}
		lines[i] = commonPart(line, same)
	}
	return strings.Join(lines, "\n")
}

func commonPart(text string, others []string) string {
	before, after := len(text), len(text)
	for _, other := range others {
		if other == text {
			continue
		}
		b, a := differing(text, other)
		before, after = min(before, len(b)), min(after, len(a))
	}
	if before == len(text) {
		return text
	}
	// A part of a word may agree by chance.
	begin := strings.TrimRightFunc(text[:before], isWordCharacter)
	end := strings.TrimLeftFunc(text[len(text)-after:], isWordCharacter)
	if r, _ := utf8.DecodeLastRuneInString(begin); r == utf8.RuneError || unicode.IsControl(r) && r != '\n' {
		begin = strings.ToValidUTF8(begin, "")
	}
	return begin + object.MaskSecret + end
}

// Others are values of a release with other secrets in place of its own.
type Others struct {
	Values []map[string]any
	public *publicText
}

// OtherSecrets replaces the secrets of spec, and the keys that only the secrets have. What a check says of all of these values too does
// not depend on the secrets. The error is that of loading the chart.
func OtherSecrets(spec Spec) (*Others, error) {
	r := &renderer{spec: spec}
	ch, err := r.load()
	if err != nil {
		return nil, err
	}
	out := &Others{public: newPublicText(r.in, ch, spec.Values)}
	changes := map[string]change{}
	for _, leaf := range secretLeaves(spec.Sensitive, spec.WriteOnly) {
		changes[leaf.path] = change{form: everyCharacter}
	}
	for variant := 1; variant <= variants; variant++ {
		in, _ := r.replaced(&sentinels{public: out.public, variant: variant, changes: changes, keys: true})
		out.Values = append(out.Values, in.Values)
	}
	return out, nil
}

// Public reports a path of which all keys are known without the secrets.
func (o *Others) Public(path string) bool {
	for key := range strings.SplitSeq(path, ".") {
		if key != "" && !o.public.knows(key) {
			return false
		}
	}
	return true
}

// HideEngineError returns what may be shown of an error of Helm's own rendering in an apply. What lookup finds then is not known here,
// so that other secrets cannot be tried: unless the message is a text of the chart, only its place is shown.
func HideEngineError(spec Spec, err error) error {
	text := err.Error()
	if len(secretLeaves(spec.Sensitive, spec.WriteOnly)) == 0 ||
		!helmPosition.MatchString(text) && !templatePosition.MatchString(text) && !yamlPosition.MatchString(text) &&
			!strings.Contains(text, "values don't meet the specifications of the schema") {
		return err
	}
	ch, loading := spec.Chart.Load()
	if loading != nil {
		return &TemplateError{Chart: spec.Chart.Name, Cause: hiddenMessage}
	}
	var failed *TemplateError
	if !errors.As(safePlaces(templateError(spec.Chart.Name, err), ch), &failed) {
		return errors.New(hiddenMessage)
	}
	public := newPublicText(Input{}, ch, spec.Values)
	if len(failed.Cause) < minWhole || !strings.Contains(public.text, failed.Cause) {
		failed.Cause = hiddenMessage
	}
	failed.Cause = redact.New(spec.Sensitive, spec.WriteOnly).Text(failed.Cause)
	return failed
}

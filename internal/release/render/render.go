// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/purity"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// renderer renders one spec several times: as it is, and with one input changed at a time, to see what depends on it. Inputs
// that no template mentions are not changed.
type renderer struct {
	spec  Spec
	in    Input
	scrub *redact.Secrets
	raw   *Raw
	// public is set with raw.
	public *publicText
}

// Chart renders offline, exactly as Helm stores it (same order, same parsing), and renders again with perturbed inputs
// to find what depends on secrets, the revision, the operation and the capabilities. Errors: *TemplateError (file, line,
// cause; no secret in it), *ParseError of package object, *SchemaError.
func Chart(ctx context.Context, spec Spec, options Options) (*Result, error) {
	r := &renderer{
		spec:  spec,
		scrub: redact.New(spec.Sensitive, spec.WriteOnly),
		in: Input{
			Values:       values.Merge(spec.Values, spec.Sensitive, spec.WriteOnly),
			ReleaseName:  options.ReleaseName,
			Namespace:    options.Namespace,
			Install:      options.Install,
			Revision:     options.Revision,
			Capabilities: HelmCapabilities(options.Capabilities),
			anyCluster:   options.Capabilities == nil,
		},
	}
	if _, err := spec.Definitions(); err != nil {
		return nil, err
	}
	var err error
	if r.raw, err = r.once(ctx, r.in); err != nil {
		return nil, r.withoutSecrets(ctx, err)
	}
	r.public = newPublicText(r.in, r.raw.chart, spec.Values)
	pure, err := purity.Analyze(r.raw.chart, r.raw.values)
	if err != nil {
		return nil, r.withoutSecrets(ctx, err)
	}
	masks, err := r.masks(ctx)
	if err != nil {
		return nil, err
	}
	out := &Result{
		Volatile:              map[object.Key]string{},
		DependsOnCapabilities: pure.All.Text&purity.UsesCapabilities != 0,
		Raw:                   r.raw,
		Secrets:               r.scrub,
		namespace:             options.Namespace,
	}
	if err := masks.fill(out); err != nil {
		return nil, err
	}
	v := &volatility{rendering: out, raw: r.raw, keys: masks.keys, reasons: make([]string, len(r.raw.Objects))}
	v.fromTemplates(pure, options)
	if options.OperationMayChange {
		if err := r.perturbOperation(ctx, v); err != nil {
			return nil, err
		}
	}
	if out.DependsOnCapabilities && (options.CapabilitiesMayChange || options.Capabilities == nil) {
		if err := r.perturbCapabilities(ctx, v); err != nil {
			return nil, err
		}
	}
	v.write()
	for _, o := range r.raw.Objects {
		r.scrub.AddObject(o.Object)
	}
	masks.addDerived(r.scrub, out)
	r.scrub.Complete()
	out.Unproven = masks.unproven
	if spec.CreateCRDs || spec.ReplaceCRDs {
		out.Brings = definedKinds(r.raw.chart)
	}
	// What the templates were made of is not needed any more, and large.
	r.raw.chart, r.raw.values = nil, nil
	out.Digest = object.Digest(out.steady())
	return out, nil
}

// definedKinds are the kinds of the definitions in the crds folders. Spec.Definitions has refused what is no definition.
func definedKinds(ch *helmchart.Chart) map[string]bool {
	out := map[string]bool{}
	for _, crd := range ch.CRDObjects() {
		objects, err := object.ParseManifest(string(crd.File.Data), "")
		if err != nil {
			continue
		}
		for _, o := range objects {
			out[DefinedKind(o.Object)] = true
		}
	}
	return out
}

// DefinedKind is the kind that a CustomResourceDefinition defines, "Widget.example.com"; empty for other objects.
func DefinedKind(o map[string]any) string {
	group, _, _ := unstructured.NestedString(o, "spec", "group")
	kind, _, _ := unstructured.NestedString(o, "spec", "names", "kind")
	if o["kind"] != "CustomResourceDefinition" {
		return ""
	}
	return kind + "." + group
}

// once renders a fresh copy of the chart.
func (r *renderer) once(ctx context.Context, in Input) (*Raw, error) {
	ch, err := r.load()
	if err != nil {
		return nil, err
	}
	return Once(ctx, ch, in)
}

func (r *renderer) load() (*helmchart.Chart, error) {
	ch, err := r.spec.Chart.Load()
	if err != nil {
		return nil, fmt.Errorf("loading chart %s: %w", r.spec.Chart.Name, err)
	}
	return ch, nil
}

// perturbed renders with a changed input that nobody gave. A chart may refuse such an input, and then it says nothing about
// what is rendered with the real one: the result is nil. The error is only that of an ended context.
func (r *renderer) perturbed(ctx context.Context, in Input) (*Raw, error) {
	raw, _, err := r.attempt(ctx, in)
	return raw, err
}

// attempt is perturbed, with what the chart said if it refused the input.
func (r *renderer) attempt(ctx context.Context, in Input) (raw *Raw, refused, err error) {
	in.Perturbed = true
	raw, refused = r.once(ctx, in)
	if refused != nil && ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	return raw, refused, nil
}

// The last two alternatives are .Release handed on as a whole.
var (
	mentionsRevision  = regexp.MustCompile(`Revision|\.Release(?:[^.\w]|$)|"Release"`)
	mentionsOperation = regexp.MustCompile(`IsInstall|IsUpgrade|\.Release(?:[^.\w]|$)|"Release"`)
	apiVersionLiteral = regexp.MustCompile(`Has\s+["` + "`" + `]([^"` + "`" + `]+)["` + "`" + `]`)
)

// otherRevision has as many digits as revision and shares none of them in its place.
func otherRevision(revision int) int {
	digits := []byte(strconv.Itoa(max(revision, 1)))
	for i, d := range digits {
		if i == 0 {
			digits[i] = '1' + (d-'1'+4)%9
		} else {
			digits[i] = '0' + (d-'0'+4)%10
		}
	}
	return number(string(digits))
}

// volatility collects why objects may come out differently.
type volatility struct {
	rendering *Result
	raw       *Raw
	keys      []object.Key
	reasons   []string
}

func (v *volatility) add(i int, reason string) {
	if v.reasons[i] == "" {
		v.reasons[i] = reason
	} else if !slices.Contains(strings.Split(v.reasons[i], ", "), reason) {
		v.reasons[i] += ", " + reason
	}
}

func (v *volatility) addSet(reason string) {
	if v.rendering.VolatileSet == "" {
		v.rendering.VolatileSet = reason
	}
}

func (v *volatility) fromTemplates(p *purity.Result, options Options) {
	counted := purity.Impure
	if options.CapabilitiesMayChange || options.Capabilities == nil {
		counted |= purity.OpaqueCapabilities
	}
	for i, o := range v.raw.Objects {
		text := p.Files[o.Source].Text & counted
		if text&purity.Impure != 0 {
			v.add(i, "uses "+text.String())
		}
		if text&purity.OpaqueCapabilities != 0 {
			v.add(i, "depends on the cluster's capabilities")
		}
	}
	if reason := p.SetReason(counted); reason != "" {
		v.addSet(reason)
	}
}

// compare notes what another rendering shows differently.
func (v *volatility) compare(other *Raw, reason string) error {
	if other == nil {
		return nil
	}
	partners, extra := pair(v.raw.Objects, other.Objects)
	for i, o := range v.raw.Objects {
		if partners[i] == nil || partners[i].Key != o.Key {
			v.add(i, reason)
			v.addSet("which objects there are, or their names, " + reason)
			continue
		}
		same, err := sameContent(o.Object, partners[i].Object)
		if err != nil {
			return err
		}
		if !same {
			v.add(i, reason)
		}
	}
	if len(extra) > 0 {
		v.addSet("which objects there are " + reason)
	}
	return nil
}

func (v *volatility) write() {
	for i, reason := range v.reasons {
		if reason != "" {
			v.rendering.Volatile[v.keys[i]] = reason
		}
	}
}

func sameContent(a, b map[string]any) (bool, error) {
	left, err := object.Canonical(a)
	if err != nil {
		return false, err
	}
	right, err := object.Canonical(b)
	return left == right, err
}

func (r *renderer) perturbOperation(ctx context.Context, v *volatility) error {
	if !r.raw.mentions(mentionsOperation) {
		return nil
	}
	in := r.in
	in.Install = !in.Install
	other, err := r.perturbed(ctx, in)
	if err != nil {
		return err
	}
	return v.compare(other, "depends on whether this is an install or an upgrade")
}

// Capabilities between which those of the cluster lie: the oldest version that Slipway supports with Kubernetes' own APIs, and
// a version of the far future with every API that the chart asks for.
const (
	oldestKubernetes = "v1.31.0"
	futureKubernetes = "v1.99.0"
)

func (r *renderer) perturbCapabilities(ctx context.Context, v *volatility) error {
	least := HelmCapabilities(nil)
	most := &chartutil.Capabilities{
		KubeVersion: chartutil.KubeVersion{Version: futureKubernetes, Major: "1", Minor: "99"},
		APIVersions: slices.Concat(r.in.Capabilities.APIVersions, r.raw.askedAPIVersions()),
		HelmVersion: r.in.Capabilities.HelmVersion,
	}
	for _, c := range []*chartutil.Capabilities{least, most} {
		in := r.in
		in.Capabilities = c
		other, err := r.perturbed(ctx, in)
		if err != nil {
			return err
		}
		if err := v.compare(other, "depends on the cluster's capabilities"); err != nil {
			return err
		}
	}
	return nil
}

func (r *renderer) masks(ctx context.Context) (*masks, error) {
	m := &masks{raw: r.raw, public: r.public, writeOnly: len(r.spec.WriteOnly) > 0}
	if err := r.perturbSecrets(ctx, m); err != nil {
		return nil, err
	}
	if !r.raw.mentions(mentionsRevision) {
		return m, nil
	}
	revisions := []int{otherRevision(r.in.Revision)}
	if r.in.Revision > 1 {
		revisions = append(revisions, 1)
	}
	for _, revision := range revisions {
		in := r.in
		in.Revision = revision
		other, err := r.perturbed(ctx, in)
		if err != nil {
			return nil, err
		}
		if other != nil {
			m.revision = append(m.revision, other)
		}
	}
	return m, nil
}

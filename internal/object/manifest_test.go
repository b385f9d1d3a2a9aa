// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
)

func TestParseManifest_KeepsOrderSourceAndHooks(t *testing.T) {
	objects, err := ParseManifest(`---
# Source: app/templates/service.yaml
apiVersion: v1
kind: Service
metadata: {name: web}
---
# Source: app/templates/empty.yaml
# nothing here
---
# Source: app/templates/job.yaml
apiVersion: batch/v1
kind: Job
metadata:
  name: seed
  namespace: apps
  annotations: {"helm.sh/hook": post-install}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: elsewhere, namespace: other}
data:
  text: |
    --- this line does not begin the document
`, "apps")
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		key    Key
		source string
		hook   bool
	}
	var got []row
	for _, o := range objects {
		got = append(got, row{o.Key, o.Source, o.Hook})
	}
	want := []row{
		{"v1/Service/web", "app/templates/service.yaml", false},
		{"batch/v1/Job/seed", "app/templates/job.yaml", true},
		{"v1/ConfigMap/other/elsewhere", "", false},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseManifest_TakesListsApart(t *testing.T) {
	objects, err := ParseManifest(`
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: ConfigMapList
    items: [{metadata: {name: a}}, {metadata: {name: b}}]
  - {apiVersion: v1, kind: Secret, metadata: {name: c}}
`, "apps")
	if err != nil {
		t.Fatal(err)
	}
	var keys []Key
	for _, o := range objects {
		keys = append(keys, o.Key)
	}
	if want := []Key{"v1/ConfigMap/a", "v1/ConfigMap/b", "v1/Secret/c"}; !slices.Equal(keys, want) {
		t.Errorf("got %v, want %v", keys, want)
	}
}

func TestParseManifest_ReadsNumbersWithoutLoss(t *testing.T) {
	objects, err := ParseManifest("apiVersion: v1\nkind: X\nmetadata: {name: x}\nspec: {i: 1000000, one: 1.0, half: 0.5, big: "+
		"12345678901234567890, octal: 0123}\n", "")
	if err != nil {
		t.Fatal(err)
	}
	spec, _ := objects[0].Object["spec"].(map[string]any)
	want := map[string]any{"i": int64(1000000), "one": int64(1), "half": 0.5, "big": json.Number("12345678901234567890"), "octal": int64(83)}
	for name, value := range want {
		if spec[name] != value {
			t.Errorf("%s: got %#v, want %#v", name, spec[name], value)
		}
	}
}

func TestParseManifest_ReportsWhatIsNotAnObject(t *testing.T) {
	const good = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n---\n"
	tests := map[string]struct {
		document string
		want     ParseError
	}{
		"YAML mistake": {"# Source: a/t/x.yaml\nkind: X\nspec:\n  a: 1\n b: 2\n", ParseError{2, "a/t/x.yaml", 3, "did not find expected key"}},
		"no kind":      {"# Source: a/t/x.yaml\nfoo: 1\n", ParseError{2, "a/t/x.yaml", 0, "the object has no kind"}},
		"no version":   {"kind: Service\n", ParseError{2, "", 0, "the Service has no apiVersion"}},
		"no name":      {"kind: Service\napiVersion: v1\n", ParseError{2, "", 0, "the Service has no metadata.name"}},
		"odd name": {
			"kind: Service\napiVersion: v1\nmetadata: {name: on}\n",
			ParseError{2, "", 0, "the metadata.name of the Service is a boolean, not a string; quote it in the template"},
		},
		"generated": {
			"kind: Job\napiVersion: v1\nmetadata: {generateName: x-}\n",
			ParseError{2, "", 0, "the Job has generateName instead of metadata.name: an object of a release needs a fixed name"},
		},
		"a list": {"- a\n", ParseError{2, "", 0, "it is a list, not an object with apiVersion, kind and metadata"}},
		"a text": {"hello\n", ParseError{2, "", 0, "it is a string, not an object with apiVersion, kind and metadata"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseManifest(good+test.document, "apps")
			var got *ParseError
			if !errors.As(err, &got) {
				t.Fatalf("got %v", err)
			}
			if *got != test.want {
				t.Errorf("got %+v, want %+v", *got, test.want)
			}
		})
	}
}

func TestParseManifest_RefusesTheSameObjectTwice(t *testing.T) {
	_, err := ParseManifest("# Source: a.yaml\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n---\n# Source: b.yaml\n"+
		"apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: apps}\n", "apps")
	var twice *DuplicateKeyError
	if !errors.As(err, &twice) {
		t.Fatalf("got %v", err)
	}
	if want := "Service/web is rendered twice, by a.yaml and b.yaml"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestKey_PartsAndShortForm(t *testing.T) {
	tests := map[Key][5]string{
		"v1/Service/x":                                  {"v1", "Service", "", "x", "Service/x"},
		"apps/v1/Deployment/x":                          {"apps/v1", "Deployment", "", "x", "Deployment/x"},
		"v1/ConfigMap/other/x":                          {"v1", "ConfigMap", "other", "x", "ConfigMap/other/x"},
		"rbac.authorization.k8s.io/v1/Role/other/x":     {"rbac.authorization.k8s.io/v1", "Role", "other", "x", "Role/other/x"},
		"autoscaling/v2beta2/HorizontalPodAutoscaler/x": {"autoscaling/v2beta2", "HorizontalPodAutoscaler", "", "x", "HorizontalPodAutoscaler/x"},
		"odd": {"", "", "", "odd", "odd"},
	}
	for key, want := range tests {
		apiVersion, kind, namespace, name := key.Parts()
		if got := [5]string{apiVersion, kind, namespace, name, key.Short()}; got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/fleet"
	"github.com/slipway-dev/terraform-provider-slipway/internal/gitops"
)

const root = "../.."

// ownFleet generates the repository's own fleet into a folder that replaces the repository.
var ownFleet = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "slipway-fleet-")
	if err != nil {
		return "", err
	}
	for _, folder := range []string{"clients", chartFolder} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(root, folder))); err != nil {
			return "", err
		}
	}
	return dir, nil
})

const chartFolder = "examples/data-collection/chart/data-collection-service"

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := ownFleet(); err == nil {
		_ = os.RemoveAll(dir) // a temporary folder
	}
	os.Exit(code)
}

func repository(t *testing.T) (dir string, f *fleet.Fleet) {
	t.Helper()
	dir, err := ownFleet()
	if err != nil {
		t.Fatal(err)
	}
	clients := filepath.Join(dir, "clients")
	if _, err := fleet.Generate(t.Context(), clients, fleet.GenerateOptions{Charts: chart.NewLoader(t.TempDir(), nil)}); err != nil {
		t.Fatal(err)
	}
	if f, err = fleet.Read(t.Context(), clients); err != nil {
		t.Fatal(err)
	}
	return dir, f
}

func TestOwnFleet_IsSound(t *testing.T) {
	_, f := repository(t)
	if err := f.LoadChart(t.Context(), chart.NewLoader(t.TempDir(), nil)); err != nil {
		t.Fatal(err)
	}
	whole, err := f.ResolveAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Environments) != 72 {
		t.Errorf("the fleet has %d environments", len(f.Environments))
	}
	for _, finding := range whole.Findings {
		if finding.Severity != fleet.SeverityNote {
			t.Errorf("%s: %s", finding.Origin, finding.Text)
		}
	}
}

// TestOwnFleet_RendersWithHelm does for each generated file what `helm template` does.
func TestOwnFleet_RendersWithHelm(t *testing.T) {
	dir, f := repository(t)
	for _, e := range f.Environments {
		content, err := os.ReadFile(filepath.Join(dir, "environments", e.Client, e.Stage, fleet.ValuesFile))
		if err != nil {
			t.Fatal(err)
		}
		var values map[string]any
		if err := yaml.Unmarshal(content, &values); err != nil {
			t.Fatal(err)
		}
		loaded, err := loader.Load(filepath.Join(dir, chartFolder))
		if err != nil {
			t.Fatal(err)
		}
		install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
		install.ReleaseName, install.Namespace, install.DryRun, install.ClientOnly = f.Service, e.Facts["namespace"], true, true
		install.KubeVersion = &chartutil.KubeVersion{Version: "v1.34.0", Major: "1", Minor: "34"}
		release, err := install.Run(loaded, values)
		if err != nil {
			t.Errorf("%s: %v", e.Name(), err)
			continue
		}
		for _, text := range []string{
			"registry.company.com/data-collection:" + e.Facts["app_version"],
			"EXPORT_BUCKET: \"records-" + e.Client + "-" + e.Stage + "\"",
		} {
			if !strings.Contains(release.Manifest, text) {
				t.Errorf("%s: %q is not in what is rendered", e.Name(), text)
			}
		}
	}
}

func TestMatrix_KeepsGitHubsLimits(t *testing.T) {
	_, own := repository(t)
	matrix, err := gitops.NewMatrix(own, own.Environments, 0)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	seen := map[string]int{}
	for _, wave := range matrix.Waves {
		order = append(order, wave.Name)
		for _, shard := range wave.Shards {
			for _, job := range shard.Include {
				seen[job.Environment]++
			}
		}
	}
	if !slices.Equal(order, []string{"dev", "staging", "canary", "early", "everyone"}) || len(seen) != 72 {
		t.Errorf("got %v with %d environments", order, len(seen))
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s is there %d times", name, n)
		}
	}
	none, err := gitops.NewMatrix(own, nil, 0)
	if err != nil || none.Any {
		t.Errorf("got %+v, %v", none, err)
	}
	if text, err := json.Marshal(none); err != nil || string(text) != `{"any":false,"waves":[]}` {
		t.Errorf("got %s, %v", text, err)
	}
	for _, test := range []struct {
		environments, limit int
		shards              []int
	}{{1, 0, []int{1}}, {256, 0, []int{256}}, {257, 0, []int{256, 1}}, {600, 1000, []int{256, 256, 88}}, {5, 2, []int{2, 2, 1}}} {
		var many []*fleet.Environment
		for i := range test.environments {
			many = append(many, &fleet.Environment{Client: fmt.Sprintf("client-%04d", i), Stage: "dev"})
		}
		matrix, err := gitops.NewMatrix(own, many, test.limit)
		if err != nil {
			t.Fatal(err)
		}
		var shards []int
		for _, shard := range matrix.Waves[0].Shards {
			shards = append(shards, len(shard.Include))
		}
		if !slices.Equal(shards, test.shards) || matrix.Waves[0].Jobs != test.environments {
			t.Errorf("%+v: got %v", test, shards)
		}
	}
	var huge []*fleet.Environment
	for i := range 6000 {
		huge = append(huge, &fleet.Environment{Client: fmt.Sprintf("client-%04d", i), Stage: "dev"})
	}
	if _, err := gitops.NewMatrix(own, huge, 0); err == nil {
		t.Error("a matrix that is larger than a job's outputs may be was made")
	}
}

// argocd builds the command that expands ApplicationSets with Argo CD's code.
func argocd(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("building Argo CD's code takes minutes the first time")
	}
	program := filepath.Join(t.TempDir(), "argocd")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join(root, "tools/argocd")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building tools/argocd: %v\n%s", err, text)
	}
	return program
}

type application struct {
	Metadata struct {
		Name, Namespace string
		Labels          map[string]string
		Finalizers      []string
	}
	Spec struct {
		Project     string
		Destination struct{ Name, Namespace, Server string }
		Source      struct {
			RepoURL, TargetRevision, Path string
			Helm                          struct {
				ReleaseName string
				ValueFiles  []string
			}
		}
	}
}

func expand(t *testing.T, program, dir string, sets []byte) ([]application, error) {
	t.Helper()
	command := exec.Command(program, dir)
	command.Stdin = bytes.NewReader(sets)
	var out, failed bytes.Buffer
	command.Stdout, command.Stderr = &out, &failed
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, failed.String())
	}
	var applications []application
	if err := json.Unmarshal(out.Bytes(), &applications); err != nil {
		t.Fatal(err)
	}
	return applications, nil
}

func TestApplicationSets_ExpandWithArgoCDsOwnCode(t *testing.T) {
	program := argocd(t)
	dir, f := repository(t)
	sets, err := gitops.ApplicationSets(f)
	if err != nil {
		t.Fatal(err)
	}
	applications, err := expand(t, program, dir, sets)
	if err != nil {
		t.Fatal(err)
	}
	if len(applications) != len(f.Environments) {
		t.Errorf("%d Applications for %d environments", len(applications), len(f.Environments))
	}
	for _, made := range applications {
		e := f.Find(made.Metadata.Labels["slipway.dev/client"], made.Metadata.Labels["slipway.dev/stage"])
		if e == nil {
			t.Errorf("the Application %s is of no environment", made.Metadata.Name)
			continue
		}
		source := made.Spec.Source
		if made.Metadata.Name != "data-collection-"+e.Client+"-"+e.Stage || made.Spec.Project != "clients-"+e.Stage ||
			made.Spec.Destination.Name != e.Facts["context"] || made.Spec.Destination.Namespace != e.Facts["namespace"] ||
			made.Spec.Destination.Server != "" ||
			source.Path != chartFolder || source.Helm.ReleaseName != "data-collection" {
			t.Errorf("%s: got %+v", e.Name(), made)
		}
		if len(source.Helm.ValueFiles) != 1 || !strings.HasPrefix(source.Helm.ValueFiles[0], "/") {
			t.Errorf("%s: got %v", e.Name(), source.Helm.ValueFiles)
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, source.Helm.ValueFiles[0])); err != nil {
			t.Errorf("%s: %v", e.Name(), err)
		}
	}
	// A file without a key stops its set, and no Application with a wrong name comes of it.
	broken := t.TempDir()
	if err := os.CopyFS(broken, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "environments/client-a/prod/environment.yaml"), []byte("client: client-a\nstage: prod\n"),
		0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := expand(t, program, broken, sets); err == nil || !strings.Contains(err.Error(), "data-collection-prod") {
		t.Errorf("got %d Applications, %v", len(got), err)
	}
}

func TestApplicationSets_AreSafeByDefault(t *testing.T) {
	_, f := repository(t)
	text, err := gitops.ApplicationSets(f)
	if err != nil {
		t.Fatal(err)
	}
	documents := bytes.Split(text, []byte("\n---\n"))[1:]
	if len(documents) != 3 {
		t.Fatalf("%d documents", len(documents))
	}
	for _, document := range documents {
		var set unstructured.Unstructured
		if err := yaml.Unmarshal(document, &set.Object); err != nil {
			t.Fatal(err)
		}
		policy, _, _ := unstructured.NestedString(set.Object, "spec", "syncPolicy", "applicationsSync")
		keep, _, _ := unstructured.NestedBool(set.Object, "spec", "syncPolicy", "preserveResourcesOnDeletion")
		options, _, _ := unstructured.NestedStringSlice(set.Object, "spec", "goTemplateOptions")
		_, automated, _ := unstructured.NestedMap(set.Object, "spec", "template", "spec", "syncPolicy", "automated")
		_, finalizers, _ := unstructured.NestedSlice(set.Object, "spec", "template", "metadata", "finalizers")
		if policy != "create-update" || !keep || !slices.Equal(options, []string{"missingkey=error"}) || automated || finalizers ||
			len(set.GetFinalizers()) != 1 {
			t.Errorf("%s: got %s", set.GetName(), document)
		}
	}
	long := *f.Environments[0]
	long.Client = strings.Repeat("x", 60)
	f.Environments = append(f.Environments, &long)
	if _, err := gitops.ApplicationSets(f); err == nil {
		t.Error("a name that is too long was taken")
	}
}

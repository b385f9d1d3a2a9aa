// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const chartYAML = "apiVersion: v2\nname: web\nversion: 1.2.0\nappVersion: v1.1.1\n"

// webChart is a small chart; the entries of more are added or replace its files, empty ones are left out.
func webChart(more map[string]string) map[string]string {
	files := map[string]string{
		"Chart.yaml":               chartYAML,
		"values.yaml":              "replicas: 2\nimage: {repository: r, tag: v1}\n",
		"templates/service.yaml":   "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {replicas: {{ .Values.replicas }}}\n",
		"templates/deployment.txt": "x",
	}
	maps.Copy(files, more)
	maps.DeleteFunc(files, func(_, content string) bool { return content == "" })
	return files
}

func writeFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "web")
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// pack makes a .tgz as `helm package` does.
func pack(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: "web/" + name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func newTestLoader(t *testing.T, registries ...Registry) *Loader {
	t.Helper()
	return NewLoader(t.TempDir(), registries)
}

func mustGet(t *testing.T, l *Loader, source Source, digest string) *Chart {
	t.Helper()
	c, err := l.Get(t.Context(), source, digest)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLoader_ReadsAFolder(t *testing.T) {
	dir := writeFolder(t, webChart(nil))
	c := mustGet(t, newTestLoader(t), Source{Path: dir}, "")
	if c.Name != "web" || c.Version != "1.2.0" || c.AppVersion != "v1.1.1" || !strings.HasPrefix(c.Digest, "sha256:") {
		t.Errorf("got %+v", c)
	}
	t.Chdir(filepath.Dir(dir))
	if again := mustGet(t, newTestLoader(t), Source{Path: "./web"}, c.Digest); again.Digest != c.Digest {
		t.Errorf("by a relative path the digest is %s", again.Digest)
	}
}

func TestLoader_DigestOfAFolderIsThatOfItsContent(t *testing.T) {
	digest := func(files map[string]string) string {
		return mustGet(t, newTestLoader(t), Source{Path: writeFolder(t, files)}, "").Digest
	}
	base := digest(webChart(nil))
	if other := digest(webChart(nil)); other != base {
		t.Error("two folders with the same files have different digests")
	}
	ignored := webChart(map[string]string{".helmignore": "*.txt\n", "notes.txt": "a"})
	if digest(ignored) != digest(webChart(map[string]string{".helmignore": "*.txt\n", "notes.txt": "b"})) {
		t.Error("a file that .helmignore names is part of the digest")
	}
	for name, files := range map[string]map[string]string{
		"another value":   webChart(map[string]string{"values.yaml": "replicas: 3\n"}),
		"another file":    webChart(map[string]string{"templates/more.yaml": "# nothing\n"}),
		"another name":    webChart(map[string]string{"templates/deployment.txt": "", "templates/deployment2.txt": "x"}),
		"content shifted": webChart(map[string]string{"templates/deployment.txt": "", "templates/deployment.tx": "tx"}),
	} {
		if digest(files) == base {
			t.Errorf("%s: the digest is the same", name)
		}
	}
}

func TestLoader_NoticesThatAFolderWasEdited(t *testing.T) {
	dir := writeFolder(t, webChart(nil))
	l := newTestLoader(t)
	first := mustGet(t, l, Source{Path: dir}, "")
	if again := mustGet(t, l, Source{Path: dir}, ""); again != first {
		t.Error("an unchanged folder was read again")
	}
	if err := os.WriteFile(filepath.Join(dir, "values.yaml"), []byte("replicas: 33\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if second := mustGet(t, l, Source{Path: dir}, ""); second.Digest == first.Digest {
		t.Error("the edit was not noticed")
	}
	_, err := l.Get(t.Context(), Source{Path: dir}, first.Digest)
	var digest *DigestError
	if !errors.As(err, &digest) || digest.Want != first.Digest {
		t.Errorf("got %v", err)
	}
}

func TestLoader_ReadsAnArchive(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web-1.2.0.tgz")
	archive := pack(t, webChart(nil))
	if err := os.WriteFile(file, archive, 0o644); err != nil {
		t.Fatal(err)
	}
	c := mustGet(t, newTestLoader(t), Source{Path: file}, archiveDigest(archive))
	if c.Name != "web" {
		t.Errorf("got %+v", c)
	}
}

func TestChart_LoadGivesEachCallerItsOwn(t *testing.T) {
	c := mustGet(t, newTestLoader(t), Source{Path: writeFolder(t, webChart(map[string]string{
		"charts/db/Chart.yaml": "apiVersion: v2\nname: db\nversion: 1.0.0\n", "charts/db/values.yaml": "a: 1\n"}))}, "")
	first, err := c.Load()
	if err != nil {
		t.Fatal(err)
	}
	first.Values["replicas"] = "changed"
	for _, template := range first.Templates {
		for i := range template.Data {
			template.Data[i] = 'x'
		}
	}
	first.SetDependencies()
	second, err := c.Load()
	if err != nil {
		t.Fatal(err)
	}
	if second.Values["replicas"] == "changed" || strings.HasPrefix(string(second.Templates[0].Data), "xx") || len(second.Dependencies()) != 1 {
		t.Error("a change of one copy shows in the next")
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := c.Load(); err != nil {
				t.Error(err)
			}
			c.ValidateValues(map[string]any{"replicas": 3})
		})
	}
	group.Wait()
}

func TestLoader_ReportsErrorsOfAChart(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  string
	}{
		"values.yaml": {map[string]string{"values.yaml": "a:\n  b: 1\n c: 2\n"}, "PATH, values.yaml, line 2: did not find expected key"},
		"Chart.yaml":  {map[string]string{"Chart.yaml": "name: [\n"}, "PATH, Chart.yaml, line 1: did not find expected node content"},
		"no version": {
			map[string]string{"Chart.yaml": "apiVersion: v2\nname: web\n"},
			"PATH, Chart.yaml: validation: chart.metadata.version is required",
		},
		"no SemVer": {
			map[string]string{"Chart.yaml": "apiVersion: v2\nname: web\nversion: one\n"},
			`PATH, Chart.yaml: validation: chart.metadata.version "one" is invalid`,
		},
		"a subchart's values": {map[string]string{
			"charts/db/Chart.yaml": "apiVersion: v2\nname: db\nversion: 1.0.0\n", "charts/db/values.yaml": "x: 1\na: b: c\n",
		},
			"PATH, charts/db/values.yaml, line 2: mapping values are not allowed in this context"},
		"a missing dependency": {map[string]string{
			"Chart.yaml": chartYAML + "dependencies: [{name: redis, version: 1.x, repository: https://example.com}]\n",
		},
			`PATH, Chart.yaml: the dependencies "redis" are not in its charts/ folder; run ` + "`helm dependency build` on the chart, " +
				"then try again"},
		"a dependency of another version": {map[string]string{"Chart.yaml": chartYAML + "dependencies: [{name: db, version: 2.x}]\n",
			"charts/db/Chart.yaml": "apiVersion: v2\nname: db\nversion: 1.0.0\n"},
			`PATH, Chart.yaml: the dependencies "db" are not in its charts/ folder; run ` + "`helm dependency build` on the chart, then try again"},
		"a library": {map[string]string{"Chart.yaml": chartYAML + "type: library\n"},
			"PATH, Chart.yaml: it is a library chart (type: library), which cannot be installed; name the application chart that uses it"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := writeFolder(t, webChart(test.files))
			_, err := newTestLoader(t).Get(t.Context(), Source{Path: dir}, "")
			var broken *InvalidError
			if !errors.As(err, &broken) {
				t.Fatalf("got %v", err)
			}
			if want := "broken chart " + strings.ReplaceAll(test.want, "PATH", dir); err.Error() != want {
				t.Errorf("got  %q\nwant %q", err, want)
			}
		})
	}
}

func TestLoader_ReportsAMissingChart(t *testing.T) {
	dir := writeFolder(t, webChart(nil))
	tests := map[string]struct{ path, want string }{
		"nothing":        {dir + "b", dir + "b: neither a folder with Chart.yaml nor a .tgz file; the nearest name there is web"},
		"not a chart":    {dir + "/templates", dir + "/templates: neither a folder with Chart.yaml nor a .tgz file"},
		"nothing nearby": {dir + "/none/at/all", dir + "/none/at/all: neither a folder with Chart.yaml nor a .tgz file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := newTestLoader(t).Get(t.Context(), Source{Path: test.path}, "")
			var missing *NotFoundError
			if !errors.As(err, &missing) || err.Error() != "there is no chart at "+test.want {
				t.Errorf("got %v", err)
			}
		})
	}
	_, err := newTestLoader(t).Get(t.Context(), Source{Path: filepath.Join(dir, "values.yaml")}, "")
	var broken *InvalidError
	if !errors.As(err, &broken) || !strings.Contains(err.Error(), "it is no packed chart (a .tgz file)") {
		t.Errorf("got %v", err)
	}
}

func TestSource_ValidateNamesTheField(t *testing.T) {
	const repository, name, version = "https://charts.example.com", "web", "1.2.0"
	tests := map[string]struct {
		source Source
		field  string
	}{
		"nothing":             {Source{}, "path"},
		"path and more":       {Source{Path: "x", Version: version}, "version"},
		"an address as path":  {Source{Path: "https://charts.example.com"}, "path"},
		"no scheme":           {Source{Repository: "charts.example.com", Name: name, Version: version}, "repository"},
		"another scheme":      {Source{Repository: "ftp://charts.example.com", Name: name, Version: version}, "repository"},
		"no host":             {Source{Repository: "https:///charts", Name: name, Version: version}, "repository"},
		"no address":          {Source{Repository: "https://[", Name: name, Version: version}, "repository"},
		"a credential":        {Source{Repository: "https://u:hunter2@charts.example.com", Name: name, Version: version}, "repository"},
		"no name":             {Source{Repository: repository, Version: version}, "name"},
		"a folder as name":    {Source{Repository: repository, Name: "a/b", Version: version}, "name"},
		"no version":          {Source{Repository: repository, Name: name}, "version"},
		"a range":             {Source{Repository: repository, Name: name, Version: "^1.2.0"}, "version"},
		"a wildcard":          {Source{Repository: repository, Name: name, Version: "1.2.x"}, "version"},
		"two parts":           {Source{Repository: repository, Name: name, Version: "1.2"}, "version"},
		"a star":              {Source{Repository: repository, Name: name, Version: "*"}, "version"},
		"good":                {Source{Repository: repository, Name: name, Version: version}, ""},
		"good, from registry": {Source{Repository: "oci://registry.example.com/charts", Name: name, Version: "v1.2.0-rc.1+build.5"}, ""},
		"good, from path":     {Source{Path: "../charts/web"}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.source.Validate()
			var bad *SourceError
			if test.field == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if !errors.As(err, &bad) || bad.Field != test.field {
				t.Fatalf("got %v, want an error of %s", err, test.field)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error contains the password: %v", err)
			}
		})
	}
}

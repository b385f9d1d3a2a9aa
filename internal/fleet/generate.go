// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// Names of generated files in the folder of an environment.
const (
	ValuesFile      = "values.yaml"
	EnvironmentFile = "environment.yaml" // what Argo CD's generator reads
)

// GenerateOptions say how to generate.
type GenerateOptions struct {
	// Charts loads the chart of the description.
	Charts *chart.Loader
	// Cache is a file of fingerprints, so that the next run reads only what changed. Empty: no cache.
	Cache string
	// DryRun reports what would be written and writes nothing.
	DryRun bool
	// Prune removes generated files of environments that no longer exist.
	Prune bool

	now time.Time // in tests; else the time of the run
}

// Generated is what a run did, or would do.
type Generated struct {
	Environments int `json:"environments"`
	// Added and Changed are paths of written files. Unchanged is the number of files that needed no change.
	Added     []string `json:"added"`
	Changed   []string `json:"changed"`
	Unchanged int      `json:"unchanged"`
	// Orphans are generated files of environments that no longer exist.
	Orphans []string `json:"orphans"`
	Pruned  bool     `json:"pruned"`
	// Resolved is the number of computed environments; the cache shows that the others are unchanged.
	Resolved int       `json:"resolved"`
	Findings []Finding `json:"findings"`

	read int // files that were read to find out whether they changed
}

// FindingsError stops a run: nothing was written.
type FindingsError struct{ Findings []Finding }

func (e *FindingsError) Error() string {
	errorsOnly := 0
	for _, finding := range e.Findings {
		if finding.Severity == SeverityError {
			errorsOnly++
		}
	}
	return fmt.Sprintf("%d errors in the fleet's values", errorsOnly)
}

// Explain implements explain.Explainer.
func (e *FindingsError) Explain() (happened, observed, advice string) {
	var text bytes.Buffer
	shown := 0
	for _, finding := range e.Findings {
		if finding.Severity != SeverityError {
			continue
		}
		if shown++; shown > 20 {
			fmt.Fprintf(&text, "…\n")
			break
		}
		fmt.Fprintf(&text, "%s: %s (%s)\n", finding.Origin, finding.Text, Listed(finding.Environments))
	}
	return "The values of the fleet have errors; no file was written.", text.String(), "Correct the layers and generate again."
}

// output is a generated file.
type output struct {
	Path    string
	Sum     sum
	content []byte // nil if the file is known to be current
}

// clientWork is the work for one client in a run.
type clientWork struct {
	entry    clientEntry
	outputs  []output
	findings []Finding
	orphans  []string
	resolved int
}

// Generate computes the final values of all environments of the fleet in a folder and writes the files that differ. Each file is
// replaced in one step, so that a killed run leaves only complete files. Nothing is written if any environment has an error.
// Errors: *FindingsError, *DescriptionError, *LockedError, those of chart.Loader, and of the file system.
func Generate(ctx context.Context, dir string, options GenerateOptions) (*Generated, error) {
	content, err := readFile(filepath.Join(dir, FileName))
	if err != nil {
		return nil, unreadable(filepath.Join(dir, FileName), err)
	}
	f, err := openContent(dir, content)
	if err != nil {
		return nil, err
	}
	tree := filepath.Join(dir, f.Output)
	now := options.now
	if now.IsZero() {
		now = time.Now()
	}
	seen := newObserver(now, dir, tree)
	names, err := f.clientNames(ctx, func(path string) error { return seen.seeOnce(path).err })
	if err != nil {
		return nil, err
	}
	if !options.DryRun {
		unlock, err := lockTree(tree)
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	basis, err := f.basis(content)
	if err != nil {
		return nil, err
	}
	known := loadCache(options.Cache, basis)
	work, dirty, err := f.unchanged(ctx, seen, names, known)
	if err != nil {
		return nil, err
	}
	if len(dirty) > 0 {
		if err := f.LoadChart(ctx, options.Charts); err != nil {
			return nil, err
		}
		if err := parallel(ctx, len(dirty), func(i int) error {
			made, err := f.generateClient(names[dirty[i]])
			work[dirty[i]] = made
			return err
		}); err != nil {
			return nil, err
		}
	}
	return f.finish(ctx, seen, tree, names, work, len(known), basis, options)
}

// unchanged finds the clients whose inputs have not changed; the others are dirty.
func (f *Fleet) unchanged(ctx context.Context, seen *observer, names []string, known map[string]clientEntry) ([]*clientWork, []int, error) {
	work := make([]*clientWork, len(names))
	if len(known) > 0 {
		if err := parallel(ctx, len(names), func(i int) error {
			if entry, ok := known[names[i]]; ok && entry.isCurrent(seen, filepath.Join(f.Dir, names[i])) {
				work[i] = &clientWork{entry: entry}
			}
			return nil
		}); err != nil {
			return nil, nil, err
		}
	}
	var dirty []int
	for i := range names {
		if work[i] == nil {
			dirty = append(dirty, i)
		}
	}
	return work, dirty, nil
}

func (f *Fleet) generateClient(name string) (*clientWork, error) {
	used := &inputs{}
	environments, err := f.readClient(name, used)
	if err != nil {
		return nil, err
	}
	out := &clientWork{resolved: len(environments)}
	for _, e := range environments {
		out.entry.addTags(e)
		r, err := f.resolve(e, used)
		if err != nil {
			finding, ok := fileFinding(f.Dir, err, e)
			if !ok {
				return nil, err
			}
			out.findings = append(out.findings, finding)
			continue
		}
		out.findings = append(out.findings, r.Findings...)
		out.entry.Places = append(out.entry.Places, f.placesOf(e, r)...)
		folder := filepath.Join(f.Dir, f.Output, e.Client, e.Stage)
		out.add(filepath.Join(folder, ValuesFile), f.YAML(r))
		if f.GitOps != nil {
			content, err := f.environmentYAML(e)
			if err != nil {
				finding, ok := fileFinding(f.Dir, err, e)
				if !ok {
					return nil, err
				}
				out.findings = append(out.findings, finding)
				continue
			}
			out.add(filepath.Join(folder, EnvironmentFile), content)
		}
		out.entry.Stages = append(out.entry.Stages, e.Stage)
	}
	out.entry.Inputs = used.files
	return out, nil
}

// acrossClients finds what only the comparison of all clients shows, cached ones included.
func (f *Fleet) acrossClients(names []string, work []*clientWork) []Finding {
	all, tags := &claims{dir: f.Dir}, selectable()
	for i, w := range work {
		all.add(names[i], w.entry.Places)
		for _, tag := range w.entry.Tags {
			tags[tag] = true
		}
	}
	return append(all.found, f.waveSelectors(tags)...)
}

// addTags adds the names of an environment's tags.
func (c *clientEntry) addTags(e *Environment) {
	for _, tag := range slices.Sorted(maps.Keys(e.Tags)) {
		if !slices.Contains(c.Tags, tag) {
			c.Tags = append(c.Tags, tag)
		}
	}
}

func (w *clientWork) add(path string, content []byte) {
	made := output{Path: path, Sum: fingerprint(content), content: content}
	w.outputs = append(w.outputs, made)
	w.entry.Outputs = append(w.entry.Outputs, input{Path: path, Sum: made.Sum})
}

// findOrphans finds generated files of stages that a client no longer has. A folder whose stamp shows that it still contains no such
// files is not opened.
func (w *clientWork) findOrphans(seen *observer, folder string) error {
	found := seen.see(folder)
	if found.missing || found.stamp != (stamp{}) && found.stamp == w.entry.Folder {
		return nil
	}
	orphans, other, err := orphansIn(folder, w.entry.Stages)
	if err != nil {
		return err
	}
	w.orphans = orphans
	before := w.entry.Folder
	if w.entry.Folder = found.stamp; other {
		w.entry.Folder = stamp{}
	}
	if w.entry.Folder != before {
		seen.refreshed.Store(true)
	}
	return nil
}

// fileFinding turns an error of a file into a finding, so that one run reports all of them.
func fileFinding(dir string, err error, e *Environment) (Finding, bool) {
	out := Finding{Rule: RuleFile, Severity: SeverityError, Environments: []string{e.Name()}, Text: err.Error()}
	var file *values.FileError
	var described *DescriptionError
	var missing *MissingError
	switch {
	case errors.As(err, &file):
		out.Origin, out.Text = values.Origin{File: file.Path, Line: file.Line}, file.Reason
	case errors.As(err, &described):
		out.Origin = values.Origin{File: described.File, Line: described.Line}
		out.Text = strings.TrimSuffix(err.Error(), described.Error()) + described.Reason
	case errors.As(err, &missing):
		out.File = filepath.Join(dir, FileName)
		out.Text = fmt.Sprintf("%s%q needs {%s}, and there is no such tag or fact", strings.TrimSuffix(err.Error(), missing.Error()),
			missing.Text, missing.Name)
	default:
		return out, false
	}
	return out, true
}

// environmentYAML is the file that the ApplicationSet's generator reads.
func (f *Fleet) environmentYAML(e *Environment) ([]byte, error) {
	table := func(m map[string]string) map[string]any {
		out := make(map[string]any, len(m))
		for key, value := range m {
			out[key] = value
		}
		return out
	}
	cluster, err := f.expand(e, f.GitOps.Cluster)
	if err != nil {
		return nil, err
	}
	namespace, err := f.expand(e, f.GitOps.TargetNamespace)
	if err != nil {
		return nil, err
	}
	text, err := values.YAML(map[string]any{
		"cluster": cluster, "namespace": namespace,
		"client": e.Client, "stage": e.Stage, "service": f.Service, "wave": e.WaveName, "tags": table(e.Tags), "facts": table(e.Facts),
	})
	return append(f.header(), text...), err
}

// finish compares with the files on disk, and writes.
func (f *Fleet) finish(
	ctx context.Context, seen *observer, tree string, names []string, work []*clientWork, known int, basis sum,
	options GenerateOptions,
) (*Generated, error) {
	out := &Generated{Added: []string{}, Changed: []string{}, Orphans: []string{}}
	var pending []output
	var mu sync.Mutex
	if err := parallel(ctx, len(work), func(i int) error {
		if err := work[i].findOrphans(seen, filepath.Join(tree, names[i])); err != nil {
			return err
		}
		for _, made := range work[i].outputs {
			current, err := os.ReadFile(made.Path)
			if err == nil && bytes.Equal(current, made.content) {
				continue
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("comparing with what was generated before: %w", err)
			}
			mu.Lock()
			pending = append(pending, made)
			if err == nil {
				out.Changed = append(out.Changed, made.Path)
			} else {
				out.Added = append(out.Added, made.Path)
			}
			mu.Unlock()
		}
		return nil
	}); err != nil {
		return nil, err
	}
	out.Findings = append(out.Findings, f.acrossClients(names, work)...)
	files := 0
	out.read = int(seen.reads.Load())
	for _, w := range work {
		out.Environments += len(w.entry.Stages)
		out.Resolved += w.resolved
		out.Orphans = append(out.Orphans, w.orphans...)
		out.Findings = append(out.Findings, w.findings...)
		files += len(w.entry.Outputs)
	}
	gone, err := orphanClients(tree, names)
	if err != nil {
		return nil, err
	}
	out.Orphans = append(out.Orphans, gone...)
	out.Unchanged = files - len(pending)
	slices.Sort(out.Added)
	slices.Sort(out.Changed)
	slices.Sort(out.Orphans)
	for _, stray := range f.Strays {
		out.Findings = append(out.Findings, Finding{Rule: RuleStray, Severity: SeverityWarning, Origin: values.Origin{
			File: filepath.Join(f.Dir, stray),
		},
			Text: fmt.Sprintf("the folder %s has no %s, so it is no client", stray, clientFileName)})
	}
	out.Findings = gather(out.Findings)
	if HasErrors(out.Findings) {
		return out, &FindingsError{Findings: out.Findings}
	}
	if options.DryRun {
		return out, nil
	}
	if err := writeAll(ctx, tree, pending); err != nil {
		return nil, err
	}
	if options.Prune {
		if err := prune(tree, out.Orphans); err != nil {
			return nil, err
		}
		out.Pruned = len(out.Orphans) > 0
	}
	if resolved := slices.ContainsFunc(work, func(w *clientWork) bool { return w.outputs != nil }); !resolved && !seen.refreshed.Load() &&
		len(work) == known {
		return out, nil // the cache is current
	}
	entries := make(map[string]clientEntry, len(names))
	for i, w := range work {
		if len(w.findings) == 0 {
			// Each run reports the findings again.
			entries[names[i]] = w.entry
		}
	}
	saveCache(options.Cache, basis, entries)
	return out, nil
}

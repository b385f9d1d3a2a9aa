// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"

	"github.com/slipway-dev/terraform-provider-slipway/internal/regularfile"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/purity"
)

// A text that tpl renders may call tpl with itself, which Helm does not count, and some functions make a list or a text of any length. Go
// ends the whole process when a stack or the memory is exhausted. So a chart that may do that is tried in a process of its own first.

const (
	// trialVariable makes a program that renders the process that tries.
	trialVariable = "SLIPWAY_RENDER_TRIAL"
	// trialStack is more than the thousand nested includes need that Helm allows.
	trialStack = 32 << 20
	// exitMemory is how a trial says that it took too much memory.
	exitMemory = 3
)

// init runs in every program that renders, the tests among them, since each is its own trial.
func init() {
	if os.Getenv(trialVariable) != "" {
		os.Exit(runTrial(os.Stdin))
	}
}

// trial is what the other process gets.
type trial struct {
	Files []*loader.BufferedFile
	Input Input
}

// runTrial renders. Only its end matters: an error of a template is found again by whom it is tried for.
func runTrial(from io.Reader) int {
	debug.SetMaxStack(trialStack)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for ; ; time.Sleep(10 * time.Millisecond) {
			if metrics.Read(sample); sample[0].Value.Uint64() > maxMemory {
				os.Exit(exitMemory)
			}
		}
	}()
	var t trial
	if err := json.NewDecoder(from).Decode(&t); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if ch, err := loader.LoadFiles(t.Files); err == nil {
		_, _ = renderOnce(ch, t.Input) // see above
	}
	return 0
}

// tryOut is nil where the templates end. It costs nothing for a chart that does nothing of the kind.
func tryOut(ctx context.Context, ch *helmchart.Chart, in Input) error {
	if in.Perturbed || len(ch.Raw) == 0 || os.Getenv(trialVariable) != "" || !mayBeUnbounded(ch, in.Values) {
		return nil
	}
	t := trial{Input: in}
	for _, file := range ch.Raw {
		t.Files = append(t.Files, &loader.BufferedFile{Name: file.Name, Data: file.Data})
	}
	t.Input.rewrite = nil
	input, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("trying the templates of chart %s in another process: %w", ch.Name(), err)
	}
	program, err := ownProgram()
	if err != nil {
		return fmt.Errorf("trying the templates of chart %s in another process: %w", ch.Name(), err)
	}
	limited, cancel := context.WithTimeoutCause(ctx, maxTime, errTooLong)
	defer cancel()
	command := exec.CommandContext(limited, program)
	command.Env = []string{trialVariable + "=1"}
	command.Stdin = bytes.NewReader(input)
	var said firstBytes
	command.Stderr = &said
	err = command.Run()
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limited.Err() != nil:
		return errEndless(ch.Name())
	case ended && (exit.ExitCode() == exitMemory || strings.Contains(said.String(), "out of memory")):
		return errUnbounded(ch.Name(), "the templates need more than "+regularfile.Size(maxMemory)+
			" of memory; look for until, untilStep, seq or repeat with a large number")
	case ended && strings.Contains(said.String(), "stack exceeds"):
		return errUnbounded(ch.Name(),
			"the templates call each other without end; look for a value that tpl renders and that calls tpl with itself")
	}
	return fmt.Errorf("trying the templates of chart %s in another process: %w", ch.Name(), err)
}

// ownProgram is the running program, also where its file was replaced meanwhile.
func ownProgram() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

var (
	callsTemplates = regexp.MustCompile(`\{\{[^}]*\b(tpl|template)\b`)
	makesLength    = regexp.MustCompile(`\b(until|untilStep|seq|repeat)\b`)
	// quotedTemplate is a text in an action that has an action itself.
	quotedTemplate = regexp.MustCompile("\\{\\{[^}]*[\"`][^\"`}]*\\{\\{[^\"`]*\\b(tpl|template)\\b")
	largeNumber    = regexp.MustCompile(`[0-9]{6}|[0-9][eE]\+?[0-9]`)
)

// mayBeUnbounded reports that a text which may be given to tpl calls templates itself, or that there is a function that makes something
// of any length, and a large number.
func mayBeUnbounded(ch *helmchart.Chart, values map[string]any) bool {
	var nested, length, large bool
	usesTpl := false
	scalar := func(v any) {
		s := fmt.Sprint(v)
		nested = nested || strings.Contains(s, "{{") && callsTemplates.MatchString(s)
		length = length || strings.Contains(s, "{{") && makesLength.MatchString(s)
		large = large || largeNumber.MatchString(s)
	}
	purity.VisitCharts(ch, func(c *helmchart.Chart) {
		for _, t := range c.Templates {
			nested = nested || quotedTemplate.Match(t.Data)
			usesTpl = usesTpl || bytes.Contains(t.Data, []byte("tpl"))
			length = length || makesLength.Match(t.Data)
			large = large || largeNumber.Match(t.Data)
		}
		for _, f := range c.Files {
			scalar(string(f.Data))
		}
		purity.EachScalar(c.Values, scalar)
	})
	purity.EachScalar(values, scalar)
	return usesTpl && nested || length && large
}

// firstBytes keeps the beginning of what is written.
type firstBytes struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *firstBytes) Write(p []byte) (int, error) {
	if free := 4<<10 - b.Len(); free > 0 {
		b.Buffer.Write(p[:min(free, len(p))])
	}
	return len(p), nil
}

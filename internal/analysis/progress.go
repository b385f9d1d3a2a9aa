// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"fmt"
	"strings"
	"time"
)

// linePause is the least time between two lines of progress.
const linePause = 5 * time.Second

// reporter prints the state of a run at a readable pace.
type reporter struct {
	print   func(string)
	every   time.Duration
	now     time.Time // of the last look
	last    time.Time // of the last line
	printed map[string]string
	abort   string
}

func newReporter(o Options, now time.Time) *reporter {
	r := &reporter{print: o.Progress, every: o.ProgressInterval, now: now, last: now, printed: map[string]string{}}
	if r.print == nil {
		r.print = func(string) {}
	}
	if r.every <= 0 {
		r.every = 30 * time.Second
	}
	r.every = max(r.every, linePause)
	return r
}

// due is when the next line is printed even if nothing changes.
func (r *reporter) due() time.Time { return r.last.Add(r.every) }

func (r *reporter) begin(p Policy, span Span) {
	names := make([]string, 0, len(p.Metrics)+2)
	for _, c := range p.checks() {
		names = append(names, c.name)
	}
	text := fmt.Sprintf("Analysis: watching %s for %s", strings.Join(names, ", "), p.Duration)
	if p.InitialDelay > 0 {
		text += fmt.Sprintf(" after an initial delay of %s", p.InitialDelay)
	}
	if !span.Resumed.IsZero() {
		text += ", resumed; it began at " + span.Start.UTC().Format(time.RFC3339)
	}
	r.line(text + ".")
}

// report prints a line when the result of a check changes, or when no line was printed for long.
func (r *reporter) report(p Policy, span Span, v Verdict, samples []Sample) {
	r.now = span.Now
	since := span.Now.Sub(r.last)
	if since < linePause {
		return
	}
	latest := map[string]Sample{}
	for _, s := range samples {
		if known, ok := latest[s.Check]; !ok || !s.At.Before(known.At) {
			latest[s.Check] = s
		}
	}
	var changed, all []string
	for i, c := range p.checks() {
		s, ok := latest[c.name]
		if !ok {
			continue
		}
		if c.metric != nil {
			s = c.metric.Classify(s)
		}
		text := standing(c, v.Checks[i], s)
		all = append(all, text)
		if before, known := r.printed[c.name]; known && before != string(s.Kind) || !known && s.Kind != Pass {
			changed = append(changed, text)
		}
	}
	switch {
	case len(changed) > 0:
		r.line("Analysis: " + clock(p, span) + ": " + strings.Join(changed, "; "))
	case since >= r.every && len(all) == 0:
		r.line("Analysis: " + clock(p, span) + ": no sample yet")
	case since >= r.every:
		r.line("Analysis: " + clock(p, span) + ": " + strings.Join(all, "; "))
	default:
		return
	}
	for _, c := range p.checks() {
		if s, ok := latest[c.name]; ok {
			if c.metric != nil {
				s = c.metric.Classify(s)
			}
			r.printed[c.name] = string(s.Kind)
		}
	}
}

// clock is the progress of the run.
func clock(p Policy, span Span) string {
	if begin := span.Start.Add(p.InitialDelay); span.Now.Before(begin) {
		return fmt.Sprintf("begins in %s", begin.Sub(span.Now).Round(time.Second))
	}
	return fmt.Sprintf("%s of %s", span.Now.Sub(span.Start.Add(p.InitialDelay)).Round(time.Second), p.Duration)
}

// standing is one check in a line of progress.
func standing(c check, s Standing, latest Sample) string {
	switch {
	case latest.Kind == NoData:
		return fmt.Sprintf("%s has no data (%s)", c.name, evidence(latest))
	case latest.Kind == Error:
		return fmt.Sprintf("%s could not be checked (%s)", c.name, evidence(latest))
	case c.metric == nil && latest.Kind == Fail:
		return fmt.Sprintf("%s failed, %d of %d (%s)", c.name, s.Streak, c.failures+1, evidence(latest))
	case c.metric == nil:
		return fmt.Sprintf("%s passed %s", c.name, times(s.Passed))
	case c.metric.ratio != nil && latest.Kind == Fail:
		return fmt.Sprintf("%s: %s, for %s of %s", c.name, c.metric.shown(latest), latest.At.Sub(s.Since).Round(time.Second), c.metric.For)
	case c.metric.ratio != nil:
		return c.name + ": " + c.metric.shown(latest)
	case latest.Kind == Fail && c.metric.For > 0:
		return fmt.Sprintf("%s is %s, %s, for %s of %s", c.name, c.metric.shown(latest), c.metric.limit(),
			latest.At.Sub(s.Since).Round(time.Second), c.metric.For)
	case latest.Kind == Fail:
		return fmt.Sprintf("%s is %s, %s; the average over %s counts", c.name, c.metric.shown(latest), c.metric.limit(), c.metric.Over)
	}
	return fmt.Sprintf("%s is %s", c.name, c.metric.shown(latest))
}

// abortTrouble reports once that the abort annotation cannot be read, and once that it can be read again.
func (r *reporter) abortTrouble(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch text {
	case r.abort:
	case "":
		r.line("Analysis: the abort annotation can be read again.")
	default:
		r.line("Analysis: the abort annotation cannot be read, the run continues:  " + text)
	}
	r.abort = text
}

func (r *reporter) end(v Verdict) {
	r.line(fmt.Sprintf("Analysis: %s. %s", v.Outcome, v.Reason))
}

func (r *reporter) line(text string) {
	r.last = r.now
	r.print(text)
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package purity finds the templates of a chart whose output may differ between two renderings of the same input.
package purity

import (
	"math/bits"
	"slices"
	"strings"
)

// A chart is impure where a template calls a function whose result another rendering cannot be expected to repeat. Rendering
// twice does not find that: two renderings in one second agree on now, and lookup is empty in all of them. So the parse trees
// are analyzed, and what each template prints is traced back to the impure functions that it can depend on.

// Taint is a set of impure functions, one bit each, in the order of impureFunctions.
type Taint uint64

// impureFunctions are those whose result differs between renderings of the same input:
//
//   - the clock, and everything that falls back to it or to the machine's time zone when it is given something else than a
//     time. date, applied to a string or to a number from a values file, prints the current time.
//   - random numbers, and keys, certificates and ciphers made from them. derivePassword and sha256sum are pure.
//   - lookup, which reads the cluster when Helm applies and finds nothing here.
//   - keys and values, which return a map's content in random order (see orderedBy).
//
// getHostByName is pure here, since Slipway gives the engine no access to DNS; env and expandenv do not exist in Helm.
var impureFunctions = []string{
	"now", "ago", "date", "dateInZone", "date_in_zone", "htmlDate", "htmlDateInZone", "durationRound",
	"randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randBytes", "randInt", "shuffle", "uuidv4",
	"genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert",
	"genSignedCertWithKey", "htpasswd", "bcrypt", "encryptAES",
	"lookup",
	"keys", "values",
}

const (
	// UsesCapabilities is on what can depend on .Capabilities at all, OpaqueCapabilities what depends on it in a way that
	// rendering with other capabilities may fail to show.
	UsesCapabilities   Taint = 1 << 62
	OpaqueCapabilities Taint = 1 << 63
	Impure                   = UsesCapabilities - 1
)

var impureBit = func() map[string]Taint {
	out := make(map[string]Taint, len(impureFunctions))
	for i, name := range impureFunctions {
		out[name] = 1 << i
	}
	return out
}()

// orderBits are the functions that are impure only in the order of their result.
var orderBits = impureBit["keys"] | impureBit["values"]

// orderedBy are functions after which the order of a list does not matter any more.
var orderedBy = map[string]bool{"sortAlpha": true, "len": true, "has": true, "mustHas": true, "empty": true}

// String lists the functions for people: "lookup, now and randAlphaNum".
func (t Taint) String() string {
	var names []string
	for rest := t & Impure; rest != 0; rest &= rest - 1 {
		names = append(names, impureFunctions[bits.TrailingZeros64(uint64(rest))])
	}
	slices.Sort(names)
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// influence is what a value, or the output of a template, can depend on.
type influence struct {
	// Text is what can change the text.
	Text Taint
	// set is what can change which objects the text holds, or their names.
	set Taint
}

func (a influence) with(b influence) influence { return influence{a.Text | b.Text, a.set | b.set} }

// Result is the result for a whole chart.
type Result struct {
	// Files holds what the output of each template file depends on, by its name as in "# Source:".
	Files map[string]influence
	// notes is what NOTES.txt depends on, and all the union over everything.
	notes influence
	All   influence
}

// SetReason says why the set of objects may differ; empty where it cannot. Only the functions in counted matter.
func (p *Result) SetReason(counted Taint) string {
	var names []string
	for name, i := range p.Files {
		if i.set&counted != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	first := p.Files[names[0]].set & counted
	what := first.String()
	if first&Impure == 0 {
		what = "the cluster's capabilities"
	}
	return "which objects there are, or their names, depends on " + what + " in " + names[0]
}

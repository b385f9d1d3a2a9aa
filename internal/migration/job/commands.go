// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Phase is a step of a migration that a tool of the team makes.
type Phase string

// The phases, in the order in which an apply runs them. PhaseStatus is asked where it is not known what has run; PhaseRollback replaces
// PhaseRun in a rollback.
const (
	PhaseStatus   Phase = "status"
	PhaseCheck    Phase = "check"
	PhaseRun      Phase = "run"
	PhaseRollback Phase = "rollback"
	PhaseValidate Phase = "validate"
)

// Commands are a tool that migrates: an image with commands. Kubernetes expands $(NAME) in them. A command has succeeded when it ends
// with exit code 0.
type Commands struct {
	// Version of the schema after PhaseRun. The same tool of another version, another image, or other commands or variables is pending.
	Version string
	Image   string
	// Run migrates. A killed run is repeated, so the tool itself must know what it has done.
	Run []string
	// Check comes before Run, Validate after it. Neither may change anything. Status is asked where the record is lost or a run was cut
	// off: exit code 0 says that nothing is left to run. All may be empty.
	Check, Validate, Status []string
	// Rollback returns from the present version to Version, in the image that has made the present one, and only where AllowRollback is
	// set.
	Rollback      []string
	AllowRollback bool
	Env           map[string]string
	SecretEnv     map[string]SecretKey
	// URLVariable is the variable that holds the database's URL. Default DATABASE_URL.
	URLVariable string
	// User is the number of the user that the commands run as. 0: that of the image, which must not be root.
	User int64
}

// DefaultURLVariable holds the database's URL.
const DefaultURLVariable = "DATABASE_URL"

// Progress is what is recorded of a migration by commands.
type Progress struct {
	// Version of the schema. Empty: nothing has run.
	Version string
	// Images are those that have made the versions which are recorded, the present one and those before it.
	Images map[string]string
	// Passed are the phases that have succeeded since, with the digest of what ran: PhaseRun (or what went back) and PhaseValidate.
	Passed map[Phase]string
}

// Passed is what Progress.Passed is when all is done.
func (c *Commands) Passed() map[Phase]string {
	out := map[Phase]string{PhaseRun: c.runDigest()}
	if len(c.Validate) > 0 {
		out[PhaseValidate] = c.validateDigest()
	}
	return out
}

// Progress is what it is when all is done, after now. Images is nil where that is not known: in a rollback.
func (c *Commands) Progress(now Progress) Progress {
	out := Progress{Version: c.Version, Passed: c.Passed()}
	if !c.rollsBack(now) {
		out.Images = maps.Clone(now.Images)
		if out.Images == nil {
			out.Images = map[string]string{}
		}
		out.Images[c.Version] = c.Image
	}
	return out
}

// Pending are the phases that are to be run, in order. It is a function of its arguments alone. The error is a *RollbackError.
func (c *Commands) Pending(now Progress) ([]Phase, error) {
	var out []Phase
	add := func(phase Phase, command []string) {
		if len(command) > 0 {
			out = append(out, phase)
		}
	}
	switch {
	case now.Version == c.Version && now.Passed[PhaseRun] == c.runDigest():
		if now.Passed[PhaseValidate] != c.validateDigest() {
			add(PhaseValidate, c.Validate)
		}
		return out, nil
	case c.rollsBack(now):
		if err := c.mayRollBack(now); err != nil {
			return nil, err
		}
		add(PhaseCheck, c.Check)
		add(PhaseRollback, c.Rollback)
	default:
		if older(c.Version, now.Version) {
			return nil, &RollbackError{From: now.Version, To: c.Version, Unknown: true}
		}
		add(PhaseCheck, c.Check)
		add(PhaseRun, c.Run)
	}
	add(PhaseValidate, c.Validate)
	return out, nil
}

// rollsBack reports that the version is one from before the present one.
func (c *Commands) rollsBack(now Progress) bool {
	_, recorded := now.Images[c.Version]
	return recorded && c.Version != now.Version
}

func (c *Commands) mayRollBack(now Progress) error {
	if len(c.Rollback) > 0 && c.AllowRollback {
		return nil
	}
	return &RollbackError{From: now.Version, To: c.Version, NoCommand: len(c.Rollback) == 0}
}

// older compares versions that are plainly semantic ones. Others, such as commits, have no order.
func older(a, b string) bool {
	first, err := semver.StrictNewVersion(strings.TrimPrefix(a, "v"))
	if err != nil {
		return false
	}
	second, err := semver.StrictNewVersion(strings.TrimPrefix(b, "v"))
	return err == nil && first.LessThan(second)
}

// runDigest is of all that decides about what Run does.
func (c *Commands) runDigest() string {
	parts := []string{"run", c.Version, c.Image, c.urlVariable(), fmt.Sprint(c.User)}
	parts = append(parts, c.Run...)
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		parts = append(parts, "env", name, c.Env[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.SecretEnv)) {
		parts = append(parts, "secret", name, c.SecretEnv[name].Name, c.SecretEnv[name].Key)
	}
	return digest(parts)
}

func (c *Commands) validateDigest() string {
	return digest(append([]string{"validate", c.runDigest()}, c.Validate...))
}

func digest(parts []string) string {
	hash := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(hash, "%q\n", part) // a hash takes everything
	}
	return "v1:" + hex.EncodeToString(hash.Sum(nil)[:10])
}

func (c *Commands) urlVariable() string {
	if c.URLVariable == "" {
		return DefaultURLVariable
	}
	return c.URLVariable
}

// work is what a phase runs. A rollback is run by the image that has made the present version: an older one does not know it.
func (c *Commands) work(phase Phase, now Progress) phaseWork {
	w := phaseWork{phase: phase, image: c.Image, command: c.of(phase), version: c.Version, from: now.Version, digest: c.runDigest()}
	if image := now.Images[now.Version]; phase == PhaseRollback && image != "" {
		w.image = image
	}
	if phase == PhaseValidate {
		w.digest = c.validateDigest()
	}
	return w
}

func (c *Commands) of(phase Phase) []string {
	return map[Phase][]string{
		PhaseStatus: c.Status, PhaseCheck: c.Check, PhaseRun: c.Run, PhaseRollback: c.Rollback, PhaseValidate: c.Validate,
	}[phase]
}

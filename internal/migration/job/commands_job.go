// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/task"
)

// What a Job says of its phase, for a run that finds it.
const (
	annotationPhase   = "slipway.dev/migration-phase"
	annotationVersion = "slipway.dev/migration-version"
	annotationDigest  = "slipway.dev/migration-digest"
)

// phaseWork is a phase with what it runs.
type phaseWork struct {
	phase   Phase
	image   string
	command []string
	// version is what the schema has afterwards, from what it had before.
	version, from string
	// digest of what has passed when it has succeeded.
	digest string
}

// job is the Job of the phase, not yet to be started. It satisfies the Pod Security Standard "restricted", and its pods have no token.
func (w phaseWork) job(run *applyRun, c *Commands) *batchv1.Job {
	handle := run.target.Handle
	env := map[string]string{
		"SLIPWAY_CLIENT": handle.Client, "SLIPWAY_STAGE": handle.Stage, "SLIPWAY_NAMESPACE": handle.Namespace,
		"SLIPWAY_MIGRATION": run.target.Name, "SLIPWAY_PHASE": string(w.phase), "SLIPWAY_VERSION": w.version, "SLIPWAY_FROM_VERSION": w.from,
	}
	maps.Copy(env, c.Env)
	hash := sha256.Sum256(fmt.Appendf(nil, "v1\n%s\n%s\n%q", w.phase, w.digest, w.command))
	name := jobPrefix(run.target) + hex.EncodeToString(hash[:5])
	secrets := maps.Clone(c.SecretEnv)
	if secrets == nil {
		secrets = map[string]SecretKey{}
	}
	switch {
	case run.options.Credentials != nil:
		secrets[c.urlVariable()] = *run.options.Credentials
	case run.options.DatabaseURL != "":
		secrets[c.urlVariable()] = SecretKey{Name: name, Key: secretKey}
	}
	meta := run.target.meta(name)
	out := task.Spec{
		Namespace: meta.Namespace, Name: name, Labels: meta.Labels, Container: container, Image: w.image, Command: w.command,
		Env: env, SecretEnv: secrets, ServiceAccount: accountName, PullSecrets: run.options.PullSecrets, User: c.User,
		Grace: 30 * time.Second, Deadline: run.options.Timeout + margin,
	}.Job()
	out.Annotations = map[string]string{annotationPhase: string(w.phase), annotationVersion: w.version, annotationDigest: w.digest}
	out.Spec.Suspend = new(true)
	// Two of them at once would be in each other's way.
	out.Spec.PodReplacementPolicy = new(batchv1.Failed)
	return out
}

// workOf is what a Job that was found runs. known is false where it is none of a phase.
func workOf(j *batchv1.Job) (w phaseWork, known bool) {
	w = phaseWork{
		phase:   Phase(j.Annotations[annotationPhase]),
		version: j.Annotations[annotationVersion],
		digest:  j.Annotations[annotationDigest],
	}
	if containers := j.Spec.Template.Spec.Containers; len(containers) > 0 {
		w.image, w.command = containers[0].Image, containers[0].Command
	}
	return w, strings.TrimSpace(string(w.phase)) != ""
}

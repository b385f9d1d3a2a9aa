// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package dryrun

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// answers sorts and collects what the API server says. It is safe for concurrent use.
type answers struct {
	next *render.Result

	mu         sync.Mutex
	refusals   []Refusal
	overwrites []Overwrite
	takeovers  []Takeover
	skipped    map[string][]string // by reason
}

func newAnswers(next *render.Result) *answers {
	return &answers{next: next, skipped: map[string][]string{}}
}

func (a *answers) overwrite(found []Overwrite) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.overwrites = append(a.overwrites, found...)
}

func (a *answers) takeOver(taken Takeover) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.takeovers = append(a.takeovers, taken)
}

func (a *answers) refuse(key object.Key, reason, message string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refusals = append(a.refusals, Refusal{Object: key, Reason: reason, Message: a.next.Secrets.Text(message)})
}

func (a *answers) skip(reason string, key object.Key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.skipped[reason], key.Short()) {
		a.skipped[reason] = append(a.skipped[reason], key.Short())
	}
}

func (a *answers) result() *Result {
	out := &Result{Refusals: a.refusals, Overwrites: a.overwrites, Takeovers: a.takeovers}
	slices.SortFunc(out.Refusals, func(x, y Refusal) int {
		return strings.Compare(string(x.Object)+"\x00"+x.Message, string(y.Object)+"\x00"+y.Message)
	})
	slices.SortFunc(out.Overwrites, func(x, y Overwrite) int {
		return strings.Compare(string(x.Object)+"\x00"+x.Path, string(y.Object)+"\x00"+y.Path)
	})
	slices.SortFunc(out.Takeovers, func(x, y Takeover) int { return strings.Compare(string(x.Object), string(y.Object)) })
	for _, reason := range slices.Sorted(maps.Keys(a.skipped)) {
		names := a.skipped[reason]
		slices.Sort(names)
		out.Skipped = append(out.Skipped, fmt.Sprintf("%s: %s", strings.Join(names, ", "), a.next.Secrets.Text(reason)))
	}
	return out
}

// refusedBy sorts the API server's answer: a missing right and a webhook without dry runs are reported, what says nothing about the
// object prevents the dry run, and all else is a refusal. prefix begins its message.
func (a *answers) refusedBy(key object.Key, prefix string, err error) error {
	var status apierrors.APIStatus
	switch {
	case cluster.LacksRight(err):
		a.skip("not validated for lack of a right: "+cluster.AnswerText(err), key)
		return nil
	case strings.Contains(err.Error(), "does not support dry run"):
		a.skip("not validated, since an admission webhook does not support dry runs: "+cluster.AnswerText(err), key)
		return nil
	case cluster.IsTransient(err) || !errors.As(err, &status) || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTimeout(err) || apierrors.IsServiceUnavailable(err):
		return fmt.Errorf("validating %s: %w", key, err)
	case missingNamespace(status) != "" && a.rendersNamespace(missingNamespace(status)):
		a.skip("not validated, since their namespace "+missingNamespace(status)+" comes with the same release", key)
		return nil
	}
	reason := string(status.Status().Reason)
	if reason == "" {
		reason = "Refused"
	}
	a.refuse(key, reason, prefix+cluster.AnswerText(err))
	return nil
}

func (a *answers) rendersNamespace(name string) bool {
	_, there := a.next.ByKey[object.Key("v1/Namespace/"+name)]
	return there
}

// missingNamespace is the namespace that an object was to be made in and that does not exist.
func missingNamespace(status apierrors.APIStatus) string {
	details := status.Status().Details
	if status.Status().Reason == metav1.StatusReasonNotFound && details != nil && details.Kind == "namespaces" {
		return details.Name
	}
	return ""
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/cli-runtime/pkg/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmkube"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// explainPods turns the end of a wait for the pods of a check into what it says about the version. Only a program that ran can refuse
// it; one that could not be started, or was taken off its node, says nothing.
func (r *checkRun) explainPods(what string, err error, infos []*resource.Info) error {
	if r.caller.Err() != nil {
		return err // It was interrupted, which runCheck says.
	}
	var (
		notReady *rollout.NotReadyError
		denied   *helmkube.RefusedError
	)
	failure := r.kube.Failure()
	if failure == nil {
		failure = err
	}
	switch {
	case errors.As(failure, &notReady):
		out := r.notMade(notReady.Cause)
		out.Refused = !notReady.Hindered() && r.waiter.Ran(r.caller, infos)
		out.Log = reportLines(notReady.Reports)
		return out
	case errors.As(failure, &denied):
		return r.notMade("the API server refused it: " + denied.Error())
	case errors.Is(failure, operation.ErrDeadline):
		out := r.notMade(fmt.Sprintf("%s was not done after %s", what, r.check.timeout()))
		out.Log = reportLines(r.waiter.Pending)
		if out.Refused = r.waiter.Ran(r.caller, infos); !out.Refused {
			out.Problem = r.env.Secrets.Text(fmt.Sprintf("%s was not begun within %s%s", what, r.check.timeout(), firstObserved(r.waiter.Pending)))
		}
		return out
	}
	return err
}

func firstObserved(reports []rollout.ObjectReport) string {
	for _, report := range reports {
		if report.Observed != "" {
			return ": " + report.Observed
		}
	}
	return ""
}

// reportLines are the details of reports: containers, events, last lines of logs.
func reportLines(reports []rollout.ObjectReport) []string {
	var lines []string
	for _, report := range reports {
		for _, detail := range report.Details {
			lines = append(lines, strings.Split(detail, "\n")...)
		}
	}
	return lines
}

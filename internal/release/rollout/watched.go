// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
)

// watched is one object that is waited for.
type watched struct {
	info *resource.Info
	// live is what was seen last, nil where it is not there.
	live   *unstructured.Unstructured
	status status
	// since is when each kind of trouble was first seen without a break.
	since map[string]time.Time
	// restarts are those that containers had when they were first looked at. Pods that crashed before may well run now, with
	// another ConfigMap for example. Nil before the first look.
	restarts map[string]int32
	// podsAt is when the pods were last looked at, and podTrouble what was found.
	podsAt     time.Time
	podTrouble *trouble
}

func newWatched(info *resource.Info) *watched {
	return &watched{info: info, since: map[string]time.Time{}, status: status{text: "not looked at yet"}}
}

// overdue returns trouble that has lasted too long.
func (o *watched) overdue() *trouble {
	t := o.status.trouble
	if t == nil {
		clear(o.since)
		return nil
	}
	for kind := range o.since {
		if kind != t.kind {
			delete(o.since, kind)
		}
	}
	first, seen := o.since[t.kind]
	if !seen {
		first = time.Now()
		o.since[t.kind] = first
	}
	if time.Since(first) >= t.grace {
		return t
	}
	return nil
}

// remember keeps the restarts that the first look finds.
func (o *watched) remember(pods []corev1.Pod) {
	if o.restarts != nil {
		return
	}
	o.restarts = map[string]int32{}
	for i := range pods {
		for _, c := range containerStates(&pods[i]) {
			o.restarts[pods[i].Name+"/"+c.Name] = c.RestartCount
		}
	}
}

func notReady(all []*watched) []*watched {
	var open []*watched
	for _, o := range all {
		if !o.status.ready {
			open = append(open, o)
		}
	}
	return open
}

func rank(o *watched) int {
	if o.status.trouble != nil {
		return 0
	}
	return 1
}

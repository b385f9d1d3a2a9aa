// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"fmt"
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
	// least is how many pods an autoscaler of the release will give the workload, 0 where that is not known. few is when it was first seen
	// to have fewer, although it was ready.
	least int64
	few   time.Time
}

// scaledWithin is how long an autoscaler may take to raise a workload to its least number of pods: it looks every 15 seconds.
const scaledWithin = time.Minute

// scaled is the status of a ready workload with its autoscaler in mind: pods that it adds at once would not be ready after the apply. One
// that does not act in time is not waited for, and one whose workload is scaled to zero is off.
func (o *watched) scaled(ready status) status {
	replicas, found, err := unstructured.NestedInt64(o.live.Object, "spec", "replicas")
	if err != nil || !found || replicas == 0 || replicas >= o.least {
		return ready
	}
	if o.few.IsZero() {
		o.few = time.Now()
	}
	if time.Since(o.few) >= scaledWithin {
		return ready
	}
	return status{unseen: true, text: fmt.Sprintf("%d pods wanted, and its autoscaler has not raised them to %d yet", replicas, o.least)}
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

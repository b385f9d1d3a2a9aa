// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/slipway-dev/terraform-provider-slipway/test/istio"
)

// users is a pod that sends requests to a client's service.
type users struct {
	place  place
	client client
}

const usersPod = "users"

// startUsers returns once the service answers them at path.
func startUsers(ctx context.Context, p place, c client, path string) (*users, error) {
	return startPod(ctx, p, c, nil, "-rate=20", fmt.Sprintf("http://%s.%s%s", serviceName, c.namespace, path))
}

// startCallers returns once the service answers their gRPC calls, whose routes come from istiod.
func startCallers(ctx context.Context, p place, c client) (*users, error) {
	env := []corev1.EnvVar{
		{Name: "POD_IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
		{Name: "GRPC_XDS_BOOTSTRAP_CONFIG", Value: istio.Bootstrap(usersPod, c.namespace)},
	}
	return startPod(ctx, p, c, env, "-rate=100", "-workers=16", "-timeout=10s",
		fmt.Sprintf("xds:///%s.%s.svc.cluster.local:9090", serviceName, c.namespace))
}

func startPod(ctx context.Context, p place, c client, env []corev1.EnvVar, args ...string) (*users, error) {
	u := &users{p, c}
	if err := u.stop(); err != nil { // what a killed demo left
		return nil, err
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: usersPod},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: ptr.To[int64](1),
			AutomountServiceAccountToken:  ptr.To(false),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   ptr.To(true),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name:  usersPod,
				Image: cmp.Or(p.repository, "registry.company.com/data-collection") + ":" + newVersion,
				Args:  append([]string{"load", "-duration=30m", "-every=200ms"}, args...),
				Env:   env,
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	if _, err := p.client.CoreV1().Pods(c.namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("starting the users of %s: %w", c.name, err)
	}
	deadline, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		r, err := u.report(deadline)
		if err == nil && r.Requests > r.Failed {
			return u, nil
		}
		select {
		case <-deadline.Done():
			return nil, fmt.Errorf("the users of %s get no answer: %w", c.name, cmp.Or(err, deadline.Err()))
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// stop ends the pod and waits until it is gone.
func (u *users) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	pods := u.place.client.CoreV1().Pods(u.client.namespace)
	for {
		err := pods.Delete(ctx, usersPod, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("ending the users of %s: %w", u.client.name, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// usersReport says how the requests were answered so far.
type usersReport struct {
	Requests int `json:"requests"`
	Failed   int `json:"failed"`
	Unserved int `json:"unserved"`
	// Codes counts answers by their code; "none" are requests without one.
	Codes    map[string]int `json:"codes"`
	Versions map[string]struct {
		Requests int       `json:"requests"`
		Failed   int       `json:"failed"`
		First    time.Time `json:"first"`
		Last     time.Time `json:"last"`
	} `json:"versions"`
}

func (u *users) report(ctx context.Context) (usersReport, error) {
	var r usersReport
	raw, err := u.place.client.CoreV1().Pods(u.client.namespace).GetLogs(usersPod,
		&corev1.PodLogOptions{TailLines: ptr.To[int64](2)}).DoRaw(ctx)
	if err != nil {
		return r, fmt.Errorf("asking the users of %s: %w", u.client.name, err)
	}
	// The last line may be cut off, as it is being written.
	lines := slices.DeleteFunc(slices.Collect(strings.Lines(string(raw))), func(line string) bool { return !strings.HasSuffix(line, "\n") })
	if len(lines) == 0 {
		return r, fmt.Errorf("the users of %s say nothing yet", u.client.name)
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		return r, fmt.Errorf("the users of %s say %q: %w", u.client.name, lines[len(lines)-1], err)
	}
	return r, nil
}

// show prints the report. It is an error when others than the bad version failed requests.
func (r usersReport) show(s *screen) error {
	others := r.Unserved
	for _, version := range slices.Sorted(maps.Keys(r.Versions)) {
		a := r.Versions[version]
		s.say("  %s answered %5d requests, of which %d failed; for %.1f s", version, a.Requests, a.Failed, a.Last.Sub(a.First).Seconds())
		if version != badVersion {
			others += a.Failed
		}
	}
	s.say("  without an answer: %d", r.Unserved)
	if others > 0 {
		return fmt.Errorf("%d requests failed beyond those that %s failed", others, badVersion)
	}
	s.say("%s No request failed but those that the bad version itself answered with an error.", s.style("32", "✓"))
	return nil
}

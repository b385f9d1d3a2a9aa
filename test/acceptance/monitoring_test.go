// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

const (
	monitoring     = "monitoring"
	loadPod        = "users"
	sampleImage    = "registry.company.com/data-collection:"
	prometheusPort = "9090"
)

// prometheus makes a Service for the cluster's Prometheus that is this client's alone, so that a test can take it away and
// count who asks it. It returns the Service's name.
func (c tenant) prometheus() string {
	c.t.Helper()
	services := harness.Kubernetes(c.t).CoreV1().Services(monitoring)
	shared, err := services.Get(c.t.Context(), "prometheus", metav1.GetOptions{})
	if err != nil {
		c.t.Fatalf("the cluster has no Prometheus (test/cluster-up.sh brings one with it): %v", err)
	}
	own := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "prometheus-" + c.client},
		Spec: corev1.ServiceSpec{
			Selector: shared.Spec.Selector,
			Ports:    []corev1.ServicePort{{Name: "http", Port: 9090, TargetPort: shared.Spec.Ports[0].TargetPort}},
		},
	}
	if _, err := services.Create(c.t.Context(), own, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { c.losePrometheus() })
	harness.Eventually(c.t, "Prometheus answers", func(ctx context.Context) bool {
		_, err := services.ProxyGet("http", own.Name, prometheusPort, "/-/ready", nil).DoRaw(ctx)
		return err == nil
	})
	return own.Name
}

// losePrometheus takes this client's Prometheus away.
func (c tenant) losePrometheus() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), 30*time.Second)
	defer cancel()
	err := harness.Kubernetes(c.t).CoreV1().Services(monitoring).Delete(ctx, "prometheus-"+c.client, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		c.t.Error(err)
	}
}

// report is what the load says about the answers so far; see examples/data-collection/internal/probe.
type report struct {
	Requests int                `json:"requests"`
	Failed   int                `json:"failed"`
	Unserved int                `json:"unserved"`
	Versions map[string]answers `json:"versions"`
	Errors   []string           `json:"errors"`
}

type answers struct {
	Requests int       `json:"requests"`
	Failed   int       `json:"failed"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// callsPerTransition is the least number of requests that each measured transition has to answer, from SLIPWAY_TEST_CALLS. Zero is what the
// users happen to send: more would take processors from the tests that run at the same time.
func callsPerTransition(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SLIPWAY_TEST_CALLS")
	if text == "" {
		return 0
	}
	calls, err := strconv.Atoi(text)
	if err != nil || calls < 1 {
		t.Fatalf("SLIPWAY_TEST_CALLS is %q, and must be a number", text)
	}
	return calls
}

// rateOfMany is requests per second where a number of them is asked for: most of them are sent while something changes.
const rateOfMany = 500

// users sends requests to the release's Service from a pod, as the client's users do, until the test ends. It returns once they
// are answered.
func (c tenant) users(rate int) {
	c.t.Helper()
	if callsPerTransition(c.t) > 0 {
		rate = rateOfMany
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: loadPod},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: ptr.To[int64](1),
			Containers: []corev1.Container{{
				Name:  loadPod,
				Image: sampleImage + "v1.1.1",
				Args: []string{"load", "-duration=1h", "-every=200ms", fmt.Sprintf("-rate=%d", rate),
					fmt.Sprintf("http://%s.%s/version", releaseName, c.namespace)},
			}},
		},
	}
	if _, err := harness.Kubernetes(c.t).CoreV1().Pods(c.namespace).Create(c.t.Context(), pod, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
	harness.Eventually(c.t, "the service answers its users", func(context.Context) bool {
		r := c.served()
		return r.Requests > r.Failed+rate
	})
}

// served is how the users' requests were answered up to now.
func (c tenant) served() report {
	c.t.Helper()
	// The last line may be cut off, as it is being written.
	raw, err := harness.Kubernetes(c.t).CoreV1().Pods(c.namespace).GetLogs(loadPod,
		&corev1.PodLogOptions{TailLines: ptr.To[int64](2)}).DoRaw(c.t.Context())
	if err != nil {
		return report{} // not started yet
	}
	var newest report
	for line := range strings.Lines(string(raw)) {
		var r report
		if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &r) == nil {
			newest = r
		}
	}
	return newest
}

// outage is what the users had to bear in addition to what a bad version did to them.
type outage struct {
	before, after report
	during        int    // requests while it was done; the rest came right after it
	bad           string // version
}

// beyondTheBadVersion are the requests that failed without the bad version having answered them.
func (o outage) beyondTheBadVersion() int {
	failed := o.after.Unserved - o.before.Unserved
	for version, a := range o.after.Versions {
		if version != o.bad {
			failed += a.Failed - o.before.Versions[version].Failed
		}
	}
	return failed
}

// whileServed runs something and returns what the users saw meanwhile and for a second afterwards, longer where more requests are
// asked for.
func (c tenant) whileServed(bad string, do func()) outage {
	c.t.Helper()
	o := outage{before: c.served(), bad: bad}
	do()
	o.during = c.served().Requests - o.before.Requests
	time.Sleep(time.Second)
	least := callsPerTransition(c.t)
	harness.Eventually(c.t, fmt.Sprintf("%d requests were sent", least), func(context.Context) bool {
		o.after = c.served()
		return o.after.Requests-o.before.Requests >= least
	})
	if o.after.Requests <= o.before.Requests {
		c.t.Fatalf("the users sent no request: %+v", o.after)
	}
	return o
}

// keptAnswering demands that no request failed but those that the bad version itself failed.
func (o outage) keptAnswering(t *testing.T) {
	t.Helper()
	what := fmt.Sprintf("%d requests, %d of them meanwhile", o.after.Requests-o.before.Requests, o.during)
	if bad, answered := o.after.Versions[o.bad]; answered {
		what += fmt.Sprintf(", %d answered by %s, of which %d failed", bad.Requests, o.bad, bad.Failed)
	}
	t.Logf("FIGURE %s: %s; %d failed beyond those", t.Name(), what, o.beyondTheBadVersion())
	if n := o.beyondTheBadVersion(); n != 0 {
		t.Errorf("%d requests failed beyond those that %s failed: %+v", n, o.bad, o.after)
	}
}

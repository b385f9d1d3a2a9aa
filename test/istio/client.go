// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package istio proves where calls land. Its clients are pods that dial a host as proxyless gRPC clients do: they take routes
// and endpoints from the cluster's istiod, which reads VirtualServices, DestinationRules and HTTPRoutes, and send calls to
// the sample service (examples/data-collection), which reports its version in each answer.
//
// A test starts a client, changes a split while it runs, and looks at its reports:
//
//	users := istio.Start(t, kube, istio.Options{Namespace: ns, Host: "data-collection-service", Port: 9090, Image: image})
//	before := users.Report()
//	apply()
//	if during := users.Report().Since(before); during.Failed > 0 { … }
package istio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// Options are who calls what.
type Options struct {
	// Namespace is where the client runs. The host is a Service in it.
	Namespace string
	// Name is the pod's, default "calls". Several clients in a namespace need names of their own.
	Name string
	// Host and Port are what it dials: the name of a Service, and the port of its gRPC.
	Host string
	Port int
	// Image is the sample service's, which holds the client.
	Image string
	// Headers are sent with each call.
	Headers map[string]string
	// Direct makes it a caller that does not take routes from istiod: it dials the Service itself, with one connection.
	Direct bool
	// Rate is calls per second, default 200.
	Rate int
}

// Report is how calls were answered so far. It is the report of the sample service's load.
type Report struct {
	Requests int `json:"requests"`
	Failed   int `json:"failed"`
	// Codes counts answers by gRPC's code; "none" are calls without an answer.
	Codes    map[string]int     `json:"codes"`
	Versions map[string]Answers `json:"versions"`
	// Reselected counts how often the client chose a route again before it sent a call: grpc-go puts new routes in effect before
	// its balancer knows where they lead.
	Reselected int      `json:"reselected"`
	Errors     []string `json:"errors"`
}

// Answers are those of one version, with the times at which the first and the last of these calls were sent.
type Answers struct {
	Requests int       `json:"requests"`
	Failed   int       `json:"failed"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// Client is a running client.
type Client struct {
	t    *testing.T
	kube kubernetes.Interface
	o    Options
}

const (
	// patience is how long a client may take to start, and to make the calls that are waited for.
	patience = 2 * time.Minute
	poll     = 100 * time.Millisecond
)

// Start starts a client that runs until the test ends. It returns once calls are answered, and forgets those before: the
// first ones may have been sent before the control plane knew the endpoints.
func Start(t *testing.T, kube kubernetes.Interface, o Options) *Client {
	t.Helper()
	if o.Name == "" {
		o.Name = "calls"
	}
	if o.Rate == 0 {
		o.Rate = 200
	}
	c := &Client{t: t, kube: kube, o: o}
	pod := c.pod()
	if _, err := kube.CoreV1().Pods(o.Namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatalf("starting the client %s: %v", o.Name, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		err := kube.CoreV1().Pods(o.Namespace).Delete(ctx, o.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	c.until("the calls of "+o.Name+" are answered", func(r Report) bool { return r.Requests > r.Failed+o.Rate/4 })
	return c
}

// Bootstrap is the value of GRPC_XDS_BOOTSTRAP_CONFIG for a pod with the variable POD_IP, which the kubelet fills in. The node's id is what
// istiod identifies proxies by.
func Bootstrap(pod, namespace string) string {
	return fmt.Sprintf(`{"xds_servers": [{"server_uri": "istiod.istio-system.svc.cluster.local:15010",
	"channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
"node": {"id": "sidecar~$(POD_IP)~%[1]s.%[2]s~%[2]s.svc.cluster.local",
	"metadata": {"GENERATOR": "grpc", "NAMESPACE": "%[2]s", "CLUSTER_ID": "Kubernetes", "INSTANCE_IPS": "$(POD_IP)"}}}`,
		pod, namespace)
}

func (c *Client) pod() *corev1.Pod {
	o := c.o
	args := []string{"load", "-duration=1h", "-every=100ms", fmt.Sprintf("-rate=%d", o.Rate), "-workers=16", "-timeout=10s"}
	for name, value := range o.Headers {
		args = append(args, "-header="+name+"="+value)
	}
	slices.Sort(args[6:])
	resolver := "xds"
	if o.Direct {
		resolver = "dns"
	}
	args = append(args, fmt.Sprintf("%s:///%s.%s.svc.cluster.local:%d", resolver, o.Host, o.Namespace, o.Port))
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace, Labels: map[string]string{"app.kubernetes.io/name": "calls"}},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: ptr.To[int64](1),
			AutomountServiceAccountToken:  ptr.To(false),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   ptr.To(true),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "calls", Image: o.Image, Args: args,
				Env: []corev1.EnvVar{
					{Name: "POD_IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
					{Name: "GRPC_XDS_BOOTSTRAP_CONFIG", Value: Bootstrap(o.Name, o.Namespace)},
				},
				Resources: corev1.ResourceRequirements{},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// Report is how calls were answered since the client started.
func (c *Client) Report() Report {
	c.t.Helper()
	r, err := c.newest()
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (c *Client) newest() (Report, error) {
	raw, err := c.kube.CoreV1().Pods(c.o.Namespace).GetLogs(c.o.Name, &corev1.PodLogOptions{TailLines: ptr.To[int64](2)}).DoRaw(c.t.Context())
	if err != nil {
		return Report{}, fmt.Errorf("reading what the client %s reports: %w", c.o.Name, err)
	}
	var newest Report
	// The last line may be cut off, as it is being written.
	for line := range strings.Lines(string(raw)) {
		var r Report
		if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &r) == nil {
			newest = r
		}
	}
	return newest, nil
}

// Next waits for n more calls and returns their answers alone.
func (c *Client) Next(n int) Report {
	c.t.Helper()
	before := c.Report()
	after := c.until(fmt.Sprintf("%d calls more", n), func(r Report) bool { return r.Requests >= before.Requests+n })
	return after.Since(before)
}

// Until waits until the latest of n calls were answered as wanted. New routes take a moment to reach a client.
func (c *Client) Until(what string, n int, wanted func(Report) bool) Report {
	c.t.Helper()
	begin := time.Now()
	for {
		r := c.Next(n)
		if wanted(r) {
			return r
		}
		if time.Since(begin) > patience {
			c.t.Fatalf("%s: not within %s, the last %d calls: %+v", what, patience, n, r)
		}
	}
}

func (c *Client) until(what string, done func(Report) bool) Report {
	c.t.Helper()
	var last Report
	var problem error
	for begin := time.Now(); time.Since(begin) < patience; {
		last, problem = c.newest()
		if problem == nil && done(last) {
			return last
		}
		select {
		case <-c.t.Context().Done():
			c.t.Fatal(c.t.Context().Err())
		case <-time.After(poll):
		}
	}
	c.t.Fatalf("%s: not within %s, up to now %+v (%v)", what, patience, last, problem)
	return Report{}
}

// Since are the answers that came after an earlier report of the same client.
func (r Report) Since(before Report) Report {
	r.Requests -= before.Requests
	r.Failed -= before.Failed
	r.Reselected -= before.Reselected
	codes := map[string]int{}
	for code, n := range r.Codes {
		if n -= before.Codes[code]; n > 0 {
			codes[code] = n
		}
	}
	r.Codes = codes
	versions := map[string]Answers{}
	for version, a := range r.Versions {
		a.Requests -= before.Versions[version].Requests
		a.Failed -= before.Versions[version].Failed
		if a.Requests > 0 {
			versions[version] = a
		}
	}
	r.Versions = versions
	return r
}

// Share is the part of the calls that a version answered, from 0 to 1.
func (r Report) Share(version string) float64 {
	if r.Requests == 0 {
		return 0
	}
	return float64(r.Versions[version].Requests) / float64(r.Requests)
}

// ErrShare means that a share is too unlikely to be chance.
var ErrShare = errors.New("outside of what chance allows")

// Within is nil where a version's share is as far from the wanted one (0 to 1) as chance allows: five standard deviations
// of the binomial distribution, which one of 1.7 million right splits leaves. A share of 0 or 1 is exact.
func (r Report) Within(version string, share float64) error {
	n, got := float64(r.Requests), float64(r.Versions[version].Requests)
	bound := 5 * math.Sqrt(n*share*(1-share))
	if r.Requests > 0 && math.Abs(got-n*share) <= bound {
		return nil
	}
	return fmt.Errorf("%s answered %.0f of %.0f calls, which is %w: %.0f ± %.0f", version, got, n, ErrShare, n*share, bound)
}

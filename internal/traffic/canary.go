// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// CanaryTarget is a split of the traffic between two tracks.
type CanaryTarget struct {
	Cluster *cluster.Cluster
	Handle  environment.Handle
	// Name is that of the split, a DNS label, unique in the environment.
	Name string
	// Route is where the traffic is divided. The Owner in it is set from the fields above.
	Route CanaryRoute
}

// CanarySpec is what is wanted.
type CanarySpec struct {
	// Weight is the percentage of the requests that go to the canary, and Headers those that always do.
	Weight  int
	Headers []HeaderMatch
	// Steps are the weights on the way up, each of which is judged.
	Steps []CanaryStep
	// Retry is any text; another one than that of the walk that failed lets its content go.
	Retry string
	// Quarantine is how long content that failed gets no more requests, 24 hours where zero.
	Quarantine time.Duration
	// Judge judges the canary at each weight. Nil does not judge.
	Judge CanaryJudge
	// Policy names what it judges by.
	Policy string
}

// CanaryJudge watches the canary's pods until there is a verdict. since is when a run that was cut off had begun, zero for a new one.
type CanaryJudge func(ctx context.Context, pods analysis.PodLister, lease *cluster.Lease, since time.Time, abort analysis.Abort) (analysis.Verdict, []analysis.Sample, error)

// CanaryOptions say for whom a split is made.
type CanaryOptions struct {
	// InstanceID is the id of the resource in Terraform's state. Another one on the record is refused, unless TakeOver is set, as it is
	// in a Create.
	InstanceID string
	TakeOver   bool
	ClusterUID string
	// Timeout is for the whole walk, pauses and analyses included.
	Timeout time.Duration
	// Progress may be nil.
	Progress func(string)
}

// CanaryResult is how things stand after Apply, also beside an error. Split is nil where the route could not be asked.
type CanaryResult struct {
	Split      *Split
	ClusterUID string
}

// Validate checks where the traffic is divided, without asking a cluster.
func (t CanaryTarget) Validate() []Problem {
	switch {
	case t.Route.Istio != nil:
		config := *t.Route.Istio
		config.Owner = t.owner("", false)
		return config.Validate()
	case t.Route.Gateway != nil:
		config := *t.Route.Gateway
		config.Owner = t.owner("", false)
		return config.Validate()
	}
	return nil
}

func (t CanaryTarget) owner(instance string, takeOver bool) Owner {
	return Owner{Handle: t.Handle, Name: t.Name, InstanceID: instance, TakeOver: takeOver}
}

// router is that of the route. A nil client is the cluster's own.
func (t CanaryTarget) router(client dynamic.Interface, instance string, takeOver bool) (Router, error) {
	if t.Route.Istio != nil {
		config := *t.Route.Istio
		config.Owner = t.owner(instance, takeOver)
		return NewIstio(t.Cluster, client, config)
	}
	if t.Route.Gateway == nil {
		return nil, fmt.Errorf("split %s has no route", t.Name)
	}
	config := *t.Route.Gateway
	config.Owner = t.owner(instance, takeOver)
	return NewGateway(t.Cluster, client, config)
}

// capacities reads the pods of both tracks.
func (t CanaryTarget) capacities(client kubernetes.Interface) *capacities {
	out := &capacities{cluster: t.Cluster, client: client, namespace: t.Handle.Namespace}
	if istio := t.Route.Istio; istio != nil {
		service, ok := serviceOfHost(istio.Host, t.Handle.Namespace)
		if !ok {
			service = istio.Host // it is looked for here, and its absence said
		}
		out.stable = TrackPods{Service: service, Labels: istio.Stable.Labels}
		out.canary = TrackPods{Service: service, Labels: istio.Canary.Labels}
	} else if gateway := t.Route.Gateway; gateway != nil {
		out.stable = TrackPods{Service: gateway.Stable.Service, Labels: gateway.Stable.Labels}
		out.canary = TrackPods{Service: gateway.Canary.Service, Labels: gateway.Canary.Labels}
	}
	return out
}

// contentOf names what a track runs: the pod templates of its Deployments. It is empty where there are none.
func (r *capacities) contentOf(ctx context.Context, track TrackPods) (string, error) {
	wanted, err := r.labels(ctx, track)
	if err != nil {
		return "", err
	}
	found, err := deploymentsOf(ctx, r.cluster, r.client, r.namespace, wanted)
	if err != nil {
		return "", err
	}
	return contentOf(found)
}

// canary is one operation while it runs.
type canary struct {
	target  CanaryTarget
	options CanaryOptions
	caller  context.Context // Terraform's, which ends when somebody interrupts the apply
	ctx     context.Context // with the timeout
	reads   kubernetes.Interface
	// gated is refused mutations once ctx has ended or the Lease is lost; durable only for the latter.
	gated, durable kubernetes.Interface
	lease          *cluster.Lease
	stored         *storedCanary
}

func (c *canary) say(format string, values ...any) {
	if c.options.Progress != nil {
		c.options.Progress(fmt.Sprintf(format, values...))
	}
}

// ApplyCanary divides the traffic as spec says, by way of its steps: subset, ready pods, weight, verdict. What fails is taken back to the
// split from before the walk. It goes on where a run before was cut off. Errors: *CapacityError, *CanaryFailedError, *CanaryHeldError,
// *CanaryQuarantinedError, *CanaryNoWayBackError, *CanaryOwnerError, *NewerCanaryError, those of Router, and of packages environment and
// cluster.
func ApplyCanary(ctx context.Context, target CanaryTarget, spec CanarySpec, options CanaryOptions) (_ *CanaryResult, err error) {
	if spec.Quarantine <= 0 {
		spec.Quarantine = DefaultQuarantine
	}
	result := &CanaryResult{}
	c := &canary{target: target, options: options, caller: ctx}
	finish, err := c.begin(result)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, finish()) }()
	w, err := c.walk(c.ctx, c.gated, spec)
	if err != nil {
		return result, err
	}
	c.stored.record.Instance, c.stored.record.Route = options.InstanceID, target.Route
	result.Split = &w.seen.Split
	last := w
	w.back = func() (*walk, context.Context, context.CancelFunc) {
		after, cancel := c.afterwards()
		back, err := c.walk(after, c.durable, spec)
		if err != nil {
			failing := *w
			failing.router = failingRouter{Router: w.router, err: err}
			back = &failing
		}
		back.seen, last = w.seen, back
		return back, after, cancel
	}
	err = w.run(c.ctx)
	*result.Split = last.seen.Split
	return result, err
}

// failingRouter is one that could not be made.
type failingRouter struct {
	Router
	err error
}

func (r failingRouter) Read(context.Context) (Observed, error) { return Observed{}, r.err }

// begin checks whose the place is, takes the Lease and reads the record. Waiting for another run does not eat the time of this one.
func (c *canary) begin(result *CanaryResult) (finish func() error, err error) {
	live, handle := c.target.Cluster, c.target.Handle
	if err := live.RequireUID(c.caller, c.options.ClusterUID); err != nil {
		return nil, err
	}
	if result.ClusterUID, err = live.UID(c.caller); err != nil {
		return nil, err
	}
	if _, err := environment.Check(c.caller, live, handle); err != nil {
		return nil, err
	}
	if c.reads, err = live.Kubernetes(); err != nil {
		return nil, err
	}
	holding, stop := context.WithTimeout(c.caller, cluster.HoldTimeout(c.options.Timeout))
	defer stop()
	c.lease, err = live.Hold(holding, handle.Namespace, func(holder string) { c.say("waiting for %s, which works on namespace %s", holder, handle.Namespace) })
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.caller, c.options.Timeout)
	c.ctx = ctx
	finish = func() error {
		cancel()
		after, stop := c.afterwards()
		defer stop()
		if err := c.lease.Release(after); err != nil {
			return fmt.Errorf("giving back the Lease of namespace %s: %w", handle.Namespace, err)
		}
		return nil
	}
	if c.gated, err = gatedClient(ctx, live, c.lease); err == nil {
		c.durable, err = gatedClient(context.WithoutCancel(ctx), live, c.lease)
	}
	if err == nil {
		c.stored, err = readCanaryRecord(ctx, c.reads, c.target)
	}
	if err == nil && c.stored.there && c.stored.record.Instance != c.options.InstanceID && !c.options.TakeOver {
		err = &CanaryOwnerError{Split: c.target.Name, Record: canaryRecordName(c.target.Name)}
	}
	if err != nil {
		return nil, errors.Join(err, finish())
	}
	return finish, nil
}

// afterwards is a context for what must be done although the operation's has ended.
func (c *canary) afterwards() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(c.caller), afterTimeout)
}

// walk reads the route, and is a walk whose writes end with ctx or the Lease.
func (c *canary) walk(ctx context.Context, writes kubernetes.Interface, spec CanarySpec) (*walk, error) {
	client, err := gatedDynamic(ctx, c.target.Cluster, c.lease)
	if err != nil {
		return nil, err
	}
	router, err := c.target.router(client, c.options.InstanceID, c.options.TakeOver)
	if err != nil {
		return nil, err
	}
	seen, err := router.Read(ctx)
	if err != nil {
		return nil, err
	}
	tracks := c.target.capacities(c.reads)
	w := &walk{
		name: c.target.Name, spec: spec, record: &c.stored.record, seen: seen, clock: analysis.SystemClock{}, router: router,
		capacity:  tracks.read,
		content:   func(ctx context.Context) (string, error) { return tracks.contentOf(ctx, tracks.canary) },
		abort:     c.abort,
		save:      func(ctx context.Context) error { return c.stored.save(ctx, writes, c.target) },
		say:       c.say,
		cancelled: func() bool { return c.caller.Err() != nil },
	}
	if spec.Judge != nil {
		w.judge = func(ctx context.Context, since time.Time) (analysis.Verdict, error) {
			wanted, err := tracks.labels(ctx, tracks.canary)
			if err != nil {
				return analysis.Verdict{}, err
			}
			pods := &analysis.SelectedPods{Client: c.reads, Namespace: c.target.Handle.Namespace, Selector: labels.Set(wanted).String()}
			verdict, _, err := spec.Judge(ctx, pods, c.lease, since, c.abort)
			return verdict, err
		}
	}
	return w, nil
}

// abort asks for the mark on the record. One from before this walk was heard already, and goes with the next write.
func (c *canary) abort(ctx context.Context) (reason string, aborted bool, err error) {
	name := canaryRecordName(c.target.Name)
	found, err := c.reads.CoreV1().ConfigMaps(c.target.Handle.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", false, c.target.Cluster.Classify(fmt.Errorf("reading ConfigMap %s: %w", name, err))
	}
	reason, aborted = found.Annotations[AnnotationCanaryAbort]
	if reason == "" {
		reason = "no reason is given"
	}
	return reason, aborted, nil
}

// RemoveCanary walks all requests to the stable side, then removes the route that is ours, or gives a shared one its destination from
// before, and the record. forgotten says that the record carries another instance id, so that nothing was removed.
func RemoveCanary(ctx context.Context, target CanaryTarget, options CanaryOptions) (forgotten bool, err error) {
	c := &canary{target: target, options: options, caller: ctx}
	finish, err := c.begin(&CanaryResult{})
	switch owner := (*CanaryOwnerError)(nil); {
	case errors.As(err, &owner):
		return true, nil
	case isNamespaceMissing(err):
		return false, nil
	case err != nil:
		return false, err
	}
	defer func() { err = errors.Join(err, finish()) }()
	w, err := c.walk(c.ctx, c.gated, CanarySpec{})
	if err != nil {
		return false, err
	}
	if w.seen.Exists && w.seen.Managed && w.seen.Split.Weight > 0 {
		w.abort = nil
		err := w.move(c.ctx, Split{Headers: w.seen.Split.Headers})
		if missing := (*ServiceMissingError)(nil); err != nil && !errors.As(err, &missing) { // without the Service there are no requests
			return false, err
		}
	}
	if err := w.router.Restore(c.ctx); err != nil {
		return false, err
	}
	if !c.stored.there {
		return false, nil
	}
	uid := types.UID(c.stored.uid)
	name := canaryRecordName(target.Name)
	err = c.gated.CoreV1().ConfigMaps(target.Handle.Namespace).Delete(c.ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil && !cluster.IsNotFound(err) {
		return false, target.Cluster.Classify(fmt.Errorf("deleting ConfigMap %s: %w", name, err))
	}
	return false, nil
}

func isNamespaceMissing(err error) bool {
	missing := (*environment.NamespaceMissingError)(nil)
	return errors.As(err, &missing)
}

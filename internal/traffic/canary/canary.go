// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package canary divides the requests to one host between a stable track and a canary, in steps, and rolls back when the canary fails.
package canary

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// DefaultQuarantine is Spec.Quarantine where it is zero.
const DefaultQuarantine = 24 * time.Hour

// Target is a route whose traffic is divided between two tracks.
type Target struct {
	Cluster *cluster.Cluster
	Handle  environment.Handle
	// Name is that of the split, a DNS label.
	Name string
	// Route is where it is divided. Its Owner is filled in.
	Route route.Config
	// Adopt is the UID of an object that was imported; see route.Owner.
	Adopt string
}

// Judge watches the canary's pods until there is a verdict. split is what the route says; since is when a run that was cut off had
// begun, zero for a new one.
type Judge func(ctx context.Context, pods analysis.PodLister, lease *cluster.Lease, split route.Split, since time.Time, abort analysis.Abort) (analysis.Verdict, []analysis.Sample, error)

// Spec is what is wanted.
type Spec struct {
	// Weight is the percentage of requests that goes to the canary.
	Weight  int
	Headers []route.HeaderMatch
	// Steps are weights on the way up, each judged.
	Steps []Step
	// Judge may be nil. Policy names what it judges by.
	Judge  Judge
	Policy string
	// Retry is any text; another one than that of the run that failed lets its content go.
	Retry string
	// Quarantine is how long content that failed gets no more requests, 24 hours where zero.
	Quarantine time.Duration
}

// Options say for whom traffic is moved.
type Options struct {
	// InstanceID is the id of the resource in Terraform's state. Another one is refused, unless TakeOver is set, as it is in a Create.
	InstanceID string
	TakeOver   bool
	ClusterUID string
	// Planned is what the plan saw of the route; nil where it did not look. See *ChangedError.
	Planned *Planned
	// Timeout is for the whole of it, analyses included.
	Timeout time.Duration
	// Progress may be nil.
	Progress func(string)
}

// Result is how things stand after Apply, also beside an error. Split is nil where the route could not be read.
type Result struct {
	Split      *route.Split
	ClusterUID string
}

func (t Target) owner(instance string, takeOver bool) route.Owner {
	return route.Owner{Handle: t.Handle, Name: t.Name, InstanceID: instance, TakeOver: takeOver, Adopt: t.Adopt}
}

// router makes the router of the target.
func (t Target) router(client dynamic.Interface, instance string, takeOver bool) (route.Router, error) {
	return t.Route.Router(t.Cluster, client, t.owner(instance, takeOver))
}

// Validate checks a target without asking a cluster.
func (t Target) Validate() []route.Problem { return t.Route.Validate(t.owner("", false)) }

// tracks returns a reader of the pods of both tracks.
func (t Target) tracks(client kubernetes.Interface) tracks {
	out := tracks{Reader: pods.Reader{Cluster: t.Cluster, Client: client, Namespace: t.Handle.Namespace}}
	if i := t.Route.Istio; i != nil {
		service, _ := route.ServiceOfHost(i.Host, t.Handle.Namespace)
		out.stable, out.canary = pods.Track{Service: service, Labels: i.Stable.Labels}, pods.Track{Service: service, Labels: i.Canary.Labels}
		return out
	}
	g := t.Route.Gateway
	out.stable, out.canary = pods.Track{Service: g.Stable.Service}, pods.Track{Service: g.Canary.Service}
	return out
}

// wayBackTimeout is for going back once the time of the operation is over.
const wayBackTimeout = 5 * time.Minute

// canaryOperation is one operation while it holds the Lease.
type canaryOperation struct {
	target  Target
	options Options
	caller  context.Context // Terraform's, which ends when somebody interrupts the apply
	ctx     context.Context // with the timeout
	reads   kubernetes.Interface
	// gated is refused mutations once ctx has ended or the Lease is lost; durable only for the latter.
	gated, durable   kubernetes.Interface
	router, backward route.Router
	lease            *cluster.Lease
	stored           *storedCanary
	uid              string
}

func (o *canaryOperation) say(format string, values ...any) {
	if o.options.Progress != nil {
		o.options.Progress(fmt.Sprintf(format, values...))
	}
}

// Apply divides traffic as wanted: step by step, each with ready pods and judged. What fails is put back at once. It goes on where a
// run before was cut off. Errors: *pods.ServiceMissingError, *OwnerError, *CapacityError, *FailedError, *HeldError,
// *QuarantinedError, *NoWayBackError, *ChangedError, *route.RivalError, those of route.Router, environment and cluster.
func Apply(ctx context.Context, target Target, spec Spec, options Options) (_ *Result, err error) {
	if spec.Quarantine <= 0 {
		spec.Quarantine = DefaultQuarantine
	}
	result := &Result{}
	o := &canaryOperation{target: target, options: options, caller: ctx}
	finish, err := o.begin()
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, finish()) }()
	result.ClusterUID = o.uid
	if o.stored.there && o.stored.record.Instance != options.InstanceID && !options.TakeOver {
		return result, &OwnerError{Split: target.Name, Record: canaryRecordName(target.Name)}
	}
	o.stored.record.Instance, o.stored.record.Route = options.InstanceID, target.Route
	w := o.walk(spec)
	if w.seen, err = o.router.Read(o.ctx); err != nil {
		return result, err
	}
	if err := options.Planned.check(w); err != nil {
		result.Split = &w.seen.Split
		return result, err
	}
	if len(w.seen.Changed) > 0 {
		o.say("putting right what others changed: %s", strings.Join(w.seen.Changed, "; "))
	}
	err = w.run(o.ctx)
	after, stop := o.afterwards()
	defer stop()
	seen, readErr := o.backward.Read(after)
	if readErr == nil {
		result.Split = &seen.Split
	}
	return result, err
}

// walk is what moves the traffic.
func (o *canaryOperation) walk(spec Spec) *walk {
	reader := o.target.tracks(o.reads)
	w := &walk{
		name: o.target.Name, spec: spec, record: &o.stored.record, clock: analysis.SystemClock{}, router: o.router, capacity: reader.capacity,
		content:  reader.content,
		abort:    o.abortMark,
		save:     func(ctx context.Context) error { return o.stored.save(ctx, o.gated, o.target) },
		say:      o.say,
		canceled: func() bool { return o.caller.Err() != nil },
	}
	if spec.Judge != nil {
		w.judge = func(ctx context.Context, since time.Time) (analysis.Verdict, error) {
			wanted, err := reader.Labels(ctx, reader.canary)
			if err != nil {
				return analysis.Verdict{}, err
			}
			lister := &analysis.SelectedPods{Client: o.reads, Namespace: o.target.Handle.Namespace, Selector: labels.Set(wanted).String()}
			verdict, _, err := spec.Judge(ctx, lister, o.lease, w.seen.Split, since, o.abortMark)
			return verdict, err
		}
	}
	w.back = func() (*walk, context.Context, context.CancelFunc) {
		back := *w
		back.router, back.abort = o.backward, nil
		back.save = func(ctx context.Context) error { return o.stored.save(ctx, o.durable, o.target) }
		ctx, cancel := context.WithTimeout(context.WithoutCancel(o.caller), wayBackTimeout)
		return &back, ctx, cancel
	}
	return w
}

// abortMark reads the mark from the record.
func (o *canaryOperation) abortMark(ctx context.Context) (reason string, aborted bool, err error) {
	found, err := o.reads.CoreV1().ConfigMaps(o.target.Handle.Namespace).Get(ctx, canaryRecordName(o.target.Name), metav1.GetOptions{})
	if err != nil {
		return "", false, o.target.Cluster.Classify(fmt.Errorf("looking for an abort mark on ConfigMap %s: %w", canaryRecordName(o.target.Name), err))
	}
	reason, aborted = found.Annotations[AnnotationAbort]
	const most = 300
	if letters := []rune(reason); len(letters) > most {
		reason = string(letters[:most]) + "…"
	}
	return reason, aborted, nil
}

// begin checks whose the place is and takes the Lease. Waiting for another run does not eat the time of this one.
func (o *canaryOperation) begin() (finish func() error, err error) {
	c, handle := o.target.Cluster, o.target.Handle
	if err := c.RequireUID(o.caller, o.options.ClusterUID); err != nil {
		return nil, err
	}
	if o.uid, err = c.UID(o.caller); err != nil {
		return nil, err
	}
	if _, err := environment.Check(o.caller, c, handle); err != nil {
		return nil, err
	}
	if o.reads, err = c.Kubernetes(); err != nil {
		return nil, err
	}
	holding, stop := context.WithTimeout(o.caller, cluster.HoldTimeout(o.options.Timeout))
	defer stop()
	o.lease, err = c.Hold(holding, handle.Namespace, func(holder string) { o.say("waiting for %s, which works on namespace %s", holder, handle.Namespace) })
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(o.caller, o.options.Timeout)
	o.ctx = ctx
	finish = func() error {
		cancel()
		after, stop := o.afterwards()
		defer stop()
		if err := o.lease.Release(after); err != nil {
			return fmt.Errorf("giving back the Lease of namespace %s: %w", handle.Namespace, err)
		}
		return nil
	}
	if err := o.connect(); err != nil {
		return nil, errors.Join(err, finish())
	}
	return finish, nil
}

// connect makes the clients and reads the record.
func (o *canaryOperation) connect() (err error) {
	c := o.target.Cluster
	if o.gated, err = gatedClient(o.ctx, c, o.lease); err != nil {
		return err
	}
	if o.durable, err = gatedClient(context.WithoutCancel(o.ctx), c, o.lease); err != nil {
		return err
	}
	for _, each := range []struct {
		ctx  context.Context
		into *route.Router
	}{{o.ctx, &o.router}, {context.WithoutCancel(o.ctx), &o.backward}} {
		config := c.RESTConfig()
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return cluster.Gate(each.ctx, o.lease, next) })
		client, err := dynamic.NewForConfig(config)
		if err != nil {
			return fmt.Errorf("making a client: %w", err)
		}
		if *each.into, err = o.target.router(client, o.options.InstanceID, o.options.TakeOver); err != nil {
			return err
		}
	}
	o.stored, err = readCanaryRecord(o.ctx, o.reads, o.target)
	return err
}

// afterwards is a context for what must be done although the operation's has ended.
func (o *canaryOperation) afterwards() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(o.caller), 2*time.Minute)
}

// Remove sends all requests to the stable side, as its capacity allows, and then removes what is ours. forgotten says that the split
// carries another instance id, so that nothing was changed. Errors: as from Apply.
func Remove(ctx context.Context, target Target, options Options) (forgotten bool, err error) {
	o := &canaryOperation{target: target, options: options, caller: ctx}
	finish, err := o.begin()
	if missing := (*environment.NamespaceMissingError)(nil); errors.As(err, &missing) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, finish()) }()
	if o.stored.there && o.stored.record.Instance != options.InstanceID {
		return true, nil
	}
	if seen, readErr := o.router.Read(o.ctx); target.Adopt != "" && readErr == nil && !seen.Managed {
		return true, o.dropRecord() // imported, and never taken over
	}
	w := o.walk(Spec{})
	w.abort = nil
	gone, err := o.withdraw(w)
	if err != nil {
		return false, err
	}
	if !gone {
		if err := o.router.Restore(o.ctx); err != nil {
			return false, err
		}
	}
	return false, o.dropRecord()
}

func (o *canaryOperation) dropRecord() error {
	if !o.stored.there {
		return nil
	}
	uid := types.UID(o.stored.uid)
	name := canaryRecordName(o.target.Name)
	err := o.gated.CoreV1().ConfigMaps(o.target.Handle.Namespace).Delete(o.ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil && !cluster.IsNotFound(err) {
		return o.target.Cluster.Classify(fmt.Errorf("deleting ConfigMap %s: %w", name, err))
	}
	return nil
}

// withdraw takes the traffic from the canary before the route goes; gone says that there is no route to be restored any more.
func (o *canaryOperation) withdraw(w *walk) (gone bool, err error) {
	w.seen, err = o.router.Read(o.ctx)
	var kind *route.KindMissingError
	var missing *route.MissingError
	switch {
	case errors.As(err, &kind), errors.As(err, &missing):
		return true, nil
	case err != nil:
		return false, err
	case !w.seen.Managed || !w.seen.Split.Raises(route.Split{}):
		return false, nil
	}
	ready, err := w.capacity(o.ctx)
	var service *pods.ServiceMissingError
	if errors.As(err, &service) || err == nil && ready.Stable.Ready == 0 && ready.Canary.Ready == 0 {
		return false, nil // Nobody can answer, wherever requests go.
	}
	if err != nil {
		return false, err
	}
	if ready.Stable.Ready == 0 {
		return false, &NoWayBackError{Split: o.target.Name, Observed: w.seen.Split, Lacking: ready.Stable.Lacking}
	}
	return false, w.move(o.ctx, route.Split{})
}

// gatedClient is refused mutations once ctx has ended or the Lease is lost.
func gatedClient(ctx context.Context, c *cluster.Cluster, lease *cluster.Lease) (kubernetes.Interface, error) {
	config := c.RESTConfig()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return cluster.Gate(ctx, lease, next) })
	client, err := cluster.NewKubernetes(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return client, nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// CanaryTarget is a split between two tracks of pods behind one Service.
type CanaryTarget struct {
	Cluster *cluster.Cluster
	Handle  environment.Handle
	// Service has the pods of both tracks. It is somebody else's, and nothing of it is written.
	Service string
	// Label tells the tracks apart on pods; StableValue and CanaryValue are its values.
	Label, StableValue, CanaryValue string
	// Route makes the router of the route that is divided. A nil client is the cluster's own.
	Route func(client dynamic.Interface) (Router, error)
}

// CanarySpec is what is wanted.
type CanarySpec struct {
	Split Split
	// Steps are weights on the way up, in rising order. Those that do not lie between the weight that is live and the wanted one
	// are passed over.
	Steps []int
	// Retry is any text; another one than that of the walk that failed lets its content go.
	Retry string
	// Quarantine is how long content that failed gets no more requests, 24 hours where zero.
	Quarantine time.Duration
	// Judge judges the canary at each weight on the way up. Nil does not judge.
	Judge CanaryJudge
	// Policy names what it judges by.
	Policy string
}

// CanaryJudge watches the canary's pods until there is a verdict. since is when a run that was cut off had begun, zero for a new one.
type CanaryJudge func(ctx context.Context, pods analysis.PodLister, lease *cluster.Lease, since time.Time, abort analysis.Abort) (analysis.Verdict, []analysis.Sample, error)

// CanaryOptions say for whom a split is made.
type CanaryOptions struct {
	// InstanceID is the id of the resource in Terraform's state. Another one on the record is refused, unless TakeOver is set, as it
	// is in a Create.
	InstanceID string
	TakeOver   bool
	ClusterUID string
	// Timeout is for the whole walk, analyses included.
	Timeout time.Duration
	// Progress may be nil.
	Progress func(string)
}

// CanaryResult is how things stand after Apply, also beside an error. Known is false where the route could not be asked.
type CanaryResult struct {
	Split      Split
	Known      bool
	ClusterUID string
}

// canary is one operation while it runs.
type canary struct {
	target  CanaryTarget
	spec    CanarySpec
	options CanaryOptions
	caller  context.Context // Terraform's, which ends when somebody interrupts the apply
	ctx     context.Context // with the timeout
	reads   kubernetes.Interface
	// gated is refused mutations once ctx has ended or the Lease is lost; durable only for the latter.
	gated, durable kubernetes.Interface
	lease          *cluster.Lease
	stored         storedCanary
	common         map[string]string // labels of the pods of both tracks
	route          Router
	live           Split
	exists         bool
}

func (c *canary) say(format string, values ...any) {
	if c.options.Progress != nil {
		c.options.Progress(fmt.Sprintf(format, values...))
	}
}

// ApplyCanary divides traffic as spec says, by way of its steps: ready pods first, then the weight, then the judgement, at each of
// them. What fails is taken back to the split from before the walk. It goes on where a run before was cut off. Errors:
// *ServiceMissingError, *SelectorError, *CanaryOwnerError, *CapacityError, *CanaryFailedError, *CanaryHeldError,
// *CanaryQuarantinedError, *StableUnwellError, those of Router and of packages environment and cluster.
func ApplyCanary(ctx context.Context, target CanaryTarget, spec CanarySpec, options CanaryOptions) (_ *CanaryResult, err error) {
	if spec.Quarantine <= 0 {
		spec.Quarantine = DefaultQuarantine
	}
	result := &CanaryResult{}
	c := &canary{target: target, spec: spec, options: options, caller: ctx}
	finish, err := c.begin(result)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, finish()) }()
	if err := c.look(); err != nil {
		return result, err
	}
	err = c.run()
	result.Split, result.Known = c.live, true
	return result, err
}

// begin checks whose the place is and takes the Lease. Waiting for another run does not eat the time of this one.
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
	if err != nil {
		return nil, errors.Join(err, finish())
	}
	return finish, nil
}

// afterwards is a context for what must be done although the operation's has ended.
func (c *canary) afterwards() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(c.caller), afterTimeout)
}

// look reads the record, the Service and the route.
func (c *canary) look() (err error) {
	if c.stored, err = readCanaryRecord(c.ctx, c.reads, c.target); err != nil {
		return err
	}
	if err := c.stored.checkOwner(c.target, c.options); err != nil {
		return err
	}
	if c.common, err = commonLabels(c.ctx, c.reads, c.target); err != nil {
		return err
	}
	c.stored.record.Instance = c.options.InstanceID
	return c.lookAtRoute(c.ctx)
}

// lookAtRoute makes a router whose writes end with ctx or the Lease, and reads the route.
func (c *canary) lookAtRoute(ctx context.Context) error {
	client, err := gatedDynamic(ctx, c.target.Cluster, c.lease)
	if err != nil {
		return err
	}
	if c.route, err = c.target.Route(client); err != nil {
		return err
	}
	seen, err := c.route.Read(ctx)
	if err != nil {
		return err
	}
	c.live, c.exists = seen.Split, seen.Exists && seen.Managed
	return nil
}

// run brings about what is wanted from whatever state there is.
func (c *canary) run() error {
	record := &c.stored.record
	if record.Phase == phaseReturning {
		c.say("going on with the way back to %d%% that a run before had begun", record.From.Weight)
		if err := c.takeBack(c.ctx, c.gated); err != nil {
			return err
		}
	}
	content, err := c.content(c.ctx)
	if err != nil {
		return err
	}
	wanted := c.spec.Split
	more := wanted.Weight > c.live.Weight || len(wanted.Headers) > 0 && !sameHeaders(wanted.Headers, c.live.Headers)
	resumed := record.Phase == phaseWalking && c.exists && c.live.Weight == record.Weight && c.live.Weight <= wanted.Weight
	if q := record.held(content, c.spec, time.Now()); q != nil && (more || resumed) {
		return &CanaryQuarantinedError{Service: c.target.Service, Live: c.live, Quarantine: *q, Record: canaryRecordName(c.target)}
	}
	if !resumed {
		record.From, record.Since, record.Accepted = c.live, time.Time{}, c.live.Weight
		if record.Needed, err = c.capacity(c.ctx); err != nil {
			return err
		}
	}
	record.Phase, record.Weight = phaseWalking, c.live.Weight
	if err := c.save(c.ctx, c.gated); err != nil {
		return err
	}
	if err := c.divideHeaders(wanted); err != nil {
		return err
	}
	if resumed && record.Accepted < c.live.Weight {
		c.say("going on at %d%%, where a run before was cut off", c.live.Weight)
		if err := c.judge(content); err != nil {
			return err
		}
	}
	for _, weight := range stepsUp(c.live.Weight, wanted.Weight, c.spec.Steps) {
		if err := c.stepUp(weight, content); err != nil {
			return err
		}
	}
	if c.live.Weight > wanted.Weight {
		if err := c.walkDown(c.ctx, wanted.Weight); err != nil {
			return err
		}
	}
	return c.settle(content)
}

// stepsUp are the weights to stop at, the wanted one included. There are none on the way down.
func stepsUp(from, to int, steps []int) []int {
	if to <= from {
		return nil
	}
	var out []int
	for _, weight := range steps {
		if weight > from && weight < to {
			out = append(out, weight)
		}
	}
	slices.Sort(out)
	return append(slices.Compact(out), to)
}

// divideHeaders makes the route where it is missing, and gives it the wanted headers, with the weight as it is.
func (c *canary) divideHeaders(wanted Split) error {
	if len(wanted.Headers) > 0 {
		if err := c.ready(c.ctx, c.target.CanaryValue, 1, "requests with its headers"); err != nil {
			return err
		}
	}
	return c.set(c.ctx, Split{Weight: c.live.Weight, Headers: wanted.Headers})
}

// set writes the route. Where it divides traffic this way already, the router writes nothing.
func (c *canary) set(ctx context.Context, split Split) error {
	if err := c.route.Set(ctx, split); err != nil {
		return err
	}
	c.live, c.exists = split, true
	return nil
}

// stepUp gives the canary a weight that it has the pods for, and judges it there.
func (c *canary) stepUp(weight int, content string) error {
	record := &c.stored.record
	if err := c.ready(c.ctx, c.target.CanaryValue, podsFor(weight, record.Needed), fmt.Sprintf("%d%% of the requests", weight)); err != nil {
		return err
	}
	if c.aborted() {
		return c.refuse(analysis.Verdict{Outcome: analysis.Failed, Action: analysis.Rollback, Reason: abortedReason}, content)
	}
	// Before the weight, so that a run that is cut off between the two is known to have begun.
	record.Weight, record.Since = weight, time.Time{}
	if err := c.save(c.ctx, c.gated); err != nil {
		return err
	}
	c.say("%d%% of the requests to Service %s go to the canary", weight, c.target.Service)
	if err := c.set(c.ctx, Split{Weight: weight, Headers: c.live.Headers}); err != nil {
		return err
	}
	return c.judge(content)
}

// judge judges the canary at the weight that it has.
func (c *canary) judge(content string) error {
	record := &c.stored.record
	if c.spec.Judge == nil {
		record.Accepted = c.live.Weight
		return nil
	}
	since := record.Since
	if since.IsZero() {
		record.Since = time.Now().UTC()
		if err := c.save(c.ctx, c.gated); err != nil {
			return err
		}
	}
	c.say("judging the canary at %d%%", c.live.Weight)
	verdict, _, err := c.spec.Judge(c.ctx, c.pods(c.target.CanaryValue), c.lease, since, c.abort)
	if err != nil {
		if c.caller.Err() == nil && c.ctx.Err() != nil {
			return c.goBack(&CanaryFailedError{Service: c.target.Service, Weight: c.live.Weight,
				Reason: fmt.Sprintf("There was no verdict within the timeout of %s.", c.options.Timeout)})
		}
		return fmt.Errorf("judging the canary at %d%%: %w", c.live.Weight, err)
	}
	if verdict.Action != analysis.Accept {
		return c.refuse(verdict, content)
	}
	record.Accepted, record.Since = c.live.Weight, time.Time{}
	return c.save(c.ctx, c.gated)
}

// refuse acts on a verdict that does not accept.
func (c *canary) refuse(verdict analysis.Verdict, content string) error {
	record := &c.stored.record
	if verdict.Action == analysis.Hold {
		record.Since = time.Time{} // it is judged anew
		return errors.Join(&CanaryHeldError{Service: c.target.Service, Live: c.live, Reason: verdict.Reason}, c.saveAfterwards())
	}
	failed := &CanaryFailedError{Service: c.target.Service, Weight: c.live.Weight, Reason: verdict.Reason, Verdict: verdict}
	if verdict.Outcome == analysis.Failed {
		failed.Until = time.Now().Add(c.spec.Quarantine).UTC().Truncate(time.Second)
		record.Quarantine = &CanaryQuarantine{Content: content, Policy: c.spec.Policy, Reason: verdict.Reason, Until: failed.Until}
		record.cleared = false
	}
	record.Retry = c.spec.Retry
	return c.goBack(failed)
}

// goBack takes the traffic back under a time of its own, and returns why.
func (c *canary) goBack(failed *CanaryFailedError) error {
	ctx, cancel := c.afterwards()
	defer cancel()
	failed.Back = c.stored.record.From
	c.say("the canary failed at %d%%: going back to %d%%", failed.Weight, failed.Back.Weight)
	if err := c.lookAtRoute(ctx); err != nil { // the router of the operation may not write any more
		return errors.Join(failed, err)
	}
	err := c.takeBack(ctx, c.durable)
	failed.Live = c.live
	return errors.Join(failed, err)
}

// takeBack restores the split from before the walk, as fast as the stable track can take the requests.
func (c *canary) takeBack(ctx context.Context, client kubernetes.Interface) error {
	record := &c.stored.record
	record.Phase = phaseReturning
	if err := c.save(ctx, client); err != nil {
		return err
	}
	from := record.From
	if len(from.Headers) == 0 && len(c.live.Headers) > 0 {
		if err := c.set(ctx, Split{Weight: c.live.Weight}); err != nil {
			return err
		}
	}
	if c.live.Weight > from.Weight {
		if err := c.walkDown(ctx, from.Weight); err != nil {
			return err
		}
	}
	if err := c.set(ctx, from); err != nil {
		return err
	}
	record.Phase, record.Since, record.Weight, record.Accepted = phaseSteady, time.Time{}, from.Weight, from.Weight
	return c.save(ctx, client)
}

// walkDown moves requests to the stable track, never more at once than it has ready pods for: one that was idle has shrunk, and
// grows with the requests that it gets.
func (c *canary) walkDown(ctx context.Context, to int) error {
	needed := c.stored.record.Needed
	for c.live.Weight > to {
		next := c.live.Weight
		err := c.wait(ctx, fmt.Sprintf("the stable track has pods for %d%% of the requests", 100-to), func() (string, error) {
			ready, pods, err := c.readyPods(ctx, c.target.StableValue)
			if err != nil {
				return "", err
			}
			next = max(to, lowestWeight(ready, needed))
			if next < c.live.Weight {
				return "", nil
			}
			return fmt.Sprintf("It has %d ready pods, %d are needed.%s", ready, podsFor(100-to, needed), troubleOf(pods)), nil
		})
		if err != nil {
			if lacking, ok := errors.AsType[*CapacityError](err); ok {
				return &StableUnwellError{Service: c.target.Service, Live: c.live, To: to, Observed: lacking.Observed}
			}
			return err
		}
		c.say("%d%% of the requests to Service %s go to the canary", next, c.target.Service)
		if err := c.set(ctx, Split{Weight: next, Headers: c.live.Headers}); err != nil {
			return err
		}
	}
	return nil
}

// settle is the end of everything that went well.
func (c *canary) settle(content string) error {
	record := &c.stored.record
	record.Phase, record.Weight, record.Accepted, record.From = phaseSteady, c.live.Weight, c.live.Weight, c.live
	record.Since, record.Retry = time.Time{}, c.spec.Retry
	if q := record.Quarantine; q != nil && (c.live.Weight > 0 || q.Content != content) {
		record.Quarantine = nil
	}
	return c.save(c.ctx, c.gated)
}

func (c *canary) save(ctx context.Context, client kubernetes.Interface) error {
	return c.stored.save(ctx, client, c.target)
}

func (c *canary) saveAfterwards() error {
	ctx, cancel := c.afterwards()
	defer cancel()
	return c.save(ctx, c.durable)
}

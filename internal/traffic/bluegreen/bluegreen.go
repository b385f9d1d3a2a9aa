// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package bluegreen switches a Service, or a route to it, between two colors of pods, and switches back when the new color fails.
package bluegreen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// The two colors.
const (
	Blue  = "blue"
	Green = "green"
)

// DefaultLabel tells the pods of the colors apart where the user names no other label.
const DefaultLabel = "slipway.dev/track"

// Defaults of Spec.
const (
	DefaultQuarantine = 24 * time.Hour
	// MinKeepPrevious is the least time for which the previous color stays: nodes hear of a switch one after the other.
	MinKeepPrevious = 30 * time.Second
)

// Target is a Service whose selector says which color is live.
type Target struct {
	Cluster *cluster.Cluster
	Handle  environment.Handle
	// Service is the live one. It is somebody else's: only Label in its selector is written.
	Service string
	// Preview is a Service of our own that has the pods of the color that is not live.
	Preview string
	// Label tells the colors apart, on pods and in selectors; Values are its values by color, the color itself where there is none.
	Label  string
	Values map[string]string
	// Route makes the router of the route that is switched instead of the Service's selector; nil switches the selector. Blue is the
	// router's stable track, green its canary. A nil client is the cluster's own.
	Route func(client dynamic.Interface) (route.Router, error)
}

// value is what the label has on pods of a color.
func (t Target) value(color string) string {
	if value := t.Values[color]; value != "" {
		return value
	}
	return color
}

// color is whose value the label has; a value that is no color's stays as it is.
func (t Target) color(value string) string {
	for _, color := range []string{Blue, Green} {
		if t.value(color) == value {
			return color
		}
	}
	return value
}

// Spec is what is wanted.
type Spec struct {
	// Active is Blue or Green.
	Active string
	// Keep is how long the previous color stays scaled after a switch; nil keeps it until it is live again.
	Keep *time.Duration
	// Retry is any text; another one than that of the run that failed lets its content go.
	Retry string
	// Quarantine is how long content that failed is not switched to again, 24 hours where zero.
	Quarantine time.Duration
	// Before judges the new color on the preview Service, After when it is live. Nil does not judge.
	Before, After Judge
	// Policy names what they judge by.
	Policy string
}

// Judge watches pods of a color until there is a verdict. since is when a run that was cut off had begun, zero for a new one.
type Judge func(ctx context.Context, pods analysis.PodLister, lease *cluster.Lease, since time.Time) (analysis.Verdict, []analysis.Sample, error)

// Options say for whom a switch is made.
type Options struct {
	// InstanceID is the id of the resource in Terraform's state. Another one on the record is refused, unless TakeOver is set, as it is
	// in a Create.
	InstanceID string
	TakeOver   bool
	ClusterUID string
	// Planned is the live color that the plan saw, as in Result; nil where it saw none. What others made live since is not overwritten.
	Planned *string
	// Timeout is for the whole of it, analyses included.
	Timeout time.Duration
	// Progress may be nil.
	Progress func(string)
}

// Result is how things stand after Apply, also beside an error. Active is empty where the cluster could not be asked.
type Result struct {
	Active     string
	ClusterUID string
}

// Opposite is the other color.
func Opposite(color string) string {
	if color == Blue {
		return Green
	}
	return Blue
}

// afterTimeout is for going back and for the record, once the time of the operation is over.
const afterTimeout = 2 * time.Minute

// blueGreen is one operation while it runs.
type blueGreen struct {
	target  Target
	spec    Spec
	options Options
	caller  context.Context // Terraform's, which ends when somebody interrupts the apply
	ctx     context.Context // with the timeout
	reads   kubernetes.Interface
	// gated is refused mutations once ctx has ended or the Lease is lost; durable only for the latter.
	gated, durable kubernetes.Interface
	lease          *cluster.Lease
	stored         storedRecord
	service        *liveService
	route          route.Router // nil where the selector is switched
	result         *Result
}

func (b *blueGreen) say(format string, values ...any) {
	if b.options.Progress != nil {
		b.options.Progress(fmt.Sprintf(format, values...))
	}
}

// Apply makes spec.Active live: pods ready, judged on the preview Service, selector, endpoints, judged again. What fails after the
// switch is switched back at once. It goes on where a run before was cut off. Errors: *pods.ServiceMissingError, *OwnerError,
// *ChangedError, *PreviewForeignError, *NotReadyError, *FailedError, *HeldError, *QuarantinedError, *NoWayBackError,
// those of packages environment and cluster.
func Apply(ctx context.Context, target Target, spec Spec, options Options) (_ *Result, err error) {
	if spec.Quarantine <= 0 {
		spec.Quarantine = DefaultQuarantine
	}
	result := &Result{}
	b := &blueGreen{target: target, spec: spec, options: options, caller: ctx, result: result}
	finish, err := b.begin()
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, finish()) }()
	if err := b.look(); err != nil {
		return result, err
	}
	if err := b.asPlanned(); err != nil {
		return result, err
	}
	err = b.run()
	result.Active = b.service.color
	return result, err
}

// begin checks whose the place is and takes the Lease. Waiting for another run does not eat the time of this one.
func (b *blueGreen) begin() (finish func() error, err error) {
	c, handle := b.target.Cluster, b.target.Handle
	if err := c.RequireUID(b.caller, b.options.ClusterUID); err != nil {
		return nil, err
	}
	if b.result.ClusterUID, err = c.UID(b.caller); err != nil {
		return nil, err
	}
	if _, err := environment.Check(b.caller, c, handle); err != nil {
		return nil, err
	}
	if b.reads, err = c.Kubernetes(); err != nil {
		return nil, err
	}
	holding, stop := context.WithTimeout(b.caller, cluster.HoldTimeout(b.options.Timeout))
	defer stop()
	b.lease, err = c.Hold(holding, handle.Namespace, func(holder string) { b.say("waiting for %s, which works on namespace %s", holder, handle.Namespace) })
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(b.caller, b.options.Timeout)
	b.ctx = ctx
	finish = func() error {
		cancel()
		after, stop := b.afterwards()
		defer stop()
		if err := b.lease.Release(after); err != nil {
			return fmt.Errorf("giving back the Lease of namespace %s: %w", handle.Namespace, err)
		}
		return nil
	}
	if b.gated, err = gatedClient(ctx, c, b.lease); err == nil {
		b.durable, err = gatedClient(context.WithoutCancel(ctx), c, b.lease)
	}
	if err != nil {
		return nil, errors.Join(err, finish())
	}
	return finish, nil
}

// afterwards is a context for what must be done although the operation's has ended.
func (b *blueGreen) afterwards() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(b.caller), afterTimeout)
}

// look reads the record and the live Service.
func (b *blueGreen) look() (err error) {
	if b.stored, err = readBlueGreenRecord(b.ctx, b.reads, b.target); err != nil {
		return err
	}
	if err := b.stored.checkOwner(b.target, b.options); err != nil {
		return err
	}
	if b.service, err = readService(b.ctx, b.reads, b.target); err != nil {
		return err
	}
	if b.target.Route != nil {
		client, err := gatedDynamic(b.ctx, b.target.Cluster, b.lease)
		if err != nil {
			return err
		}
		if err := b.lookAtRoute(b.ctx, client); err != nil {
			return err
		}
	}
	b.result.Active = b.service.color
	b.stored.record.Instance = b.options.InstanceID
	return nil
}

// run brings about what is wanted from whatever state there is.
func (b *blueGreen) run() error {
	record := &b.stored.record
	if record.Phase == phaseReturning && b.service.color == record.Target {
		b.say("going on with the way back that a run before had begun")
		if err := b.takeBack(b.ctx, b.gated); err != nil {
			return err
		}
	}
	if b.service.color != b.spec.Active {
		return b.switchOver()
	}
	unverified := record.Target == b.spec.Active && (record.Phase == phaseSwitching || record.Phase == phaseVerifying)
	if unverified {
		b.say("going on with the switch to %s that a run before had begun", b.spec.Active)
		return b.verify()
	}
	return b.settle(false)
}

// settle is the end of everything that went well. switched says that the color became live just now.
func (b *blueGreen) settle(switched bool) error {
	record := &b.stored.record
	content, err := b.content(b.ctx, b.spec.Active)
	if err != nil {
		return err
	}
	if switched {
		record.SwitchedAt = time.Now().UTC().Truncate(time.Second)
		if record.PreviousContent, err = b.content(b.ctx, Opposite(b.spec.Active)); err != nil {
			return err
		}
	}
	record.Phase, record.Target, record.VerifyingSince, record.Retry = phaseSteady, b.spec.Active, time.Time{}, b.spec.Retry
	record.Good = put(record.Good, b.spec.Active, content)
	delete(record.Scaled, b.spec.Active)
	if q := record.Quarantine; q != nil && q.Color == b.spec.Active {
		record.Quarantine = nil
	}
	if err := b.preview(b.ctx, Opposite(b.spec.Active)); err != nil {
		return err
	}
	if err := b.save(b.ctx, b.gated); err != nil {
		return err
	}
	return b.scaleDownPrevious()
}

// switchOver makes the wanted color live.
func (b *blueGreen) switchOver() error {
	wanted := b.spec.Active
	if err := b.preview(b.ctx, wanted); err != nil {
		return err
	}
	if err := b.getReady(wanted); err != nil {
		return err
	}
	content, err := b.content(b.ctx, wanted)
	if err != nil {
		return err
	}
	record := &b.stored.record
	if q := record.held(wanted, content, b.spec, time.Now()); q != nil {
		return &QuarantinedError{Color: wanted, Service: b.target.Service, Live: b.service.color, Quarantine: *q, Record: blueGreenRecordName(b.target)}
	}
	serving, err := b.servedByOthers(wanted)
	if err != nil {
		return err
	}
	proven := content != "" && record.Good[wanted] == content
	if b.spec.Before != nil && serving && !proven {
		b.say("judging %s on Service %s", wanted, b.target.Preview)
		verdict, _, err := b.spec.Before(b.ctx, b.lister(wanted), b.lease, time.Time{})
		if err != nil {
			return b.undecided(err, "before the switch")
		}
		if verdict.Action != analysis.Accept {
			return b.refuse(verdict, content, false)
		}
	}
	if !serving {
		// Nobody's traffic moves: there is nothing to compare with and nothing to go back to.
		b.say("%s is served by no other pods: its selector is set to %s", b.target.Service, wanted)
	}
	*record = record.switching(b.service, wanted, serving, b.route != nil)
	if err := b.save(b.ctx, b.gated); err != nil {
		return err
	}
	b.say("switching Service %s from %s to %s", b.target.Service, b.service.describe(), wanted)
	if err := b.set(b.ctx, b.gated, &wanted); err != nil {
		return err
	}
	return b.verify()
}

// verify waits until only the new pods are behind the Service and judges them. What fails goes back.
func (b *blueGreen) verify() error {
	record := &b.stored.record
	if err := b.inEffect(b.ctx, b.spec.Active); err != nil {
		if b.caller.Err() != nil {
			return b.undecided(err, "after the switch")
		}
		return b.goBack(&FailedError{Color: b.spec.Active, Service: b.target.Service, After: true, Reason: err.Error()})
	}
	if record.VerifyingSince.IsZero() {
		record.Phase, record.VerifyingSince = phaseVerifying, time.Now().UTC()
		if err := b.save(b.ctx, b.gated); err != nil {
			return err
		}
	}
	if b.spec.After == nil || !record.Moved {
		return b.settle(true)
	}
	b.say("judging %s with the traffic of Service %s", b.spec.Active, b.target.Service)
	verdict, _, err := b.spec.After(b.ctx, b.lister(b.spec.Active), b.lease, record.VerifyingSince)
	if err != nil {
		if b.caller.Err() == nil && b.ctx.Err() != nil {
			return b.goBack(&FailedError{Color: b.spec.Active, Service: b.target.Service, After: true,
				Reason: fmt.Sprintf("There was no verdict within the timeout of %s.", b.options.Timeout)})
		}
		return b.undecided(err, "after the switch")
	}
	if verdict.Action == analysis.Accept {
		return b.settle(true)
	}
	content, err := b.content(b.ctx, b.spec.Active)
	if err != nil {
		return err
	}
	return b.refuse(verdict, content, true)
}

func (b *blueGreen) save(ctx context.Context, client kubernetes.Interface) error {
	return b.stored.save(ctx, client, b.target)
}

func put(values map[string]string, key, value string) map[string]string {
	if values == nil {
		values = map[string]string{}
	}
	values[key] = value
	return values
}

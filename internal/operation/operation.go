// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package operation is the frame of everything that changes an environment. An operation proves that it is in the right place,
// holds the namespace's Lease, refuses writes once its time or its Lease is over, distinguishes a deadline from an interrupt, and has time
// left to clean up. Each resource runs its changes inside one.
package operation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// ErrDeadline is the cause with which an operation's context ends when its own timeout has passed. Any other cause is an interrupt
// from outside.
var ErrDeadline = errors.New("the operation's timeout has passed")

const (
	// DefaultTimeout is that of an operation without one. It is Helm's.
	DefaultTimeout = 5 * time.Minute
	// DefaultCleanup is how long an operation without a limit of its own may write and read after its context has ended. Terraform
	// kills a provider some seconds after the second interrupt, so it is short.
	DefaultCleanup = 20 * time.Second
	// calmCleanup is the least time while nobody interrupts: an API server that is gone for a moment must not cost the record of what
	// happened.
	calmCleanup = 2 * time.Minute
)

// Options describe an operation.
type Options struct {
	Cluster *cluster.Cluster
	Handle  environment.Handle
	// ClusterUID is the UID of the cluster that the resource's state names; empty on create. Another cluster is refused.
	ClusterUID string
	// Subject is what is changed, such as "release data-collection". All operations of one Terraform run share the Lease, so that it
	// does not keep two on the same subject apart: operations of this process on one subject wait for each other.
	Subject string
	// Timeout starts when the Lease is held: waiting for another run does not reduce it. Default: DefaultTimeout.
	Timeout time.Duration
	// Cleanup limits what is done after the context has ended, see Afterward. Default: DefaultCleanup.
	Cleanup time.Duration
	// Progress receives short sentences; it may be nil.
	Progress func(string)
	// Check proves whose the namespace is and returns its UID. It runs before the Lease is taken, and again if another run had to be
	// waited for. Default: environment.Check. Only what creates the namespace has another one.
	Check func(context.Context) (namespaceUID string, err error)
	// MayBeGone allows a namespace that does not exist. The operation holds no Lease then, see Operation.Gone.
	MayBeGone bool
}

// Operation is one operation while it runs.
type Operation struct {
	// ClusterUID and NamespaceUID identify the place.
	ClusterUID, NamespaceUID string
	// Gone says that the namespace does not exist (Options.MayBeGone). There is no Lease then, and nothing to write to in the cluster.
	Gone bool
	// Reads is for reads: it works after the operation's context has ended.
	Reads kubernetes.Interface
	// Gated refuses writes as soon as the operation's context has ended or the Lease is lost.
	Gated kubernetes.Interface
	// Durable refuses writes only when the Lease is lost: another run may be at work then. It records what happened, and rolls back,
	// after the context has ended. Each of its requests is limited to a minute.
	Durable kubernetes.Interface

	options Options
	caller  context.Context // ends when a user interrupts Terraform
	ctx     context.Context // ends with caller, or with ErrDeadline
	cancel  context.CancelFunc
	unlock  func()
	lease   *cluster.Lease
	report  *reporter
}

// Begin proves the place, waits for other operations on the subject and for the Lease, and starts the clock. Errors:
// *cluster.MismatchError, those of Options.Check, *cluster.HeldError, *InterruptedError (ctx ended while it waited), others as from
// cluster.Classify. Nothing is held after an error.
func Begin(ctx context.Context, options Options) (*Operation, error) {
	o := &Operation{options: options.withDefaults(), caller: ctx, report: newReporter(options.Progress)}
	if err := o.begin(); err != nil {
		if ctx.Err() != nil {
			return nil, &InterruptedError{Subject: options.Subject, During: o.Now(), Cause: err}
		}
		return nil, err
	}
	return o, nil
}

func (options Options) withDefaults() Options {
	options.Handle.Adopting = false // What may be planned for a namespace without an owner is not written to one.
	if options.Timeout <= 0 {
		options.Timeout = DefaultTimeout
	}
	if options.Cleanup <= 0 {
		options.Cleanup = DefaultCleanup
	}
	if options.Check == nil {
		options.Check = func(ctx context.Context) (string, error) {
			return environment.Check(ctx, options.Cluster, options.Handle)
		}
	}
	return options
}

func (o *Operation) begin() (err error) {
	o.report.note("checking cluster and namespace")
	if err := o.prove(); err != nil {
		return err
	}
	if o.Reads, err = o.options.Cluster.Kubernetes(); err != nil {
		return err
	}
	o.report.note("waiting for another operation on " + o.options.Subject)
	if o.unlock, err = lockSubject(o.caller, o.options); err != nil {
		return err
	}
	if err := o.hold(); err != nil {
		o.unlock()
		return err
	}
	o.ctx, o.cancel = context.WithTimeoutCause(o.caller, o.options.Timeout, ErrDeadline)
	if err := o.connect(); err != nil {
		return errors.Join(err, o.Finish())
	}
	return nil
}

// prove shows that this is the cluster and the namespace that were meant.
func (o *Operation) prove() (err error) {
	c := o.options.Cluster
	if err := c.RequireUID(o.caller, o.options.ClusterUID); err != nil {
		return err
	}
	if o.ClusterUID, err = c.UID(o.caller); err != nil {
		return err
	}
	o.NamespaceUID, err = o.options.Check(o.caller)
	if _, missing := errors.AsType[*environment.NamespaceMissingError](err); missing && o.options.MayBeGone {
		o.Gone = true
		return nil
	}
	return err
}

// hold takes the Lease. What was true before the wait for another run may not be so after it.
func (o *Operation) hold() (err error) {
	if o.Gone {
		return nil
	}
	namespace := o.options.Handle.Namespace
	o.report.note("waiting for the Lease of namespace " + namespace)
	holding, stop := context.WithTimeoutCause(o.caller, cluster.HoldTimeout(o.options.Timeout), ErrDeadline)
	defer stop()
	waited := false
	o.lease, err = o.options.Cluster.Hold(holding, namespace, func(holder string) {
		waited = true
		o.Paced("lease", "waiting for "+holder+", which works on namespace "+namespace)
	})
	if err != nil || !waited {
		return err
	}
	if err := o.prove(); err != nil {
		after, stop := o.Afterward(0)
		defer stop()
		return errors.Join(err, o.lease.Release(after))
	}
	return nil
}

// connect makes the clients.
func (o *Operation) connect() (err error) {
	if o.Gated, err = cluster.NewKubernetes(o.Config(WhileItRuns)); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	if o.Durable, err = cluster.NewKubernetes(o.Config(WhileHeld)); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return nil
}

// Context ends with the caller's, or with ErrDeadline as its cause.
func (o *Operation) Context() context.Context { return o.ctx }

// Timeout is the limit of the operation's context, without the wait for other runs; zero where it has none, see Renew.
func (o *Operation) Timeout() time.Duration { return o.options.Timeout }

// Holder is who holds the Lease, in words, as written into it; empty where the namespace is gone.
func (o *Operation) Holder() string {
	if o.lease == nil {
		return ""
	}
	return o.lease.Holder()
}

// Renew gives the operation a new context and new clients: the one before may have ended with its deadline, and what follows has
// limits of its own. limit is the new timeout; without one (zero) the context ends only with the caller's. The Lease stays.
func (o *Operation) Renew(limit time.Duration) error {
	o.cancel()
	o.options.Timeout = limit
	if limit > 0 {
		o.ctx, o.cancel = context.WithTimeoutCause(o.caller, limit, ErrDeadline)
	} else {
		o.ctx, o.cancel = context.WithCancel(o.caller)
	}
	return o.connect()
}

// Ended returns why the operation must stop: the cause of its context's end, or that the Lease is lost. It is nil while the operation
// may continue.
func (o *Operation) Ended() error {
	if o.ctx.Err() != nil {
		return context.Cause(o.ctx)
	}
	return o.Lost()
}

// Lost returns a *cluster.LostError when the Lease is lost, and nil while it is held. It is held while it only could not be renewed in
// time: writes wait then.
func (o *Operation) Lost() error {
	if o.lease == nil {
		return nil
	}
	return o.lease.Lost()
}

// MayWrite returns why nothing may be written any more, as Ended does. It waits while the Lease could not be renewed in time. What writes
// to something else than the cluster asks it before each write.
func (o *Operation) MayWrite() error {
	if err := o.Ended(); err != nil || o.lease == nil {
		return err
	}
	err := o.lease.Await(o.ctx)
	if o.ctx.Err() != nil {
		return context.Cause(o.ctx)
	}
	return err
}

// Interrupted reports that Terraform was interrupted. It is false where the operation's own timeout has passed first.
func (o *Operation) Interrupted() bool {
	return o.ctx.Err() != nil && !errors.Is(context.Cause(o.ctx), ErrDeadline)
}

// TimedOut reports that the operation's own timeout has passed.
func (o *Operation) TimedOut() bool {
	return o.ctx.Err() != nil && errors.Is(context.Cause(o.ctx), ErrDeadline)
}

// Config is a configuration for clients that write as long as writes says.
func (o *Operation) Config(writes Writes) *rest.Config {
	config := o.options.Cluster.RESTConfig()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		if writes == WhileItRuns {
			return cluster.Gate(o.ctx, o.lease, next)
		}
		return &timeLimit{limit: durableTimeout, next: cluster.Gate(context.WithoutCancel(o.ctx), o.lease, next)}
	})
	return config
}

// Dynamic is a client for objects of any kind that writes as long as writes says.
func (o *Operation) Dynamic(writes Writes) (dynamic.Interface, error) {
	client, err := dynamic.NewForConfig(o.Config(writes))
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return client, nil
}

// Afterward returns a context for what has to be done although the operation's own has ended: recording what happened, rolling back.
// limit is how long it may take. Where it is zero, that is Options.Cleanup from the interrupt on, and two minutes while there is none.
func (o *Operation) Afterward(limit time.Duration) (context.Context, context.CancelFunc) {
	base := context.WithoutCancel(o.caller)
	switch {
	case limit > 0:
		return context.WithTimeout(base, limit)
	case o.caller.Err() != nil:
		return context.WithTimeout(base, o.options.Cleanup)
	}
	ctx, cancel := context.WithTimeout(base, max(calmCleanup, o.options.Cleanup))
	stop := context.AfterFunc(o.caller, func() {
		select {
		case <-ctx.Done():
		case <-time.After(o.options.Cleanup):
			cancel()
		}
	})
	return ctx, func() { stop(); cancel() }
}

// Say reports a sentence at once.
func (o *Operation) Say(format string, args ...any) { o.report.say(format, args...) }

// Paced reports a sentence, at most one in 10 s on each topic.
func (o *Operation) Paced(topic, sentence string) { o.report.paced(topic, sentence) }

// Doing reports what is being done and remembers it for Now.
func (o *Operation) Doing(what string) {
	o.report.note(what)
	o.report.paced(what, what)
}

// Now is what was being done last, for errors.
func (o *Operation) Now() string { return o.report.now() }

// Finish ends the operation's context and gives the Lease back. Nothing of the operation may still run.
func (o *Operation) Finish() error {
	defer o.unlock()
	o.cancel()
	if o.lease == nil {
		return nil
	}
	ctx, stop := o.Afterward(0)
	defer stop()
	if err := o.lease.Release(ctx); err != nil {
		return fmt.Errorf("giving back the Lease of namespace %s: %w", o.options.Handle.Namespace, err)
	}
	return nil
}

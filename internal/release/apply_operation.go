// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/autoscale"
)

// errDeadline is the cause with which an operation's context ends when its own timeout has passed. Any other cause is an
// interrupt from outside.
var errDeadline = errors.New("the operation's timeout has passed")

// cleanupTimeout bounds what is still written or read after the operation's context has ended. Terraform kills a provider
// some seconds after the second interrupt, so it is short.
const cleanupTimeout = 20 * time.Second

// graces are how long trouble may last before it counts as failure.
type graces struct {
	image         time.Duration // an image that cannot be pulled
	config        time.Duration // a container that cannot be made (a missing Secret, for example)
	refused       time.Duration // pods that are not even made (quota, admission)
	unschedulable time.Duration // a pod without a node; new nodes take minutes
	vanished      time.Duration // an object that is gone
	crashes       int32         // restarts after which a crash loop is one
}

var defaultGraces = graces{
	image:         20 * time.Second,
	config:        20 * time.Second,
	refused:       15 * time.Second,
	unschedulable: 4 * time.Minute,
	vanished:      5 * time.Second,
	crashes:       2,
}

// operation is one Apply or Remove while it runs.
type operation struct {
	target  Target
	timeout time.Duration
	graces  graces

	// caller is the context that was given; ctx ends with it, or with errDeadline as its cause.
	caller context.Context
	ctx    context.Context
	cancel context.CancelFunc

	unlock  func()
	lease   *cluster.Lease
	clients *clients
	reads   kubernetes.Interface
	objects dynamic.Interface
	helm    *action.Configuration
	kube    *ctxKube
	// autoscalers finds the HPAs whose targets keep their live replicas.
	autoscalers autoscale.Source

	secrets  *redact.Secrets
	progress *reporter
	// pending are the objects that were last seen not ready.
	pending []ObjectReport
	// blamed says that some of them had pods that ran and were not ready.
	blamed bool

	mu     sync.Mutex
	during string
}

// begin takes the Lease and starts the clock: waiting for another run does not eat the time for the rollout.
func begin(ctx context.Context, target Target, timeout time.Duration, grace *graces, progress func(string)) (*operation, error) {
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	o := &operation{target: target, timeout: timeout, graces: defaultGraces, caller: ctx, progress: newReporter(progress)}
	if grace != nil {
		o.graces = *grace
	}
	var err error
	if o.reads, err = target.Cluster.Kubernetes(); err != nil {
		return nil, err
	}
	if o.objects, err = target.Cluster.Dynamic(); err != nil {
		return nil, err
	}
	o.autoscalers = autoscale.Live(o.reads)
	// All operations of one Terraform run share the Lease, so that it does not keep two on the same release apart.
	if o.unlock, err = lockRelease(ctx, target); err != nil {
		return nil, &CanceledError{Release: target.Name, During: "waiting for another operation on it", Cause: err}
	}
	o.doing("waiting for the Lease of namespace " + target.Handle.Namespace)
	holding, stop := context.WithTimeoutCause(ctx, cluster.HoldTimeout(timeout), errDeadline)
	defer stop()
	o.lease, err = target.Cluster.Hold(holding, target.Handle.Namespace, func(holder string) {
		o.progress.say("lease", "waiting for "+holder+", which works on namespace "+target.Handle.Namespace)
	})
	if err != nil {
		o.unlock()
		if ctx.Err() != nil {
			return nil, &CanceledError{Release: target.Name, During: o.now(), Cause: err}
		}
		return nil, err
	}
	o.ctx, o.cancel = context.WithTimeoutCause(ctx, timeout, errDeadline)
	if o.clients, err = newClients(o.ctx, target.Cluster, o.lease); err != nil {
		return nil, errors.Join(err, o.finish())
	}
	return o, nil
}

// atWork holds a channel for each release that this process has worked on; who can send into it has the release for himself.
var atWork sync.Map

func lockRelease(ctx context.Context, target Target) (unlock func(), err error) {
	key := target.Cluster.Host() + " " + target.Handle.Namespace + " " + target.Name
	made, _ := atWork.LoadOrStore(key, make(chan struct{}, 1))
	turn, ok := made.(chan struct{})
	if !ok {
		return nil, fmt.Errorf("the lock of release %s is a %T", target.Name, made)
	}
	select {
	case turn <- struct{}{}:
		return sync.OnceFunc(func() { <-turn }), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// defaultTimeout is Helm's.
const defaultTimeout = 5 * time.Minute

// finish gives the Lease back. Nothing of the operation runs any more.
func (o *operation) finish() error {
	defer o.unlock()
	o.cancel()
	ctx, stop := o.afterwards()
	defer stop()
	if err := o.lease.Release(ctx); err != nil {
		return fmt.Errorf("giving back the Lease of namespace %s: %w", o.target.Handle.Namespace, err)
	}
	return nil
}

// afterwards is a context for what must be done although the operation's own has ended.
func (o *operation) afterwards() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(o.caller), cleanupTimeout)
}

// ended returns why the operation must stop, nil while it may go on.
func (o *operation) ended() error {
	if o.ctx.Err() != nil {
		return context.Cause(o.ctx)
	}
	return o.lease.Valid()
}

// interrupted reports an interrupt from outside, and not the operation's own deadline.
func (o *operation) interrupted() bool {
	return o.ctx.Err() != nil && !errors.Is(context.Cause(o.ctx), errDeadline)
}

// doing notes what is going on, for progress and for errors.
func (o *operation) doing(what string) {
	o.mu.Lock()
	o.during = what
	o.mu.Unlock()
	o.progress.say(what, what)
}

// now is what was going on last.
func (o *operation) now() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.during
}

// reporter passes sentences on at a pace that can be read.
type reporter struct {
	say0 func(string)
	mu   sync.Mutex
	last map[string]time.Time
}

const reportEvery = 10 * time.Second

func newReporter(say func(string)) *reporter {
	return &reporter{say0: say, last: map[string]time.Time{}}
}

func (r *reporter) say(topic, sentence string) {
	if r.say0 == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.last[topic]) < reportEvery {
		return
	}
	r.last[topic] = time.Now()
	r.say0(sentence)
}

// tell passes a sentence on that is said once.
func (r *reporter) tell(sentence string) {
	if r.say0 != nil {
		r.say0(sentence)
	}
}

// endingBody ends a request's context with its body.
type endingBody struct {
	io.ReadCloser
	end context.CancelFunc
}

func (b *endingBody) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
)

// annotationUsers lists the sessions that use a Lease. One Terraform run may have several provider processes (one for each
// alias), which are one holder: the last of them to leave gives the Lease back.
const annotationUsers = "slipway.dev/lease-users"

// leaseLock is the protocol on the Lease object. Every write names the resource version that it was decided on.
type leaseLock struct {
	leases    coordination.LeaseInterface
	namespace string
	holder    string
	user      string
	timing    timing
	classify  func(error) error
}

func newUser() string { return strings.ToLower(rand.Text()[:10]) }

// take returns when this run holds the Lease, with the time at which the successful request was sent.
func (l *leaseLock) take(ctx context.Context, waiting func(holder string)) (time.Time, error) {
	var (
		version    string    // the resource version that is watched
		since      time.Time // when it was first seen
		reported   time.Time // when waiting was last called
		holder     string
		unanswered error // why the API server did not answer the last time
	)
	for {
		sent, current, err := l.try(ctx, version, since)
		switch {
		case err == nil && current == nil:
			return sent, nil
		case ctx.Err() != nil:
			switch {
			case unanswered != nil:
				return time.Time{}, unanswered
			case holder == "":
				return time.Time{}, ctx.Err()
			}
			return time.Time{}, &HeldError{Namespace: l.namespace, Holder: holder, Cause: context.Cause(ctx)}
		case err != nil:
			if err = l.classify(err); !IsOutage(err) {
				return time.Time{}, err
			}
			// The holder may have renewed the Lease meanwhile: only what was seen counts, so watching it begins anew.
			unanswered, version = err, ""
		default:
			unanswered = nil
			holder = holderOf(current)
			if current.ResourceVersion != version {
				version, since = current.ResourceVersion, time.Now()
			}
			if waiting != nil && time.Since(reported) >= l.timing.report {
				reported = time.Now()
				waiting(holder)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(l.timing.retry):
		}
	}
}

// try takes the Lease if it is free, is ours already, or was seen unchanged for long enough. Otherwise it returns the Lease of
// another holder.
func (l *leaseLock) try(ctx context.Context, version string, since time.Time) (sent time.Time, held *coordinationv1.Lease, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.timing.request)
	defer cancel()
	for {
		sent = time.Now()
		current, err := l.leases.Get(ctx, LeaseName, metav1.GetOptions{})
		switch {
		case IsNotFound(err):
			_, err = l.leases.Create(ctx, l.stamp(&coordinationv1.Lease{}), metav1.CreateOptions{FieldManager: FieldManager})
		case err != nil:
			return sent, nil, l.inTime(ctx, err)
		case !l.mayTake(current, version, since):
			return sent, current, nil
		default:
			_, err = l.leases.Update(ctx, l.stamp(current), metav1.UpdateOptions{FieldManager: FieldManager})
		}
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
			continue // Another run was faster; read it again.
		}
		return sent, nil, l.inTime(ctx, err)
	}
}

func (l *leaseLock) mayTake(current *coordinationv1.Lease, version string, since time.Time) bool {
	holder := holderOf(current)
	return holder == "" || holder == l.holder || current.ResourceVersion == version && time.Since(since) >= l.timing.takeover
}

// stamp writes this session into a Lease, as its only user where another holder had it.
func (l *leaseLock) stamp(lease *coordinationv1.Lease) *coordinationv1.Lease {
	now := metav1.NowMicro()
	lease.Name = LeaseName
	users := usersOf(lease)
	if holderOf(lease) != l.holder {
		users = nil
		lease.Spec.AcquireTime = &now
		transitions := int32(0)
		if lease.Spec.LeaseTransitions != nil {
			transitions = *lease.Spec.LeaseTransitions + 1
		}
		lease.Spec.LeaseTransitions = &transitions
	}
	if !slices.Contains(users, l.user) {
		users = append(users, l.user)
	}
	setUsers(lease, users)
	lease.Labels = withLabel(lease.Labels, LabelManagedBy, FieldManager)
	seconds := int32(max(1, l.timing.takeover/time.Second))
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &l.holder, &seconds, &now
	return lease
}

// renew returns a *LostError when the Lease is not ours any more.
func (l *leaseLock) renew(ctx context.Context) error {
	return l.change(ctx, func(lease *coordinationv1.Lease) { l.stamp(lease) })
}

// give removes this session from the Lease, and frees the Lease when no session of this run is left in it. A Lease that does not
// exist or has another holder needs no release.
//
// It is repeated until others take the Lease over anyway.
func (l *leaseLock) give(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.timing.takeover)
	defer cancel()
	for {
		err := l.change(ctx, func(lease *coordinationv1.Lease) {
			users := slices.DeleteFunc(usersOf(lease), func(user string) bool { return user == l.user })
			setUsers(lease, users)
			if len(users) == 0 {
				lease.Spec.HolderIdentity, lease.Spec.RenewTime = nil, nil
			}
		})
		if _, lost := errors.AsType[*LostError](err); lost {
			return nil
		}
		if !IsOutage(err) || sleep(ctx, l.timing.retry) != nil {
			return err
		}
	}
}

func (l *leaseLock) change(ctx context.Context, edit func(*coordinationv1.Lease)) error {
	ctx, cancel := context.WithTimeout(ctx, l.timing.request)
	defer cancel()
	for {
		current, err := l.leases.Get(ctx, LeaseName, metav1.GetOptions{})
		switch {
		case IsNotFound(err):
			return &LostError{Namespace: l.namespace, Cause: errors.New("it was deleted")}
		case err != nil:
			return l.classify(l.inTime(ctx, err))
		case holderOf(current) != l.holder || !slices.Contains(usersOf(current), l.user):
			return &LostError{
				Namespace: l.namespace,
				Holder:    firstOf(holderOf(current), "nobody: another run took it over and released it"),
				Cause:     errors.New("taken over"),
			}
		}
		edit(current)
		_, err = l.leases.Update(ctx, current, metav1.UpdateOptions{FieldManager: FieldManager})
		if apierrors.IsConflict(err) {
			continue
		}
		return l.classify(l.inTime(ctx, err))
	}
}

// inTime explains an error that our own time limit caused.
func (l *leaseLock) inTime(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &UnreachableError{Cause: errors.New("no answer within " + l.timing.request.String())}
	}
	return err
}

func holderOf(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

func usersOf(lease *coordinationv1.Lease) []string {
	return strings.FieldsFunc(lease.Annotations[annotationUsers], func(r rune) bool { return r == ',' })
}

func setUsers(lease *coordinationv1.Lease, users []string) {
	lease.Annotations = withLabel(lease.Annotations, annotationUsers, strings.Join(users, ","))
}

func withLabel(labels map[string]string, key, value string) map[string]string {
	if labels == nil {
		labels = map[string]string{}
	}
	labels[key] = value
	return labels
}

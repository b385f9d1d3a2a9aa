// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package operation

import (
	"context"
	"fmt"
	"sync"
)

// atWork holds a channel for each subject that this process has worked on. The operation that has sent into it works on the subject.
var atWork sync.Map

// lockSubject waits until no other operation of this process works on the subject, or until ctx ends.
func lockSubject(ctx context.Context, options Options) (unlock func(), err error) {
	key := options.Cluster.Host() + " " + options.Handle.Namespace + " " + options.Subject
	made, _ := atWork.LoadOrStore(key, make(chan struct{}, 1))
	turn, ok := made.(chan struct{})
	if !ok {
		return nil, fmt.Errorf("the lock of %s is a %T", options.Subject, made)
	}
	select {
	case turn <- struct{}{}:
		return sync.OnceFunc(func() { <-turn }), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

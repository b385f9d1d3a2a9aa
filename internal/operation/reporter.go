// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package operation

import (
	"fmt"
	"sync"
	"time"
)

// reportEvery is the least time between two sentences on one topic.
const reportEvery = 10 * time.Second

// reporter passes sentences on, and remembers what is being done.
type reporter struct {
	pass func(string) // may be nil

	mu    sync.Mutex
	last  map[string]time.Time
	doing string
}

func newReporter(pass func(string)) *reporter {
	return &reporter{pass: pass, last: map[string]time.Time{}}
}

// say passes a sentence on at once.
func (r *reporter) say(format string, args ...any) {
	if r.pass != nil {
		r.pass(fmt.Sprintf(format, args...))
	}
}

// paced passes a sentence on, at most one in reportEvery on each topic.
func (r *reporter) paced(topic, sentence string) {
	if r.pass == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.last[topic]) < reportEvery {
		return
	}
	r.last[topic] = time.Now()
	r.pass(sentence)
}

// note remembers what is being done.
func (r *reporter) note(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doing = what
}

// now is what was being done last.
func (r *reporter) now() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.doing
}

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

// Say reports a sentence at once.
func (o *Operation) Say(format string, args ...any) {
	if o.report.pass != nil {
		o.report.pass(fmt.Sprintf(format, args...))
	}
}

// Paced reports a sentence, at most one in 10 s on each topic.
func (o *Operation) Paced(topic, sentence string) {
	r := o.report
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

// Doing reports what is being done and remembers it for Now.
func (o *Operation) Doing(what string) {
	o.note(what)
	o.Paced(what, what)
}

func (o *Operation) note(what string) {
	o.report.mu.Lock()
	defer o.report.mu.Unlock()
	o.report.doing = what
}

// Now is what was being done last, for errors.
func (o *Operation) Now() string {
	o.report.mu.Lock()
	defer o.report.mu.Unlock()
	return o.report.doing
}

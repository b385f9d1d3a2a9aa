// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// firstPause doubles with each attempt, up to longestPause. Each pause varies by half, so that requests that failed together are not
	// repeated together.
	firstPause   = 250 * time.Millisecond
	longestPause = 4 * time.Second
	// longestDelay is how long a server may ask to wait with Retry-After.
	longestDelay = 30 * time.Second
)

// patienceFor are the limits of repetition. A request of an operation is repeated until the operation's deadline. The others, such as
// those of a plan, have no deadline.
type patienceFor struct {
	// outage limits the repetition of a request without a deadline: longer than an API server needs to restart behind a load balancer,
	// and no longer than a person waits for a plan.
	outage time.Duration
	// stranger is outage for an API server that has not answered this process yet: its address may be wrong, or the cluster gone.
	stranger time.Duration
	// failing limits the repetition after 500: an admission webhook that is down also ends in one, and its reason must be reported.
	failing time.Duration
	// group limits the repetition of a question for one API group. The server behind it may be missing for months, and discovery goes on
	// without it.
	group time.Duration
}

var defaultPatience = patienceFor{
	outage: time.Minute, stranger: 30 * time.Second, failing: 10 * time.Second, group: 4 * time.Second,
}

// retries repeats requests that failed for a moment: reads, and writes whose repetition cannot do harm. After a write whose answer was
// lost, the answer to its repetition is settled: an object that exists by then may be the one that the lost attempt created. A write
// passes the gate again before each repetition.
type retries struct {
	next   http.RoundTripper
	agent  string // the user agent that is added below
	limits patienceFor
	// pause waits, or returns an error when ctx ends first.
	pause func(ctx context.Context, d time.Duration) error
	// answered says that the server has answered a request of this process, marked that its answers carry auditID.
	answered, marked atomic.Bool
}

func newRetries(next http.RoundTripper, userAgent string) *retries {
	return &retries{next: next, agent: userAgent, limits: defaultPatience, pause: sleep}
}

// RoundTrip implements http.RoundTripper.
func (r *retries) RoundTrip(request *http.Request) (*http.Response, error) {
	if isForwarded(request) && request.Method != http.MethodGet {
		return r.next.RoundTrip(request)
	}
	sent, err := newWrite(request)
	if err != nil {
		return nil, err
	}
	t := &trial{retries: r, request: request, write: sent, began: time.Now()}
	ctx, stop := t.waiting()
	defer stop()
	attempt := request
	for {
		a := t.once(attempt)
		if a.fate == settled {
			return t.finish(a)
		}
		if a.fate == unknown {
			if !sent.repeatable {
				return a.response, a.err
			}
			t.doubt()
		}
		delay := t.delay(a)
		if t.exhausted(a, delay) {
			return t.giveUp(a)
		}
		if r.pause(ctx, delay) != nil {
			return a.response, a.err
		}
		if err := t.permitted(); err != nil {
			return nil, err
		}
		if a.response != nil {
			_ = a.response.Body.Close() // It is not used.
		}
		if done := t.alreadyDone(); done != nil {
			return done, nil
		}
		if attempt, err = t.again(); err != nil {
			return a.response, a.err
		}
	}
}

// WrappedRoundTripper lets client-go reach the transport below.
func (r *retries) WrappedRoundTripper() http.RoundTripper { return r.next }

// trial is one request with all its attempts.
type trial struct {
	*retries
	request *http.Request
	write   *write // what the request writes; its verb is empty for a read
	began   time.Time
	// attempts counts them.
	attempts int
	// doubted is when the first attempt was sent whose result is unknown; zero where there is none.
	doubted time.Time
	last    time.Time // when the newest attempt was sent
	failure string    // what the newest failed attempt ended with
	edited  bool      // the options of a deletion are not those of the request any more
}

// waiting is the context of the pauses. It ends with the request's, and with that of the operation that the request belongs to, since
// Helm sends requests without a context.
func (t *trial) waiting() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.request.Context())
	pass := passOf(t.request.Context())
	if pass == nil || pass.ctx.Err() != nil {
		return ctx, cancel
	}
	stop := context.AfterFunc(pass.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// once makes an attempt, and receives the whole answer, so that one that is cut off counts as failed.
func (t *trial) once(request *http.Request) attempt {
	t.attempts++
	t.last = time.Now()
	response, err := t.next.RoundTrip(request)
	if err == nil {
		t.answered.Store(true)
		if response.Header.Get(auditID) != "" {
			t.marked.Store(true)
		}
		if !isForwarded(request) && (!isWatch(request) || response.StatusCode != http.StatusOK) {
			err = receive(response)
		}
	}
	a := attempt{response: response, err: err}
	if err != nil {
		a.response = nil
	}
	a.fate = fateOf(request, a.response, err)
	if a.response != nil && isForwarded(request) && (!t.marked.Load() || a.response.Header.Get(auditID) != "") {
		a.fate = settled // It is the answer of a service, or of the API server about it.
	}
	if a.fate != settled {
		t.failure = a.text()
	}
	return a
}

// doubt notes that the result of the newest attempt is unknown.
func (t *trial) doubt() {
	if t.doubted.IsZero() {
		t.doubted = t.last
	}
}

// delay is the pause before the next attempt.
func (t *trial) delay(a attempt) time.Duration {
	pause := min(firstPause<<min(t.attempts-1, 10), longestPause)
	pause = pause/2 + rand.N(pause) //nolint:gosec // No secret: it only keeps requests apart.
	if a.response != nil {
		if seconds, err := strconv.Atoi(a.response.Header.Get("Retry-After")); err == nil && seconds > 0 {
			pause = max(pause, min(time.Duration(seconds)*time.Second, longestDelay))
		}
	}
	return pause
}

// exhausted reports that the next attempt would come too late.
func (t *trial) exhausted(a attempt, pause time.Duration) bool {
	return time.Now().Add(pause).After(t.until(a))
}

func (t *trial) until(a attempt) time.Time {
	until, limited := t.request.Context().Deadline()
	if pass := passOf(t.request.Context()); !limited && pass != nil && pass.ctx.Err() == nil {
		until, limited = pass.ctx.Deadline()
	}
	if !limited {
		limit := t.limits.outage
		if !t.answered.Load() {
			limit = t.limits.stranger
		}
		until = t.began.Add(limit)
	}
	limit := time.Duration(0)
	switch {
	case a.response == nil:
	case isGroup(t.request.URL.Path), isForwarded(t.request):
		limit = t.limits.group
	case a.response.StatusCode == http.StatusInternalServerError:
		limit = t.limits.failing
	}
	if end := t.began.Add(limit); limit > 0 && end.Before(until) {
		until = end
	}
	return until
}

// permitted asks the gate again: the Lease may have been lost since the last attempt.
func (t *trial) permitted() error {
	pass := passOf(t.request.Context())
	if pass == nil {
		return nil
	}
	return pass.check(t.request)
}

// giveUp reports what lasted, and for how long it was tried.
func (t *trial) giveUp(a attempt) (*http.Response, error) {
	forwarded := isForwarded(t.request)
	if t.attempts == 1 && a.err != nil && !forwarded {
		return nil, a.err
	}
	if a.err != nil || forwarded {
		if a.response != nil {
			_ = a.response.Body.Close() // It is not used.
		}
		return nil, &OutageError{Tried: time.Since(t.began), Attempts: t.attempts, Cause: t.failure}
	}
	// client-go would begin anew.
	a.response.Header.Del("Retry-After")
	if t.attempts > 1 {
		addToMessage(a.response, tried(t.attempts, time.Since(t.began)))
	}
	return a.response, nil
}

// finish returns the answer that counts.
func (t *trial) finish(a attempt) (*http.Response, error) {
	if a.err != nil && t.attempts > 1 && errors.Is(t.request.Context().Err(), context.DeadlineExceeded) {
		return nil, &OutageError{Tried: time.Since(t.began), Attempts: t.attempts, Cause: t.failure}
	}
	if a.err != nil || t.doubted.IsZero() || a.response.StatusCode < 400 {
		return a.response, a.err
	}
	if ours := t.settle(a.response); ours != nil {
		return ours, nil
	}
	return a.response, nil
}

// again is the request that is sent once more.
func (t *trial) again() (*http.Request, error) {
	next := t.request.Clone(t.request.Context())
	if t.edited {
		body, err := json.Marshal(t.write.options)
		if err != nil {
			return nil, err
		}
		next.Body, next.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		next.Header.Set("Content-Type", "application/json")
		return next, nil
	}
	if t.request.Body == nil || t.request.Body == http.NoBody {
		return next, nil
	}
	if t.request.GetBody == nil {
		return nil, errors.New("the body cannot be read twice")
	}
	body, err := t.request.GetBody()
	if err != nil {
		return nil, err
	}
	next.Body = body
	return next, nil
}

// sleep waits, or returns why ctx has ended.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

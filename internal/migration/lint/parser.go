// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/wasilibs/go-pgquery/parser"
)

// parseLimit is the time limit for parsing one statement. Usual ones take less than a millisecond. Statements that are known to hang the
// parser are not parsed (tooMuch); this limit is for the others.
const parseLimit = 15 * time.Second

// started is true if there is an instance of the parser. An instance that hangs is abandoned, and the next call compiles another
// one, which does not count as time of the statement.
var (
	startLock sync.Mutex
	started   bool
	// broken is why the parser can no longer be trusted. After an internal failure it may have overwritten its own memory; its library
	// reuses it, and it then reports keywords as errors.
	broken error
)

func startParser() error {
	startLock.Lock()
	defer startLock.Unlock()
	if started || broken != nil {
		return broken
	}
	_, err := parser.ParseToJSON("SELECT 1")
	started = err == nil
	return err
}

// parseWith calls a function of the parser so that neither a panic nor a hang stops the process.
func parseWith(call func(string) (string, error), sql string) (string, error) {
	if err := startParser(); err != nil {
		return "", fmt.Errorf("starting PostgreSQL's parser: %w", err)
	}
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			if failure := recover(); failure != nil {
				reason, _, _ := strings.Cut(fmt.Sprint(failure), "\n")
				a = answer{err: &syntaxError{message: "the parser failed: " + reason, offset: -1}}
				startLock.Lock()
				broken = fmt.Errorf("it failed on another statement (%s), and its answers cannot be trusted any more", reason)
				startLock.Unlock()
			}
			answers <- a
		}()
		a.text, a.err = call(sql)
	}()
	timer := time.NewTimer(parseLimit)
	defer timer.Stop()
	select {
	case a := <-answers:
		return a.text, a.err
	case <-timer.C:
		startLock.Lock()
		started = false
		startLock.Unlock()
		return "", &syntaxError{message: fmt.Sprintf("the parser did not come to an end with it within %s", parseLimit), offset: -1}
	}
}

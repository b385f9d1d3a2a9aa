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

// parseLimit is how long one statement may take to parse. Usual ones take less than a millisecond. What is known to take the
// parser for ever is kept from it (tooMuch); this is for the rest.
const parseLimit = 15 * time.Second

// started says that there is an instance of the parser. One that does not answer is lost, and the next call compiles
// another: that is not part of the time of a statement.
var (
	startLock sync.Mutex
	started   bool
	// broken is why the parser cannot be trusted any more. One that failed within itself may have written over its own
	// memory, is given out again by its library, and then takes keywords for errors.
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

// guarded calls the parser so that neither its panic nor its silence stops the process.
func guarded(call func(string) (string, error), sql string) (string, error) {
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

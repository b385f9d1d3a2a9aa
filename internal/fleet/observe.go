// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"
)

// stamp is what a file system records of a file in addition to its content. The zero stamp is unknown.
type stamp struct {
	Inode, Size uint64
	// Modified and Changed in nanoseconds since 1970. Programs cannot set Changed, so that a new file
	// with the old modification time is not mistaken for the old file.
	Modified, Changed int64
}

// settlingTime is the minimum age of a file's last change for its stamp to be trusted. A file that changes twice within one tick of the
// file system's clock has one stamp for two contents; the coarsest clocks tick every two seconds.
const settlingTime = 2 * time.Second

// observer finds out whether files have changed, and reads as few of them as possible: a file with an unchanged stamp has unchanged
// content. Stamps are trusted on local file systems only. Safe for concurrent use.
type observer struct {
	devices   []uint64 // of the file systems whose stamps are trusted
	settled   int64    // changes before this moment, in nanoseconds, are settled
	shared    sync.Map // path → *sight, of files that several clients share
	reads     atomic.Int64
	refreshed atomic.Bool // some stamp differs from the cache
}

// newObserver trusts stamps on the file systems of these folders. It must be created before the first file is read.
func newObserver(now time.Time, folders ...string) *observer {
	o := &observer{settled: now.Add(-settlingTime).UnixNano()}
	for _, folder := range folders {
		if device, ok := localDevice(folder); ok {
			o.devices = append(o.devices, device)
		}
	}
	return o
}

// sight is the state of a file in this run.
type sight struct {
	stamp   stamp // zero if it cannot be trusted
	err     error
	missing bool

	reading sync.Once
	sum     sum
	readErr error
}

// see reads the stamp of a file, not its content.
func (o *observer) see(path string) *sight {
	found, device, err := stampOf(path)
	s := &sight{err: err, missing: errors.Is(err, fs.ErrNotExist)}
	if err == nil && found.Changed < o.settled {
		for _, trusted := range o.devices {
			if device == trusted {
				s.stamp = found
			}
		}
	}
	return s
}

// seeOnce is see for files that several clients share.
func (o *observer) seeOnce(path string) *sight {
	if known, ok := o.shared.Load(path); ok {
		if s, ok := known.(*sight); ok {
			return s
		}
	}
	known, _ := o.shared.LoadOrStore(path, o.see(path))
	if s, ok := known.(*sight); ok {
		return s
	}
	return o.see(path)
}

// isSame reports that a file, whose state is s, still has the recorded content; it records the file's current stamp.
func (o *observer) isSame(known *input, s *sight) bool {
	switch {
	case s.missing:
		return known.Sum == absent
	case s.err != nil || known.Sum == absent:
		return false // not readable: resolving the environment reports it
	case s.stamp != stamp{} && s.stamp == known.Stamp:
		return true
	}
	s.reading.Do(func() {
		o.reads.Add(1)
		content, err := readFile(known.Path)
		s.sum, s.readErr = fingerprint(content), err
	})
	if s.readErr != nil || s.sum != known.Sum {
		return false
	}
	if s.stamp != known.Stamp {
		known.Stamp = s.stamp
		o.refreshed.Store(true)
	}
	return true
}

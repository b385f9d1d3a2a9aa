// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// stamp is what a file system notes of a file without being asked for its content. The zero stamp says nothing.
type stamp struct {
	Inode, Size uint64
	// Modified and Changed in nanoseconds since 1970. Nobody can set Changed, so that a file that was given its old time of
	// modification is not taken for the old file.
	Modified, Changed int64
}

// settlingTime is how old a file's last change must be before its stamp is believed. A file that is changed twice within one tick of the
// file system's clock has one stamp for two contents; the coarsest clocks tick every two seconds.
const settlingTime = 2 * time.Second

// observer tells whether files still are what they were, and reads no more of them than it must: the content of a file with the stamp
// that it had is the content that it had. Stamps are believed on local file systems only. Safe for concurrent use.
type observer struct {
	devices   []uint64 // of the file systems whose stamps are believed
	settled   int64    // changes before this moment, in nanoseconds, are settled
	shared    sync.Map // path → *sight, of files that are asked for more than once
	reads     atomic.Int64
	refreshed atomic.Bool // some stamp is another one than the cache has
}

// newObserver believes stamps on the file systems of these folders. It is made before the first file is looked at.
func newObserver(now time.Time, folders ...string) *observer {
	o := &observer{settled: now.Add(-settlingTime).UnixNano()}
	for _, folder := range folders {
		if device, ok := localDevice(folder); ok {
			o.devices = append(o.devices, device)
		}
	}
	return o
}

// sight is how a file was found in this run.
type sight struct {
	stamp   stamp // zero where it is not to be believed
	err     error
	missing bool

	reading sync.Once
	sum     sum
	readErr error
}

// see looks at a file, not into it.
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

// isSame reports that a file, which was found as s, still is what is known of it; it notes the stamp that the file has now.
func (o *observer) isSame(known *input, s *sight) bool {
	switch {
	case s.missing:
		return known.Sum == absent
	case s.err != nil || known.Sum == absent:
		return false // not readable: the slow way says so
	case s.stamp != stamp{} && s.stamp == known.Stamp:
		return true
	}
	s.reading.Do(func() {
		o.reads.Add(1)
		content, err := os.ReadFile(known.Path)
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

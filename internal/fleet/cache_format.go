// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"encoding/binary"
	"maps"
	"slices"
)

// encodeCache writes the cache as lengths, texts and fingerprints. Every run reads it, and general encoders are too slow for that.
func encodeCache(basis sum, clients map[string]clientEntry) []byte {
	size := 1 << 10
	for _, entry := range clients {
		size += 200 + 160*(len(entry.Inputs)+len(entry.Outputs))
	}
	out := append(make([]byte, 0, size), basis[:]...)
	text := func(s string) {
		out = binary.AppendUvarint(out, uint64(len(s)))
		out = append(out, s...)
	}
	writeStamp := func(s stamp) {
		for _, n := range []uint64{s.Inode, s.Size, uint64(s.Modified), uint64(s.Changed)} {
			out = binary.LittleEndian.AppendUint64(out, n)
		}
	}
	files := func(files []input) {
		out = binary.AppendUvarint(out, uint64(len(files)))
		for _, file := range files {
			text(file.Path)
			out = append(out, file.Sum[:]...)
			writeStamp(file.Stamp)
		}
	}
	out = binary.AppendUvarint(out, uint64(len(clients)))
	for _, name := range slices.Sorted(maps.Keys(clients)) {
		entry := clients[name]
		text(name)
		out = binary.AppendUvarint(out, uint64(len(entry.Stages)))
		for _, stage := range entry.Stages {
			text(stage)
		}
		files(entry.Inputs)
		files(entry.Outputs)
		writeStamp(entry.Folder)
		out = binary.AppendUvarint(out, uint64(len(entry.Places)))
		for _, p := range entry.Places {
			text(p.Stage)
			text(p.Key)
			text(p.Text)
		}
		out = binary.AppendUvarint(out, uint64(len(entry.Tags)))
		for _, tag := range entry.Tags {
			text(tag)
		}
	}
	return out
}

// decodeCache returns nil for another basis, and for content that encodeCache did not write.
func decodeCache(content []byte, basis sum) map[string]clientEntry {
	r := &cacheReader{rest: string(content)}
	if r.sum() != basis {
		return nil
	}
	n := r.count()
	clients := make(map[string]clientEntry, n)
	for range n {
		name := r.text()
		var entry clientEntry
		for range r.count() {
			entry.Stages = append(entry.Stages, r.text())
		}
		entry.Inputs, entry.Outputs, entry.Folder = r.files(), r.files(), r.stamp()
		for range r.count() {
			entry.Places = append(entry.Places, place{Stage: r.text(), Key: r.text(), Text: r.text()})
		}
		for range r.count() {
			entry.Tags = append(entry.Tags, r.text())
		}
		clients[name] = entry
	}
	if r.broken || r.rest != "" {
		return nil
	}
	return clients
}

// cacheReader decodes a cache. After the first error, it returns only zero values.
type cacheReader struct {
	rest   string
	broken bool
}

func (r *cacheReader) take(n int) string {
	if n < 0 || n > len(r.rest) {
		r.rest, r.broken = "", true
		return ""
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

// count is a number of items, each of which takes at least one byte.
func (r *cacheReader) count() int {
	var n uint64
	for shift := 0; shift < 63; shift += 7 {
		b := r.take(1)
		if b == "" {
			return 0
		}
		n |= uint64(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			break
		}
	}
	if n > uint64(len(r.rest)) {
		r.rest, r.broken = "", true
		return 0
	}
	return int(n)
}

func (r *cacheReader) text() string { return r.take(r.count()) }

func (r *cacheReader) sum() (s sum) {
	copy(s[:], r.take(len(s)))
	return s
}

func (r *cacheReader) stamp() stamp {
	return stamp{Inode: r.number(), Size: r.number(), Modified: int64(r.number()), Changed: int64(r.number())}
}

func (r *cacheReader) number() uint64 {
	text := r.take(8)
	if text == "" {
		return 0
	}
	var n uint64
	for i := range 8 {
		n |= uint64(text[i]) << (8 * i)
	}
	return n
}

func (r *cacheReader) files() []input {
	n := r.count()
	out := make([]input, n)
	for i := range out {
		out[i] = input{Path: r.text(), Sum: r.sum(), Stamp: r.stamp()}
	}
	return out
}

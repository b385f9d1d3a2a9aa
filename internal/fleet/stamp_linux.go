// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"
)

// localFilesystems have exact stamps, and no other machine changes files in them.
var localFilesystems = []uint32{
	unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC,
}

// magic is the number of a file system, whose type differs between processors.
func magic[T int32 | int64 | uint32](number T) uint32 { return uint32(number) }

// localDevice is the device of a folder on a local file system.
func localDevice(folder string) (device uint64, ok bool) {
	var system unix.Statfs_t
	var found unix.Stat_t
	if unix.Statfs(folder, &system) != nil || !slices.Contains(localFilesystems, magic(system.Type)) || unix.Stat(folder, &found) != nil {
		return 0, false
	}
	return found.Dev, true
}

// stampOf is the stamp of the file at a path, and its device.
func stampOf(path string) (stamp, uint64, error) {
	var found unix.Stat_t
	for {
		err := unix.Stat(path, &found)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return stamp{}, 0, &fs.PathError{Op: "stat", Path: path, Err: err}
		}
		return stamp{Inode: found.Ino, Size: uint64(found.Size), Modified: found.Mtim.Nano(), Changed: found.Ctim.Nano()}, found.Dev, nil
	}
}

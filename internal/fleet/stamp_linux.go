// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"
)

// localFilesystems keep exact stamps, and no other machine changes files in them.
var localFilesystems = []int64{
	unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC,
}

// localDevice is the device of a folder on a local file system.
func localDevice(folder string) (device uint64, ok bool) {
	var system unix.Statfs_t
	var found unix.Stat_t
	if unix.Statfs(folder, &system) != nil || !slices.Contains(localFilesystems, int64(system.Type)) || unix.Stat(folder, &found) != nil {
		return 0, false
	}
	return uint64(found.Dev), true
}

// stampOf is the stamp of what a path leads to, and the device that it is on.
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
		return stamp{Inode: found.Ino, Size: uint64(found.Size), Modified: found.Mtim.Nano(), Changed: found.Ctim.Nano()}, uint64(found.Dev), nil
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"fmt"
	"os"
	"sync"
)

// processHolder names the Terraform run that started this process: the parent process, which all provider processes of
// one run have in common, with its start time (process ids are used again) and its machine. Where the system does not
// provide the start time, the id and the machine are all that identifies it.
var processHolder = sync.OnceValue(func() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	parent := os.Getppid()
	return fmt.Sprintf("terraform process %d on %s%s", parent, host, processDetails(parent))
})

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"os"
	"os/user"
	"strings"
	"sync"
)

// processHolder names the Terraform run that started this process, for people and for comparison: user and machine, the parent process,
// which all provider processes of one run have in common, the page of the pipeline where the environment names one, and a digest of what
// distinguishes runs with the same user, machine and process id. It is "ada on runner-7, terraform process 17007 (run 1f3c9a2e)".
var processHolder = sync.OnceValue(func() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	parent := os.Getppid()
	digest := fnv.New32a()
	_, _ = digest.Write([]byte(processDetails(parent))) // a hash takes everything
	run := fmt.Sprintf("run %08x", digest.Sum32())
	if page := pipelinePage(os.Getenv); page != "" {
		run += ", " + page
	}
	return fmt.Sprintf("%s on %s, terraform process %d (%s)", userName(), host, parent, run)
})

// userName is who runs this process. A container may have a user id without an entry in its user database.
func userName() string {
	if current, err := user.Current(); err == nil && current.Username != "" {
		return current.Username
	}
	return cmp.Or(os.Getenv("USER"), fmt.Sprintf("user %d", os.Getuid()))
}

// pipelinePage is the web page of the pipeline that runs this process, from the variables that GitHub Actions, GitLab CI and Jenkins
// set; empty where none of them runs it.
func pipelinePage(env func(string) string) string {
	if server, repository, run := env("GITHUB_SERVER_URL"), env("GITHUB_REPOSITORY"), env("GITHUB_RUN_ID"); run != "" && repository != "" {
		return fmt.Sprintf("%s/%s/actions/runs/%s", strings.TrimSuffix(server, "/"), repository, run)
	}
	return cmp.Or(env("CI_JOB_URL"), env("BUILD_URL"))
}

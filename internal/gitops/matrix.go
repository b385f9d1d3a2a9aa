// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package gitops generates the configuration of pipelines, Argo CD and Prometheus for a fleet.
package gitops

import (
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf16"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/fleet"
)

// MaxJobs is GitHub's limit of jobs for one matrix.
const MaxJobs = 256

// MaxOutput is GitHub's limit for the outputs of one job, as UTF-16.
const MaxOutput = 1 << 20

// Job is one environment in a matrix.
type Job struct {
	Client string `json:"client"`
	Stage  string `json:"stage"`
	// Environment is "client-a-prod": the Terraform workspace, and the GitHub environment whose approvals apply.
	Environment string `json:"environment"`
	// Values is the generated file, relative to the repository's root.
	Values string `json:"values"`
	// Namespace in the cluster, if a fact sets it.
	Namespace string `json:"namespace,omitempty"`
}

// Shard is a matrix in GitHub's form. It is never empty.
type Shard struct {
	Include []Job `json:"include"`
}

// Wave is a part of a rollout: all of its shards, then the next wave.
type Wave struct {
	Name   string  `json:"name"`
	Jobs   int     `json:"jobs"`
	Shards []Shard `json:"shards"`
}

// Matrix is a rollout over environments.
type Matrix struct {
	// Any is false if there is nothing to do: GitHub fails on an empty matrix, so the job that uses it needs a condition.
	Any   bool   `json:"any"`
	Waves []Wave `json:"waves"`
}

func errSize(size int) *explain.Error {
	return &explain.Error{
		Happened: "The matrix is too large for GitHub.",
		Observed: fmt.Sprintf("The matrix takes %d bytes, and GitHub limits a job's outputs to %d.", size, MaxOutput),
		Advice:   "Request one wave at a time (--wave), each in a job of its own.",
	}
}

// NewMatrix arranges environments by wave and cuts each wave into shards of at most max jobs (0: MaxJobs). Waves without environments
// are left out. Error: *explain.Error where it is too large for the outputs of one job.
func NewMatrix(f *fleet.Fleet, environments []*fleet.Environment, limit int) (*Matrix, error) {
	if limit <= 0 || limit > MaxJobs {
		limit = MaxJobs
	}
	root, err := treeInRepository(f)
	if err != nil {
		return nil, err
	}
	out := &Matrix{Waves: []Wave{}}
	for i, name := range f.WaveNames() {
		wave := Wave{Name: name}
		for _, e := range environments {
			if e.Wave != i {
				continue
			}
			if wave.Jobs%limit == 0 {
				wave.Shards = append(wave.Shards, Shard{})
			}
			last := &wave.Shards[len(wave.Shards)-1]
			last.Include = append(last.Include, Job{
				Client: e.Client, Stage: e.Stage, Environment: e.Client + "-" + e.Stage,
				Values: path.Join(root, e.Client, e.Stage, fleet.ValuesFile), Namespace: e.Facts["namespace"],
			})
			wave.Jobs++
		}
		if wave.Jobs > 0 {
			out.Waves = append(out.Waves, wave)
		}
	}
	out.Any = len(out.Waves) > 0
	text, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("writing the matrix: %w", err)
	}
	if size := 2 * len(utf16.Encode([]rune(string(text)))); size > MaxOutput {
		return nil, errSize(size)
	}
	return out, nil
}

// treeInRepository is the generated tree's path in the repository, with slashes.
func treeInRepository(f *fleet.Fleet) (string, error) {
	return inRepository(f, filepath.Join(f.Dir, f.Output))
}

func inRepository(f *fleet.Fleet, where string) (string, error) {
	root := ".."
	if f.GitOps != nil {
		root = f.GitOps.Root
	}
	relative, err := filepath.Rel(filepath.Join(f.Dir, root), where)
	if err != nil || strings.HasPrefix(relative, "..") {
		return "", &fleet.DescriptionError{
			File:   filepath.Join(f.Dir, fleet.FileName),
			Reason: fmt.Sprintf("%s is not in the repository, whose root is %s (gitops.root)", where, filepath.Join(f.Dir, root)),
			Err:    err,
		}
	}
	return filepath.ToSlash(relative), nil
}

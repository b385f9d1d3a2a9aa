// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	helmrelease "helm.sh/helm/v3/pkg/release"
)

// labelSeal is a label on Helm's Secrets with the key of a revision's seal. Anyone who can read it can read the revision too; the seal
// itself is in our record, which more people can read and which reveals nothing about secret values without the key.
const labelSeal = "slipway.dev/seal"

const sealVersion = "s1:"

// newSealKey is a key that fits into a label.
func newSealKey() string {
	key := make([]byte, 20)
	_, _ = rand.Read(key) // It never fails.
	return hex.EncodeToString(key)
}

// seal is a keyed hash over the content of a stored revision: chart, values, objects and hooks. Its status, its times and what Helm
// notes while it runs do not count. It is empty where the revision has no key.
func seal(stored *helmrelease.Release) (string, error) {
	key := stored.Labels[labelSeal]
	if key == "" {
		return "", nil
	}
	type hook struct {
		Path, Kind, Manifest string
		Events               []helmrelease.HookEvent
	}
	content := struct {
		Chart, ChartVersion string
		Config              map[string]any
		Manifest            string
		Hooks               []hook
	}{Config: stored.Config, Manifest: stored.Manifest}
	if stored.Chart != nil && stored.Chart.Metadata != nil {
		content.Chart, content.ChartVersion = stored.Chart.Metadata.Name, stored.Chart.Metadata.Version
	}
	for _, h := range stored.Hooks {
		content.Hooks = append(content.Hooks, hook{Path: h.Path, Kind: h.Kind, Manifest: h.Manifest, Events: h.Events})
	}
	text, err := json.Marshal(content)
	if err != nil {
		return "", fmt.Errorf("reading revision %d of release %s: %w", stored.Version, stored.Name, err)
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(text)
	return sealVersion + hex.EncodeToString(mac.Sum(nil)), nil
}

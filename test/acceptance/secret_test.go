// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// Two strings that must be found nowhere: one given as sensitive value, one as write-only value.
const (
	sensitiveCanary = "kiwi-7f3a9c-sensitive"
	writeOnlyCanary = "kiwi-2b8e4d-write-only"
)

// Secrets reach the cluster's Secret and nothing else: no plan, state, log or error, raw or in base64, from the first install
// over an upgrade and a failure to the destroy.
func TestSecrets_AreFoundNowhere(t *testing.T) {
	t.Parallel()
	c := newTenant(t)
	values := `{ autoscaling = { enabled = false }, replicaCount = 1, preStopSleepSeconds = 1, terminationGracePeriodSeconds = 2, ` +
		`config = { LOG_LEVEL = "%s" } }`
	// The chart writes the token into a Secret and its checksum into an annotation, and the note into an annotation as it is.
	stack := func(version, level, key string) string {
		return c.stack(version, fmt.Sprintf(values, level), fmt.Sprintf(`
  sensitive_values  = { podAnnotations = { note = %q } }
  values_wo         = { %s = %q }
  values_wo_version = 1
`, "see "+sensitiveCanary, key, writeOnlyCanary))
	}
	w := newWorkspace(t, map[string]string{"main.tf": stack("v1.1.1", "info", "apiToken")})
	log := filepath.Join(w.dir, "trace.log")
	w.env = append(w.env, "TF_LOG_PROVIDER=TRACE", "TF_LOG_PATH="+log)

	var seen []string
	see := func(r result) result {
		seen = append(seen, r.text)
		return r
	}
	see(w.run("plan", "-no-color", "-input=false", "-out=saved.tfplan"))
	see(w.run("show", "-no-color", "saved.tfplan"))
	if r := see(w.run("apply", "-no-color", "-input=false", "saved.tfplan")); r.code != 0 {
		t.Fatalf("install:\n%s", r.text)
	}
	secret, err := harness.Kubernetes(t).CoreV1().Secrets(c.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, s := range secret.Items {
		if s.Type == "helm.sh/release.v1" {
			continue
		}
		for _, v := range s.Data {
			found = found || strings.Contains(string(v), writeOnlyCanary)
		}
	}
	if !found {
		t.Fatal("the write-only value did not reach the cluster's Secret, so this test would prove nothing")
	}

	w.write("main.tf", stack("no-such-tag", "debug", "apiToken"))
	see(w.run("plan", "-no-color", "-input=false", "-json"))
	if r := see(w.run("apply", "-auto-approve", "-no-color", "-input=false")); r.code == 0 {
		t.Fatalf("an image that cannot be pulled has to fail the apply:\n%s", r.text)
	}
	w.write("main.tf", stack("v1.1.1", "info", "apiTokem"))
	if r := see(w.run("plan", "-no-color", "-input=false")); r.code == 0 {
		t.Fatalf("an unknown key has to fail the plan:\n%s", r.text)
	}
	state := stateWithoutSensitiveValues(t, w)

	w.write("main.tf", stack("v1.2.0", "debug", "apiToken"))
	see(w.run("apply", "-auto-approve", "-no-color", "-input=false"))
	state += stateWithoutSensitiveValues(t, w)
	if r := see(w.run("destroy", "-auto-approve", "-no-color", "-input=false")); r.code != 0 {
		t.Fatalf("destroy:\n%s", r.text)
	}

	trace, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"output": strings.Join(seen, "\n"), "state": state, "log": string(trace)} {
		for _, canary := range []string{sensitiveCanary, writeOnlyCanary} {
			for form, needle := range map[string]string{
				"raw": canary, "base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(canary)), "=")[:20],
			} {
				if at := strings.Index(text, needle); at >= 0 {
					t.Errorf("%s holds %s (%s): …%s…", where, canary, form, text[max(0, at-200):min(len(text), at+60)])
				}
			}
		}
	}
}

// stateWithoutSensitiveValues is the state file less the one attribute whose purpose is to hold secrets.
func stateWithoutSensitiveValues(t *testing.T, w *workspace) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(w.dir, "terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]any
	if err := json.Unmarshal(raw, &state); err != nil {
		t.Fatal(err)
	}
	var strip func(any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, "sensitive_values")
			for _, child := range v {
				strip(child)
			}
		case []any:
			for _, child := range v {
				strip(child)
			}
		}
	}
	strip(state)
	out, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

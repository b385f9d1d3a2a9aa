// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// stackModule is the module examples/client-stack as a root module for this client.
func (c tenant) stackModule() *workspace {
	c.t.Helper()
	dir := filepath.Join(repository, "examples", "client-stack")
	found, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil || len(found) == 0 {
		c.t.Fatalf("no module in %s: %v", dir, err)
	}
	files := map[string]string{"provider.tf": fmt.Sprintf("variable \"kubeconfig\" { type = string }\nprovider \"slipway\" {\n"+
		"  workspace    = \"%s-prod\"\n  config_paths = [var.kubeconfig]\n}\n", c.client)}
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err != nil {
			c.t.Fatal(err)
		}
		files[filepath.Base(path)] = string(text)
	}
	return newWorkspace(c.t, files)
}

// inputs are the variables of the module other than those that say where it is.
func (c tenant) inputs(w *workspace, version string, more map[string]any) {
	c.t.Helper()
	values := map[string]any{
		"client": c.client, "stage": "prod", "workspace": c.client + "-prod", "namespace": c.namespace,
		"cluster": map[string]any{"context": harness.Context(c.t)}, "chart": map[string]any{"path": harness.SampleChart()},
		"app_version": version, "deletion_protection": false, "smoke_tests": []any{},
		"values": map[string]any{
			"autoscaling": map[string]any{"enabled": false}, "replicaCount": 2, "preStopSleepSeconds": 2, "terminationGracePeriodSeconds": 4,
		},
		"analysis": map[string]any{"duration": "4s", "interval": "1s"},
	}
	for name, value := range more {
		values[name] = value
	}
	text, err := json.Marshal(values)
	if err != nil {
		c.t.Fatal(err)
	}
	w.write("terraform.tfvars.json", string(text))
}

func colorful(active, green string) map[string]any {
	blueGreen := map[string]any{"active": active, "preview": "4s"}
	if green != "" {
		blueGreen["green"] = green
	}
	return map[string]any{"strategy": "blue_green", "blue_green": blueGreen}
}

// pods are the uids of the pods of a release.
func (c tenant) pods(release string) string {
	c.t.Helper()
	list, err := harness.Kubernetes(c.t).CoreV1().Pods(c.namespace).List(c.t.Context(),
		metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + release})
	if err != nil {
		c.t.Fatal(err)
	}
	var uids []string
	for _, pod := range list.Items {
		uids = append(uids, string(pod.UID))
	}
	return strings.Join(uids, " ")
}

// From one release to two colors, to green, and back to one in a single apply, while users are served.
func TestTracks_ComeAndGoWithoutAFailedRequest(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	w := c.stackModule()
	greenGone := func(ctx context.Context) bool {
		_, err := harness.Kubernetes(t).AppsV1().Deployments(c.namespace).Get(ctx, releaseName+"-green", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}
	c.inputs(w, "v1.1.1", nil)
	w.apply()
	c.users(50)
	before := c.pods(releaseName)

	// Nothing changes hands: the release that was there is blue.
	c.inputs(w, "v1.1.1", colorful("blue", ""))
	c.whileServed("", func() { w.apply() }).keptAnswering(t)
	c.wantSelected(releaseName, "stable")

	c.inputs(w, "v1.1.1", colorful("green", "v1.2.0"))
	c.whileServed("", func() { w.apply() }).keptAnswering(t)
	c.wantSelected(releaseName, "green")
	c.answersWith("v1.2.0")
	if after := c.pods(releaseName); after != before {
		t.Errorf("pods of blue were started anew: %s, before %s", after, before)
	}
	w.noChanges()

	// Blue does not come up: the traffic stays on green, and so does green.
	broken := colorful("blue", "")
	broken["values"] = map[string]any{
		"autoscaling": map[string]any{"enabled": false}, "replicaCount": 2, "preStopSleepSeconds": 2, "terminationGracePeriodSeconds": 4,
		"faults": map[string]any{"crashOnStart": true},
	}
	broken["timeouts"] = map[string]any{"update": "5s"}
	broken["rollback"] = nil
	c.inputs(w, "v1.2.0", broken)
	c.whileServed("", func() { w.refused("apply", "-auto-approve", "-no-color", "-input=false") }).keptAnswering(t)
	c.wantSelected(releaseName, "green")
	if greenGone(t.Context()) {
		t.Fatal("green was removed although it has the traffic")
	}

	// One apply: blue is updated without traffic, the traffic moves, and only then green goes.
	c.inputs(w, "v1.2.0", colorful("blue", ""))
	c.whileServed("", func() { w.apply() }).keptAnswering(t)
	c.wantSelected(releaseName, "stable")
	if !greenGone(t.Context()) {
		t.Error("green is left")
	}
	w.noChanges()

	// Back to the plain strategy: the Service continues to select the pods that are left.
	c.inputs(w, "v1.2.0", nil)
	c.whileServed("", func() { w.apply() }).keptAnswering(t)
	w.noChanges()
}

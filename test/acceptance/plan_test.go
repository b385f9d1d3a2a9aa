// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

var update = flag.Bool("update", false, "write the golden files under testdata/")

var getOptions = metav1.GetOptions{}

// The plan of an upgrade is what a reviewer reads, so its whole text is a golden file, one per tool.
func TestPlan_ShowsAnUpgradeLeafByLeaf(t *testing.T) {
	t.Parallel()
	c := newTenant(t)
	values := `{ environment = "client-a", autoscaling = { maxReplicas = %d, minReplicas = 1 }, config = { LOG_LEVEL = "%s" }, ` +
		`preStopSleepSeconds = 1, terminationGracePeriodSeconds = 2 }`
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", fmt.Sprintf(values, 20, "info"), "")})
	w.apply()
	w.noChanges()
	w.write("main.tf", c.stack("v1.2.0", fmt.Sprintf(values, 50, "debug"), ""))
	text := w.plan()
	for _, want := range []string{
		"image v1.1.1 → v1.2.0", "maxReplicas 20 → 50", "data.LOG_LEVEL info → debug",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the plan does not say %q:\n%s", want, text)
		}
	}
	golden(t, "plan-upgrade", normalize(c, text))
}

// A saved plan is applied by another process, after the world may have changed.
func TestSavedPlan_AppliedAfterTheClusterChanged(t *testing.T) {
	t.Parallel()
	c := newTenant(t)
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", quick, "")})
	w.apply()
	w.write("main.tf", c.stack("v1.2.0", quick, ""))
	w.plan("-out=saved.tfplan")
	patch := []byte(`{"metadata":{"annotations":{"edited":"by-hand"}},"spec":{"minReadySeconds":1}}`)
	if _, err := harness.Kubernetes(t).AppsV1().Deployments(c.namespace).Patch(t.Context(), releaseName, types.StrategicMergePatchType, patch,
		metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.must("apply", "-no-color", "-input=false", "saved.tfplan")
	c.answersWith("v1.2.0")
	w.noChanges()
}

// A release in the state whose cluster cannot be asked stays in the state.
func TestRead_ClusterThatCannotBeAsked_KeepsTheState(t *testing.T) {
	t.Parallel()
	c := newTenant(t)
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", quick, "")})
	w.apply()
	for name, spoil := range map[string]func(*clientcmdapi.Config){
		"no answer": func(config *clientcmdapi.Config) {
			for _, cluster := range config.Clusters {
				cluster.Server = "https://127.0.0.1:1"
			}
		},
		"expired token": func(config *clientcmdapi.Config) {
			for user := range config.AuthInfos {
				config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: "expired"}
			}
		},
	} {
		config, err := clientcmd.LoadFromFile(kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		spoil(config)
		file := filepath.Join(w.dir, strings.ReplaceAll(name, " ", "-")+".kubeconfig")
		if err := clientcmd.WriteToFile(*config, file); err != nil {
			t.Fatal(err)
		}
		r := w.run("plan", "-no-color", "-input=false", "-detailed-exitcode", "-var", "kubeconfig="+file)
		if r.code != 0 || !strings.Contains(r.text, "Warning") {
			t.Errorf("%s: want no changes and a warning, got exit code %d:\n%s", name, r.code, r.text)
		}
	}
	w.noChanges()
}

// golden compares text with testdata/<tool>/<name>.txt.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", filepath.Base(cli), name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("reading the golden file (write it with -update): %v", err)
	}
	if got != string(want) {
		t.Errorf("the text differs from %s (look at it, then run with -update).\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

// normalize keeps the plan itself and replaces what differs from run to run.
func normalize(c tenant, text string) string {
	if _, plan, found := strings.Cut(text, "will perform the following actions:\n"); found {
		text = plan
	}
	if plan, _, found := strings.Cut(text, "\n─"); found {
		text = plan
	}
	for _, r := range []struct{ pattern, with string }{
		{regexp.QuoteMeta(c.client), "client-a"},
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "<uuid>"},
		{`[0-9a-f]{64}`, "<sha256>"},
		{regexp.QuoteMeta(repository), "."},
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.with)
	}
	return text
}

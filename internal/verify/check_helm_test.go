// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// podTest is a Pod as a test of the chart.
func podTest(name, weight, policy string, args ...any) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": name, "annotations": map[string]any{
			"helm.sh/hook": "test", "helm.sh/hook-weight": weight, "helm.sh/hook-delete-policy": policy,
		}},
		"spec": map[string]any{
			"restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
			"containers": []any{map[string]any{"name": "test", "image": harness.Image(), "args": args}},
		},
	}
}

func moreObjects(objects ...any) map[string]any { return map[string]any{"extra": objects} }

func (b *bench) pods(selector string) []string {
	b.t.Helper()
	list, err := b.client.CoreV1().Pods(b.namespace()).List(b.t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		b.t.Fatal(err)
	}
	var names []string
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

func TestHelmTest_RunsByWeightAndLeavesTheStoredReleaseAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	env := b.checking(with(t, moreObjects(podService("app"),
		podTest("last", "5", "before-hook-creation", "probe", "-retry", "20s", "http://app/healthz"),
		podTest("first", "-5", "hook-succeeded", "sleep", "1s"),
		podTest("other", "1", "before-hook-creation", "no-such-command"),
	)))
	secret := "sh.helm.release.v1.app.v1"
	before, err := b.client.CoreV1().Secrets(b.namespace()).Get(t.Context(), secret, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	chosen := Check{Name: "chart", HelmTest: &HelmTest{Filter: []string{"last", "first"}}}
	for range 2 { // The second finds what the first has left.
		if err := b.check(env, chosen); err != nil {
			t.Fatal(err)
		}
	}
	pods, err := b.client.CoreV1().Pods(b.namespace()).List(t.Context(), metav1.ListOptions{FieldSelector: "status.phase=Succeeded"})
	if err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) != 1 || pods.Items[0].Name != "last" {
		t.Errorf("after the tests there are %d pods that ended", len(pods.Items))
	}
	after, err := b.client.CoreV1().Secrets(b.namespace()).Get(t.Context(), secret, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if before.ResourceVersion != after.ResourceVersion {
		t.Error("the stored release was written")
	}
	if tests, err := chosenTests(
		env.Release.Hooks,
		nil,
	); err != nil || len(tests) != 3 || tests[0].Name != "first" ||
		tests[1].Name != "other" {
		t.Errorf("order: %v, %v", tests, err)
	}

	err = b.check(env, Check{Name: "chart", HelmTest: &HelmTest{Filter: []string{"other"}}})
	wantFailure(t, err, true, "Pod/other", "failed")
	if log := asError[*CheckFailure](t, err).Log; !strings.Contains(strings.Join(log, "\n"), "no-such-command") {
		t.Errorf("the log is missing: %q", log)
	}
}

func TestHelmTest_DistinguishesAFailureFromATestThatCannotBeMade(t *testing.T) {
	t.Parallel()
	const token = "tok-4711-secret"
	broken := podTest("broken", "0", "before-hook-creation")
	broken["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)["image"] = //nolint:forcetypeassert // Made above.
		"registry.company.com/data-collection:v9.9.9"
	for _, tc := range []struct {
		name    string
		values  map[string]any
		check   Check
		refused bool
		within  time.Duration
		want    []string
	}{
		{"no tests", map[string]any{}, Check{HelmTest: &HelmTest{}}, false, 5 * time.Second, []string{"has no tests"}},
		{
			"an unknown name", moreObjects(podTest("known", "0", "before-hook-creation", "version")),
			Check{HelmTest: &HelmTest{Filter: []string{"unknown"}}}, false, 5 * time.Second, []string{`no test "unknown"`, "known"},
		},
		{"an image that cannot be pulled", moreObjects(broken), Check{HelmTest: &HelmTest{}}, false, 20 * time.Second,
			[]string{"v9.9.9", "could not be made"}},
		{
			"a test that never ends", moreObjects(podTest("endless", "0", "hook-failed", "sleep", "10m")),
			Check{HelmTest: &HelmTest{}, Timeout: 20 * time.Second}, true, 40 * time.Second, []string{"endless", "was not done after 20s"},
		},
		{
			"a test that fails, a Job", jobHook("ask", "test", "probe", "-retry", "1s", "http://app/?token="+token),
			Check{HelmTest: &HelmTest{}}, true, 40 * time.Second, []string{"Job/app-ask", "did not pass", "last lines"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			spec := with(t, tc.values)
			spec.Sensitive = map[string]any{"token": token}
			env := b.checking(spec)
			tc.check.Name = "chart"
			start := time.Now()
			err := b.check(env, tc.check)
			wantFailure(t, err, tc.refused, tc.want...)
			if took := time.Since(start); took > tc.within {
				t.Errorf("it took %s", took)
			}
			if strings.Contains(err.Error(), token) {
				t.Errorf("it holds the secret: %s", err)
			}
			if tc.name == "a test that never ends" {
				b.eventually("its pod is deleted as its policy says", func() bool { return len(b.pods("!app")) == 0 })
			}
		})
	}
}

func TestHelmTest_LeavesAloneWhatNoTestMade(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	test := podTest("app", "0", "before-hook-creation", "version")
	test["kind"], test["apiVersion"], test["spec"] = "Job", "batch/v1", map[string]any{"template": map[string]any{"spec": test["spec"]}}
	env := b.checking(with(t, moreObjects(test, podTest("z", "9", "before-hook-creation", "version"))))
	foreign, err := env.beginCheck(t.Context(), StageSmokeTest, Check{Name: "foreign", HelmTest: &HelmTest{}})
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.cancel()
	objects, err := foreign.kube.Build(strings.NewReader(strings.ReplaceAll(hookManifest(t, env, "app"), "helm.sh/hook: test", "note: mine")),
		false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := foreign.kube.Create(objects); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, b.check(env, Check{Name: "chart", HelmTest: &HelmTest{}}), false, "Job/app", "was not made by a test")
}

func hookManifest(t *testing.T, env Environment, name string) string {
	t.Helper()
	for _, h := range env.Release.Hooks {
		if h.Name == name {
			return h.Manifest
		}
	}
	t.Fatalf("there is no hook %s", name)
	return ""
}

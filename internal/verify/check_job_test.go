// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

func (b *bench) jobs() []batchv1.Job {
	b.t.Helper()
	list, err := b.client.BatchV1().Jobs(b.namespace()).List(b.t.Context(), metav1.ListOptions{LabelSelector: record.LabelCheck})
	if err != nil {
		b.t.Fatal(err)
	}
	var there []batchv1.Job
	for _, j := range list.Items {
		if j.DeletionTimestamp == nil {
			there = append(there, j)
		}
	}
	return there
}

func (b *bench) wantNoJobs() {
	b.t.Helper()
	if left := b.jobs(); len(left) > 0 {
		b.t.Errorf("%d Jobs are left, the first is %s", len(left), left[0].Name)
	}
}

// restrict makes the API server refuse pods that do not satisfy the Pod Security Standard "restricted".
func (b *bench) restrict() {
	b.t.Helper()
	patch := `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`
	if _, err := b.client.CoreV1().Namespaces().Patch(b.t.Context(), b.namespace(), types.MergePatchType, []byte(patch),
		metav1.PatchOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

func TestJobCheck_PassesUnderTheRestrictedStandardAndLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	env := b.checking(with(t, moreObjects(podService("app"))))
	b.restrict()
	// The version that answers is the one that the Job is told to expect.
	job := &JobCheck{
		Image: harness.Image(), Env: map[string]string{"PATH_TO_ASK": "version", "LITERAL": "$(SLIPWAY_STAGE)"},
		Args: []string{"probe", "-retry", "20s", "-expect", "version=$(SLIPWAY_VERSION)", "http://app.$(SLIPWAY_NAMESPACE)/$(PATH_TO_ASK)"},
	}
	if err := b.check(env, Check{Name: "Does it answer?", Job: job}); err != nil {
		t.Fatal(err)
	}
	b.wantNoJobs()

	run, err := env.beginCheck(t.Context(), StageAcceptance, Check{Name: strings.Repeat("A long name, ", 9), Job: job})
	if err != nil {
		t.Fatal(err)
	}
	defer run.cancel()
	object, err := jobRun{run}.object()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, v := range object.Spec.Template.Spec.Containers[0].Env {
		got[v.Name] = v.Value
	}
	for name, want := range map[string]string{
		"SLIPWAY_CLIENT": testClient, "SLIPWAY_STAGE": testStage, "SLIPWAY_RELEASE": "app", "SLIPWAY_VERSION": "v1.1.1",
		"SLIPWAY_NAMESPACE": b.namespace(), "LITERAL": "$$(SLIPWAY_STAGE)",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	pod := object.Spec.Template.Spec
	if *pod.AutomountServiceAccountToken || *object.Spec.BackoffLimit != 0 || *object.Spec.ActiveDeadlineSeconds != 360 ||
		object.Spec.TTLSecondsAfterFinished == nil {
		t.Errorf("%+v", object.Spec)
	}
	// The names and labels are ones that the API server takes.
	if _, err := b.client.BatchV1().Jobs(b.namespace()).Create(t.Context(), object,
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		t.Error(err)
	}
}

func TestJobCheck_DistinguishesARefusalFromAJobThatCannotRun(t *testing.T) {
	t.Parallel()
	const token = "tok-4711-secret"
	for _, tc := range []struct {
		name    string
		job     JobCheck
		prepare func(b *bench)
		timeout time.Duration
		refused bool
		want    []string
	}{
		{
			name: "exit code 1", job: JobCheck{Image: harness.Image(),
				Args: []string{"probe", "-retry", "1s", "http://app.invalid/?token=" + token}},
			refused: true, want: []string{"did not pass", "last lines of container check", "exit code 1"},
		},
		{
			name: "an end that does not come", job: JobCheck{Image: harness.Image(),
				Args: []string{"load", "-duration", "10m", "http://127.0.0.1:1/"}},
			timeout: 20 * time.Second, refused: true, want: []string{"was not done after 20s"},
		},
		{
			name: "an image that cannot be pulled", job: JobCheck{Image: "registry.company.com/data-collection:v9.9.9"},
			want: []string{"could not be made", "v9.9.9", "says nothing about the version"},
		},
		{
			name: "a program that is not there", job: JobCheck{Image: harness.Image(), Command: []string{"/no/such/program"}},
			want: []string{"could not be made", "/no/such/program"},
		},
		{
			name: "a quota", job: JobCheck{Image: harness.Image(), Args: []string{"version"}},
			want: []string{"could not be made", "exceeded quota: none"},
			prepare: func(b *bench) {
				quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "none"}, Spec: corev1.ResourceQuotaSpec{
					Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")},
				}}
				if _, err := b.client.CoreV1().ResourceQuotas(b.namespace()).Create(b.t.Context(), quota, metav1.CreateOptions{}); err != nil {
					b.t.Fatal(err)
				}
				b.eventually("the quota counts", func() bool {
					q, err := b.client.CoreV1().ResourceQuotas(b.namespace()).Get(b.t.Context(), "none", metav1.GetOptions{})
					used := q.Status.Used[corev1.ResourcePods]
					return err == nil && used.Value() == 1
				})
			},
		},
		{
			name: "a service account that is not there", job: JobCheck{Image: harness.Image(), Args: []string{"version"}, ServiceAccount: "nobody"},
			want: []string{"could not be made", `serviceaccount "nobody" not found`},
		},
		{
			name: "a Job of another owner", job: JobCheck{Image: harness.Image(), Args: []string{"version"}},
			want: []string{"was not made by Slipway"},
			prepare: func(b *bench) {
				env := b.checkingRevision(b.target, 1, with(b.t))
				run, err := env.beginCheck(b.t.Context(), StageSmokeTest,
					Check{Name: "gate", Job: &JobCheck{Image: harness.Image(), Args: []string{"version"}}})
				if err != nil {
					b.t.Fatal(err)
				}
				defer run.cancel()
				object, err := jobRun{run}.object()
				if err != nil {
					b.t.Fatal(err)
				}
				object.Labels = map[string]string{"made-by": "hand"}
				if err := (jobRun{run}).create(object); err != nil {
					b.t.Fatal(err)
				}
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			spec := with(t)
			spec.Sensitive = map[string]any{"token": token}
			env := b.checking(spec)
			if tc.prepare != nil {
				tc.prepare(b)
			}
			err := b.check(env, Check{Name: "gate", Job: &tc.job, Timeout: tc.timeout})
			wantFailure(t, err, tc.refused, tc.want...)
			if strings.Contains(err.Error(), token) {
				t.Errorf("it holds the secret: %s", err)
			}
			b.wantNoJobs()
		})
	}
}

func TestJobCheck_JoinsWhatAKilledRunLeftRunning(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	env := b.checking(with(t))
	check := Check{Name: "slow", Job: &JobCheck{Image: harness.Image(), Args: []string{"sleep", "6s"}}}
	begin := func(check Check) *batchv1.Job {
		t.Helper()
		run, err := env.beginCheck(t.Context(), StageSmokeTest, check)
		if err != nil {
			t.Fatal(err)
		}
		defer run.cancel()
		object, err := jobRun{run}.object()
		if err != nil {
			t.Fatal(err)
		}
		if err := (jobRun{run}).create(object); err != nil {
			t.Fatal(err)
		}
		return object
	}
	seen := func(do func()) map[types.UID]bool {
		t.Helper()
		watch, err := b.client.BatchV1().Jobs(b.namespace()).Watch(t.Context(), metav1.ListOptions{LabelSelector: record.LabelCheck})
		if err != nil {
			t.Fatal(err)
		}
		uids := map[types.UID]bool{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for event := range watch.ResultChan() {
				if j, ok := event.Object.(*batchv1.Job); ok {
					uids[j.UID] = true
				}
			}
		}()
		do()
		time.Sleep(500 * time.Millisecond)
		watch.Stop()
		<-done
		return uids
	}

	// One that runs the same check is waited for.
	begin(check)
	if uids := seen(func() {
		if err := b.check(env, check); err != nil {
			t.Error(err)
		}
	}); len(uids) != 1 {
		t.Errorf("there were %d Jobs", len(uids))
	}
	b.wantNoJobs()

	// One that runs something else under the name, and one that has ended, are not.
	for _, args := range [][]string{{"no-such-command"}, {"sleep", "10m"}} {
		other := check
		other.Job = &JobCheck{Image: harness.Image(), Args: args}
		old := begin(other)
		if args[0] == "no-such-command" {
			b.eventually("the old Job fails", func() bool {
				j, err := b.client.BatchV1().Jobs(b.namespace()).Get(t.Context(), old.Name, metav1.GetOptions{})
				return err == nil && j.Status.Failed > 0
			})
		}
		if uids := seen(func() {
			if err := b.check(env, check); err != nil {
				t.Error(err)
			}
		}); len(uids) != 2 {
			t.Errorf("there were %d Jobs", len(uids))
		}
		b.wantNoJobs()
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package task

import (
	"reflect"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestJob_IsTheSameForTheSameProgramAndExpandsNoValue(t *testing.T) {
	spec := Spec{
		Name: "j", Namespace: "n", Container: "c", Image: "i", Labels: map[string]string{"a": "b"},
		Env:       map[string]string{"B": "$(A) and $B", "A": "x"},
		SecretEnv: map[string]SecretKey{"URL": {Name: "s", Key: "k"}},
	}
	first := spec.Job()
	for range 20 {
		if !reflect.DeepEqual(first, spec.Job()) {
			t.Fatal("two Jobs of one Spec differ")
		}
	}
	env := first.Spec.Template.Spec.Containers[0].Env
	if len(env) != 3 || env[0].ValueFrom.SecretKeyRef.Key != "k" || env[1].Value != "x" || env[2].Value != "$$(A) and $B" {
		t.Errorf("env: %+v", env)
	}
	first.Labels["a"] = "changed"
	if spec.Labels["a"] != "b" || first.Spec.Template.Labels["a"] != "b" {
		t.Error("the labels of the Job, its pods and the Spec are one map")
	}
}

func TestEndOf_ReportsHowAJobEnded(t *testing.T) {
	job := func(c ...batchv1.JobCondition) *batchv1.Job {
		return &batchv1.Job{Status: batchv1.JobStatus{Conditions: c}}
	}
	for name, test := range map[string]struct {
		job  *batchv1.Job
		want *End
	}{
		"runs":         {job(), nil},
		"will fail":    {job(batchv1.JobCondition{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue}), nil},
		"not complete": {job(batchv1.JobCondition{Type: batchv1.JobComplete, Status: corev1.ConditionFalse}), nil},
		"complete":     {job(batchv1.JobCondition{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}), &End{Complete: true}},
		"failed": {
			job(batchv1.JobCondition{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: "DeadlineExceeded", Message: "too long"}),
			&End{Reason: "DeadlineExceeded", Failure: "the Job failed (DeadlineExceeded): too long"},
		},
	} {
		if got := EndOf(test.job); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// Programs run with a password that is in a Secret of theirs. It still opens sessions afterwards.
func TestEnsure_AdoptsARoleWithThePasswordThatProgramsUse(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	const running = "s3cret/of+old"
	c.psql("postgres", fmt.Sprintf("CREATE ROLE %q LOGIN PASSWORD 'forgotten'", c.spec.OwnerRole))
	c.psql("postgres", fmt.Sprintf("CREATE ROLE %q LOGIN PASSWORD '%s'", c.spec.AppRole, running))
	c.psql("postgres", fmt.Sprintf("CREATE DATABASE %q OWNER %q", c.spec.Name, c.spec.OwnerRole))
	secrets := harness.Kubernetes(t).CoreV1().Secrets(c.spec.Handle.Namespace)
	made := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: c.spec.AppSecret, Labels: map[string]string{"team": "shop"}},
		StringData: map[string]string{"PG_PASSWORD": running, "pool": "10"}}
	if _, err := secrets.Create(t.Context(), made, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	login := func() {
		t.Helper()
		conn, err := c.spec.Server.connect(t.Context(), c.spec.AppRole, running, c.spec.Name)
		if err == nil {
			err = conn.Close(t.Context())
		}
		if err != nil {
			t.Errorf("a program that runs gets no session: %v", err)
		}
	}
	login()

	c.spec.Adopt = true
	lines, err := Takeover(t.Context(), c.cluster, c.spec, c.options.AdminPassword)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{fmt.Sprintf("Database %q of role %q", c.spec.Name, c.spec.OwnerRole),
		fmt.Sprintf("Role %q: it gets a new password", c.spec.OwnerRole), fmt.Sprintf("Role %q: its password stays", c.spec.AppRole)} {
		if !strings.Contains(text, want) {
			t.Errorf("the plan does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, running) {
		t.Error("the plan shows a password")
	}
	for range 2 {
		c.mustEnsure()
		login()
		live, err := secrets.Get(t.Context(), c.spec.AppSecret, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if string(live.Data["PG_PASSWORD"]) != running || string(live.Data["pool"]) != "10" || string(live.Data[keyPassword]) != running ||
			live.Labels["team"] != "shop" || live.Labels[LabelDatabase] != c.spec.Name {
			t.Errorf("keys %d, labels %v", len(live.Data), live.Labels)
		}
		if drift := c.drift(); len(drift) > 0 {
			t.Errorf("drift: %q", drift)
		}
		c.options.Create = false
	}
	if lines, err := Takeover(t.Context(), c.cluster, c.spec, c.options.AdminPassword); err != nil || len(lines) > 0 {
		t.Errorf("it was taken over already, and yet: %q, %v", lines, err)
	}
	if err := c.remove(); err != nil {
		t.Fatal(err)
	}
	login()
	live, err := secrets.Get(t.Context(), c.spec.AppSecret, metav1.GetOptions{})
	if err != nil || string(live.Data["PG_PASSWORD"]) != running || live.Labels[LabelDatabase] != "" || live.Labels["team"] != "shop" {
		t.Errorf("the Secret was not given back: %v, %v", live, err)
	}
}

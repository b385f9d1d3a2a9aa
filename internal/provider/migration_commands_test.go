// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// testTool is a program that migrates: the sample service's image runs SQL. What its phases find is in the table gate, what they do in
// the table done.
type testTool struct {
	*testMigration
	kind string
	// attributes next to commands, and the rest of commands.
	attributes, rest string
}

func newTestTool(t *testing.T, kind string) *testTool {
	t.Helper()
	m := newTestMigration(t)
	m.sql("CREATE TABLE done (phase text, version text)")
	m.sql("CREATE TABLE gate AS SELECT false AS ready, false AS works, false AS valid")
	return &testTool{testMigration: m, kind: kind}
}

func (m *testMigration) sql(statement string) {
	m.t.Helper()
	if _, err := m.server.Psql(m.t.Context(), "postgres", statement); err != nil {
		m.t.Fatal(err)
	}
}

const (
	toolAddress  = "slipway_migration.tool"
	toolOld      = "registry.company.com/data-collection:v1.1.1"
	toolNew      = "registry.company.com/data-collection:v1.2.0"
	toolRollback = `rollback = ["/data-collection", "sql", "INSERT INTO done VALUES ('rollback', '$(SLIPWAY_FROM_VERSION) to $(SLIPWAY_VERSION)')"]
`
)

// block is the tool at a version, in an image. The run leaves a row before it fails or succeeds.
func (tool *testTool) block(version, image string) string {
	return fmt.Sprintf(`
resource "slipway_migration" "tool" {
  environment     = slipway_environment.this
  kind            = %q
  image           = %q
  database_url_wo = %q
  %s

  commands = {
    version  = %q
    check    = ["/data-collection", "sql", "expect", "SELECT ready FROM gate"]
    run = [
      "/data-collection", "sql", "INSERT INTO done VALUES ('$(SLIPWAY_PHASE)', '$(SLIPWAY_VERSION)')",
      "SELECT '$(DATABASE_URL)'", "SELECT 1 / works::int FROM gate",
    ]
    validate = ["/data-collection", "sql", "expect", "SELECT valid FROM gate"]
    %s
  }
}
`, tool.kind, image, tool.server.URL("postgres"), tool.attributes, version, tool.rest)
}

func (tool *testTool) at(version, image string) string {
	return tool.config(tool.block(version, image))
}

// runs demands how often run was run.
func (tool *testTool) runs(want int) {
	tool.t.Helper()
	tool.query(fmt.Sprint(want), "SELECT count(*) FROM done WHERE phase = 'run'")
}

func toolState(version string, applied ...string) []statecheck.StateCheck {
	return []statecheck.StateCheck{
		statecheck.ExpectKnownValue(toolAddress, tfjsonpath.New("schema_version"), knownvalue.StringExact(version)),
		statecheck.ExpectKnownValue(toolAddress, tfjsonpath.New("phases"), appliedKeys("run", "validate")),
		statecheck.ExpectKnownValue(toolAddress, tfjsonpath.New("applied"), appliedKeys(applied...)),
	}
}

func toolPlans(phases ...string) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
		plancheck.ExpectKnownValue(toolAddress, tfjsonpath.New("pending"), listOf(phases...)),
	}}
}

func TestMigrationCommands_ResumeAfterThePhaseThatSucceeded(t *testing.T) {
	t.Parallel()
	tool := newTestTool(t, kindExpand)
	first := tool.at("v1.0.0", toolOld)
	tool.run(
		resource.TestStep{
			Config:      first,
			ExpectError: errorText("phase check of migration expand did not succeed"),
		},
		resource.TestStep{ // what the tool prints of the URL is masked
			PreConfig:   func() { tool.runs(0); tool.sql("UPDATE gate SET ready = true") },
			Config:      first,
			ExpectError: regexp.MustCompile(`(?s)phase[\s│]+run[\s│]+of[\s│]+migration.*Exit[\s│]+code:[\s│]+1.*End[\s│]+of[\s│]+the[\s│]+log:(.*\(secret\).*22012|.*22012.*\(secret\))`),
		},
		resource.TestStep{
			PreConfig:   func() { tool.runs(1); tool.sql("UPDATE gate SET works = true") },
			Config:      first,
			ExpectError: errorText("phase validate of migration expand did not succeed"),
		},
		resource.TestStep{
			PreConfig:         func() { tool.runs(2); tool.sql("UPDATE gate SET valid = true") },
			Config:            first,
			ConfigStateChecks: toolState("v1.0.0", "v1.0.0"),
		},
		resource.TestStep{
			PreConfig: func() { tool.runs(2); tool.nothingLeft() },
			Config:    first,
			PlanOnly:  true,
		},
	)
}

func TestMigrationCommands_RollBackOnlyWhereItIsAllowed(t *testing.T) {
	t.Parallel()
	tool := newTestTool(t, kindExpand)
	tool.sql("UPDATE gate SET ready = true, works = true, valid = true")
	next := tool.at("v1.1.0", toolNew)
	steps := []resource.TestStep{
		{Config: tool.at("v1.0.0", toolOld), ConfigStateChecks: toolState("v1.0.0", "v1.0.0")},
		{
			PreConfig:        func() { tool.sql("UPDATE gate SET valid = false") },
			Config:           next,
			ConfigPlanChecks: toolPlans("check", "run", "validate"),
			ExpectError:      errorText("What was run is recorded, and is not run again"),
		},
		{
			PreConfig:         func() { tool.runs(2); tool.sql("UPDATE gate SET valid = true") },
			Config:            next,
			ConfigPlanChecks:  toolPlans("validate"),
			ConfigStateChecks: toolState("v1.1.0", "v1.0.0", "v1.1.0"),
		},
	}
	tool.rest = toolRollback
	steps = append(steps, resource.TestStep{
		Config:      tool.at("v1.0.0", toolOld),
		PlanOnly:    true,
		ExpectError: errorText("set commands.allow_rollback = true"),
	})
	tool.rest += "allow_rollback = true\n"
	steps = append(steps, resource.TestStep{
		Config:            tool.at("v1.0.0", toolOld),
		ConfigPlanChecks:  toolPlans("check", "rollback", "validate"),
		ConfigStateChecks: toolState("v1.0.0", "v1.0.0"),
	})
	tool.rest = "status = [\"/data-collection\", \"sql\", \"expect\", \"SELECT ready FROM gate\"]\n"
	steps = append(steps,
		resource.TestStep{ // nobody knows what has run: the tool is asked, and is not run
			PreConfig: func() {
				tool.query("v1.1.0 to v1.0.0", "SELECT version FROM done WHERE phase = 'rollback'")
				if image := tool.lastImage("rollback"); image != toolNew {
					t.Errorf("the rollback was made by %s", image)
				}
				if err := testKubernetes(t).CoreV1().ConfigMaps(tool.namespace).Delete(t.Context(), "slipway-migration-expand",
					metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			Config:            tool.at("v1.0.0", toolOld),
			ConfigStateChecks: toolState("v1.0.0", "v1.0.0"),
		},
		resource.TestStep{ // forgotten
			PreConfig: func() { tool.runs(2); tool.nothingLeft() },
			Config:    tool.config(),
		},
	)
	tool.run(steps...)
}

// lastImage is the image that ran a phase the last time, as recorded.
func (tool *testTool) lastImage(phase string) string {
	tool.t.Helper()
	object, err := testKubernetes(tool.t).CoreV1().ConfigMaps(tool.namespace).Get(tool.t.Context(), "slipway-migration-"+tool.kind,
		metav1.GetOptions{})
	if err != nil {
		tool.t.Fatal(err)
	}
	var record struct {
		Commands struct {
			Last map[string]struct{ Image string }
		}
	}
	if err := json.Unmarshal([]byte(object.Data["record"]), &record); err != nil {
		tool.t.Fatal(err)
	}
	return record.Commands.Last[phase].Image
}

func TestMigrationCommands_AskTheToolWhereItIsNotKnownWhatRan(t *testing.T) {
	t.Parallel()
	tool := newTestTool(t, kindExpand)
	tool.sql("UPDATE gate SET ready = true, works = true, valid = true")
	tool.attributes = `credentials_secret = { name = "migrator", key = "url" }` + "\n"
	tool.rest = `status = ["/data-collection", "sql", "expect", "SELECT count(*) > 0 FROM done WHERE phase = 'run'"]` + "\n"
	// The tool waits for a lock that the test holds.
	config := strings.NewReplacer(
		"SELECT '$(DATABASE_URL)'", "SELECT pg_advisory_lock(1)",
		fmt.Sprintf("database_url_wo = %q", tool.server.URL("postgres")), "",
	).Replace(tool.at("v1", toolOld))
	client := testKubernetes(t)
	connection, err := pgx.Connect(t.Context(), tool.server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close(context.WithoutCancel(t.Context())) })
	execute := func(sql string) {
		t.Helper()
		if _, err := connection.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "none"}, Spec: corev1.ResourceQuotaSpec{
		Hard: corev1.ResourceList{corev1.ResourcePods: apiresource.MustParse("0")},
	}}
	deleted := make(chan error, 1)
	deleteJob := func() error {
		for t.Context().Err() == nil {
			if begun, err := tool.server.Psql(t.Context(), "postgres", "SELECT count(*) FROM done WHERE phase = 'run'"); err != nil || begun == "0" {
				time.Sleep(200 * time.Millisecond)
				continue
			}
			return client.BatchV1().Jobs(tool.namespace).DeleteCollection(t.Context(),
				metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}, metav1.ListOptions{})
		}
		return t.Context().Err()
	}
	tool.run(
		resource.TestStep{Config: tool.config()},
		resource.TestStep{ // what cannot run is said long before the time is over
			PreConfig: func() {
				if _, err := client.CoreV1().ResourceQuotas(tool.namespace).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			Config:      config,
			ExpectError: errorText("its pod is refused"),
		},
		resource.TestStep{
			PreConfig: func() {
				if err := client.CoreV1().ResourceQuotas(tool.namespace).Delete(t.Context(), "none", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
				secret := &corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{Name: "migrator"}, StringData: map[string]string{"url": tool.server.URL("postgres")},
				}
				if _, err := client.CoreV1().Secrets(tool.namespace).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
				execute("SELECT pg_advisory_lock(1)")
				go func() { deleted <- deleteJob() }()
			},
			Config:      config,
			ExpectError: errorText("deleted the Job while it ran"),
		},
		resource.TestStep{ // what it had done was enough, says the tool
			PreConfig: func() {
				if err := <-deleted; err != nil {
					t.Fatal(err)
				}
				execute("SELECT pg_advisory_unlock(1)")
				tool.runs(1)
			},
			Config:            config,
			ConfigStateChecks: toolState("v1", "v1"),
		},
		resource.TestStep{PreConfig: func() { tool.runs(1) }, Config: config, PlanOnly: true},
	)
}

func TestMigrationCommands_ContractWaitsForOldVersionsAndRecordsThatItIsIrreversible(t *testing.T) {
	t.Parallel()
	tool := newTestTool(t, kindContract)
	tool.sql("UPDATE gate SET ready = true, works = true, valid = true")
	tool.attributes = "safe_after = \"v1.1.0\"\n"
	client := testKubernetes(t)
	blocked := func(check knownvalue.Check) []statecheck.StateCheck {
		return []statecheck.StateCheck{statecheck.ExpectKnownValue(toolAddress, tfjsonpath.New("blocked_by"), check)}
	}
	annotated := func(want string) {
		t.Helper()
		kept, err := client.CoreV1().ConfigMaps(tool.namespace).Get(t.Context(), "slipway-migration-contract", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := kept.Annotations["slipway.dev/irreversible-reason"]; got != want || kept.Annotations["slipway.dev/irreversible-since"] == "" {
			t.Errorf("the annotation for rollbacks says %q, want %q", got, want)
		}
	}
	old := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "old", Labels: map[string]string{labelAppVersion: "v1.0.0"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.company.com/nowhere:v1.0.0"}}},
	}
	steps := []resource.TestStep{
		{Config: tool.config()},
		{
			PreConfig: func() {
				if _, err := client.CoreV1().Pods(tool.namespace).Create(t.Context(), old, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			Config:            tool.at("v1", toolOld),
			ConfigStateChecks: blocked(listOf("Pod/old is of version v1.0.0, before v1.1.0")),
		},
		{
			PreConfig: func() { tool.runs(0) },
			Config:    tool.at("v1", toolOld),
			PlanOnly:  true,
		},
		{
			PreConfig: func() {
				if err := client.CoreV1().Pods(tool.namespace).Delete(t.Context(), "old",
					metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
					t.Fatal(err)
				}
				tool.gone("old")
			},
			Config:            tool.at("v1", toolOld),
			ConfigStateChecks: append(toolState("v1", "v1"), blocked(knownvalue.Null())...),
		},
		{
			PreConfig:         func() { tool.runs(1); annotated("v1 of contract") },
			Config:            tool.at("v2", toolOld),
			ConfigStateChecks: toolState("v2", "v1", "v2"),
		},
	}
	tool.rest = toolRollback + "allow_rollback = true\n"
	tool.run(append(steps,
		resource.TestStep{
			PreConfig:         func() { annotated("v2 of contract") },
			Config:            tool.at("v1", toolOld),
			ConfigStateChecks: toolState("v1", "v1"),
		},
		resource.TestStep{
			PreConfig: func() { annotated("v1 of contract") },
			Config:    tool.at("v1", toolOld),
			PlanOnly:  true,
		},
	)...)
}

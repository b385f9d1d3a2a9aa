// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// testRelease is an environment with a release of testdata/charts/plain, which needs no node. body is the release's block.
type testRelease struct {
	t                 *testing.T
	client, namespace string
	chart             string
}

const testReleaseAddress = "slipway_release.app"

func newTestRelease(t *testing.T) testRelease {
	t.Helper()
	client, namespace := testClient(t)
	chart, err := filepath.Abs("testdata/charts/plain")
	if err != nil {
		t.Fatal(err)
	}
	return testRelease{t: t, client: client, namespace: namespace, chart: chart}
}

func (r testRelease) config(body string) string {
	r.t.Helper()
	return testProvider(r.t, r.client+"-prod") + fmt.Sprintf(`
resource "slipway_environment" "this" {
  client              = %q
  stage               = "prod"
  cluster             = { context = %q }
  namespace           = { name = %q }
  deletion_protection = false
}

resource "slipway_release" "app" {
  environment = slipway_environment.this
  chart       = { path = %q }
  %s
}
`, r.client, testContext(r.t), r.namespace, r.chart, body)
}

func (r testRelease) run(steps ...resource.TestStep) {
	r.t.Helper()
	resource.ParallelTest(r.t, resource.TestCase{ProtoV6ProviderFactories: testFactories, Steps: steps})
}

// planned checks the planned release.
type planned func(change *tfjson.Change) error

// CheckPlan implements plancheck.PlanCheck.
func (p planned) CheckPlan(_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
	for _, change := range req.Plan.ResourceChanges {
		if change.Address == testReleaseAddress {
			resp.Error = p(change.Change)
			return
		}
	}
	resp.Error = fmt.Errorf("%s is not in the plan", testReleaseAddress)
}

func stringsOf(v any) []string {
	list, ok := v.([]any)
	if !ok {
		return nil
	}
	var out []string
	for _, e := range list {
		out = append(out, fmt.Sprint(e))
	}
	return out
}

// says demands lines of change_summary.
func says(lines ...string) planned {
	return func(change *tfjson.Change) error {
		after, _ := change.After.(map[string]any)
		summary := strings.Join(stringsOf(after["change_summary"]), "\n")
		for _, line := range lines {
			if !strings.Contains(summary, line) {
				return fmt.Errorf("change_summary does not say %q:\n%s", line, summary)
			}
		}
		return nil
	}
}

func plans(checks ...plancheck.PlanCheck) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: checks}
}

func TestRelease_InstallsUpgradesAndPlansNothingAfterwards(t *testing.T) {
	r := newTestRelease(t)
	r.run(
		resource.TestStep{
			Config: r.config(`version = "v1.1.1"`),
			ConfigPlanChecks: plans(
				plancheck.ExpectUnknownValue(testReleaseAddress, tfjsonpath.New("revision")),
				plancheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("name"), knownvalue.StringExact("plain")),
				plancheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("objects"), knownvalue.MapSizeExact(4)),
				says("install v1.1.1"),
			),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("revision"), knownvalue.Int64Exact(1)),
				statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("status"), knownvalue.StringExact("deployed")),
			},
		},
		resource.TestStep{
			Config: r.config(`
  version = "v1.2.0"
  values  = { logLevel = "debug", replicas = 0 }`),
			ConfigPlanChecks: plans(
				plancheck.ExpectResourceAction(testReleaseAddress, plancheck.ResourceActionUpdate),
				says("version v1.1.1 → v1.2.0", "image v1.1.1 → v1.2.0", "LOG_LEVEL info → debug"),
			),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("revision"), knownvalue.Int64Exact(2)),
			},
		},
		resource.TestStep{
			ResourceName:      testReleaseAddress,
			ImportState:       true,
			ImportStateId:     testContext(t) + "/" + r.namespace + "/plain",
			ImportStateVerify: true,
			ImportStateVerifyIgnore: []string{
				"values", "objects", "manifest_digest", "values_digest", "change_summary", "findings", "timeouts", "name",
			},
		},
	)
}

func TestRelease_EqualValuesInAnotherSpellingAreNoChange(t *testing.T) {
	r := newTestRelease(t)
	r.run(
		resource.TestStep{Config: r.config(`values = { hosts = ["a", "b"] }`)},
		resource.TestStep{
			Config:           r.config(`values = { hosts = tolist(["a", "b"]) }`),
			ConfigPlanChecks: plans(plancheck.ExpectEmptyPlan()),
		},
		resource.TestStep{
			Config:           r.config(`values = tomap({ hosts = ["a", "b"] })`),
			ConfigPlanChecks: plans(plancheck.ExpectEmptyPlan()),
		},
	)
}

func TestRelease_ContentOfAValuesFileIsPlanned(t *testing.T) {
	r := newTestRelease(t)
	file := filepath.Join(t.TempDir(), "values.yaml")
	write := func(text string) func() {
		return func() {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	config := r.config(fmt.Sprintf(`values_files = [%q]`, file))
	r.run(
		resource.TestStep{PreConfig: write("logLevel: info\n"), Config: config},
		resource.TestStep{
			PreConfig:        write("# a comment\nlogLevel: info\n"),
			Config:           config,
			ConfigPlanChecks: plans(plancheck.ExpectEmptyPlan()),
		},
		resource.TestStep{PreConfig: write("logLevel: debug\n"), Config: config, ConfigPlanChecks: plans(says("LOG_LEVEL info → debug"))},
	)
}

func TestRelease_UnknownValuesMakeObjectsUnknown(t *testing.T) {
	r := newTestRelease(t)
	config := func(input string) string {
		return r.config(`values = { database = { host = terraform_data.host.output } }`) + fmt.Sprintf(`
resource "terraform_data" "host" { input = %q }`, input)
	}
	r.run(
		resource.TestStep{
			Config:           config("db-1"),
			ConfigPlanChecks: plans(plancheck.ExpectUnknownValue(testReleaseAddress, tfjsonpath.New("objects"))),
		},
		resource.TestStep{
			Config:           config("db-2"),
			ConfigPlanChecks: plans(plancheck.ExpectUnknownValue(testReleaseAddress, tfjsonpath.New("objects"))),
		},
	)
}

func TestRelease_ObjectsThatDifferEachTimeAreUnknownAndNamed(t *testing.T) {
	r := newTestRelease(t)
	r.run(
		resource.TestStep{Config: r.config(`values = { random = true }`)},
		resource.TestStep{
			Config: r.config(`values = { random = true, logLevel = "debug" }`),
			ConfigPlanChecks: plans(
				says("ConfigMap/plain-random: not known before the apply", "randAlphaNum", "LOG_LEVEL info → debug"),
				plancheck.ExpectUnknownValue(testReleaseAddress, tfjsonpath.New("objects").AtMapKey("v1/ConfigMap/plain-random")),
			),
		},
	)
}

func TestRelease_RevisionMadeOutsideIsRepaired(t *testing.T) {
	r := newTestRelease(t)
	ctx := t.Context()
	config := r.config(`version = "v1.1.1"`)
	r.run(
		resource.TestStep{Config: config},
		resource.TestStep{
			PreConfig: func() {
				err := testKubernetes(t).CoreV1().ConfigMaps(r.namespace).Delete(ctx, "slipway-release-plain", metav1.DeleteOptions{})
				if err != nil {
					t.Fatal(err)
				}
			},
			Config: config,
			ConfigPlanChecks: plans(
				plancheck.ExpectResourceAction(testReleaseAddress, plancheck.ResourceActionUpdate),
				says("revision 1 has no record of Slipway: what is configured is restored"),
			),
		},
		resource.TestStep{Config: config, ConfigPlanChecks: plans(plancheck.ExpectEmptyPlan())},
	)
}

func TestRelease_RemovedOutsideIsInstalledAgain(t *testing.T) {
	r := newTestRelease(t)
	ctx := t.Context()
	config := r.config(`version = "v1.1.1"`)
	r.run(
		resource.TestStep{Config: config},
		resource.TestStep{
			PreConfig: func() {
				err := testKubernetes(t).CoreV1().Secrets(r.namespace).DeleteCollection(ctx, metav1.DeleteOptions{},
					metav1.ListOptions{LabelSelector: "owner=helm"})
				if err != nil {
					t.Fatal(err)
				}
			},
			Config:           config,
			ConfigPlanChecks: plans(plancheck.ExpectResourceAction(testReleaseAddress, plancheck.ResourceActionCreate)),
		},
	)
}

func TestRelease_SecretValuesAreMaskedWhereverTheChartPutsThem(t *testing.T) {
	const canary = "kiwi-5d1f-canary"
	r := newTestRelease(t)
	hidden := planned(func(change *tfjson.Change) error {
		after, _ := change.After.(map[string]any)
		if text := fmt.Sprint(after["objects"], after["change_summary"]); strings.Contains(text, canary) ||
			strings.Contains(text, "a2l3aS01ZDFm") {
			return fmt.Errorf("the planned objects hold the secret:\n%s", text)
		} else if !strings.Contains(text, "(sensitive value)") {
			return fmt.Errorf("the planned objects mask nothing:\n%s", text)
		}
		return nil
	})
	r.run(
		resource.TestStep{
			Config:           r.config(fmt.Sprintf(`sensitive_values = { database = { password = %q } }`, canary)),
			ConfigPlanChecks: plans(hidden),
		},
		resource.TestStep{
			Config: r.config(fmt.Sprintf(`
  values_wo         = { database = { password = %q } }
  values_wo_version = 1`, canary+"2")),
			ConfigPlanChecks: plans(hidden),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("sensitive_values"), knownvalue.Null()),
				statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("values_wo"), knownvalue.Null()),
			},
			Check: func(s *terraform.State) error {
				if text := s.String(); strings.Contains(text, canary) {
					return fmt.Errorf("the state holds the secret")
				}
				return nil
			},
		},
	)
}

func TestRelease_BadInputIsRefusedInThePlan(t *testing.T) {
	r := newTestRelease(t)
	var steps []resource.TestStep
	for body, want := range map[string]string{
		`values = { replicas = 9 }`:                                        `replicas`,
		`values = { logLevl = "info" }`:                                    `did\s+you\s+mean\s+logLevel`,
		`values = { hosts = toset(["a"]) }`:                                `set`,
		`values = "replicas: 3"`:                                           `must\s+be\s+an\s+object[\s\S]*Found\s+a\s+string`,
		`values = [1]`:                                                     `must\s+be\s+an\s+object[\s\S]*Found\s+a\s+list`,
		`timeouts = { create = "0s" }`:                                     `create\s+=\s+"0s"\s+leaves\s+no\s+time`,
		`timeouts = { update = "-5m" }`:                                    `update\s+=\s+"-5m"\s+leaves\s+no\s+time`,
		`values = { failWith = "no such region" }`:                         `templates/deployment.yaml:13`,
		`values_files = ["no-such-file.yaml"]`:                             `no-such-file.yaml`,
		"version = \"v1.2.0\"\n values = { image = { tag = \"v1.1.1\" } }": `Two\s+versions\s+for\s+one\s+image`,
		`version_path = "image..tag"`:                                      `dotted\s+path`,
		`name = "Not_A_Name"`:                                              `DNS\s+label`,
		`values_wo_version = 1`:                                            `values_wo`,
	} {
		steps = append(steps, resource.TestStep{Config: r.config(body), PlanOnly: true, ExpectError: regexp.MustCompile(want)})
	}
	r.run(steps...)
}

func TestRelease_AnotherNameReplaces(t *testing.T) {
	r := newTestRelease(t)
	r.run(
		resource.TestStep{Config: r.config(`name = "one"`)},
		resource.TestStep{
			Config:           r.config(`name = "two"`),
			ConfigPlanChecks: plans(plancheck.ExpectResourceAction(testReleaseAddress, plancheck.ResourceActionDestroyBeforeCreate)),
		},
	)
}

func TestRelease_OperationalSettingsMakeNoRevision(t *testing.T) {
	r := newTestRelease(t)
	r.run(
		resource.TestStep{Config: r.config(`max_history = 5`)},
		resource.TestStep{
			Config: r.config(`max_history = 6`),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("revision"), knownvalue.Int64Exact(1)),
			},
		},
	)
}

func TestRelease_MovesToAnotherClusterOnlyWhereAllowed(t *testing.T) {
	r := newTestRelease(t)
	api := newTestAPI(t)
	allowed := fmt.Sprintf("allow_cluster_move = %q", fakeUID)
	config := func(extra string) string {
		return api.provider(r.client+"-prod") +
			environmentBlock(r.client, "proxied", fmt.Sprintf("{ name = %q }", r.namespace), unprotected+allowed) + fmt.Sprintf(`
resource "slipway_release" "app" {
  environment = slipway_environment.this
  chart       = { path = %q }
  %s
}
`, r.chart, extra)
	}
	r.run(
		resource.TestStep{Config: config("")},
		resource.TestStep{
			PreConfig:   func() { api.another.Store(true) },
			Config:      config(""),
			ExpectError: regexp.MustCompile(`release\s+plain[\s\S]*leads\s+to\s+another\s+cluster`),
		},
		resource.TestStep{
			Config: config(allowed),
			ConfigPlanChecks: plans(
				plancheck.ExpectResourceAction(testReleaseAddress, plancheck.ResourceActionUpdate),
				plancheck.ExpectUnknownValue(testReleaseAddress, tfjsonpath.New("cluster_uid")),
			),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("cluster_uid"), knownvalue.StringExact(fakeUID)),
			},
		},
	)
}

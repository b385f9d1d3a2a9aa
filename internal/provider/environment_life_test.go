// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

const wholeEnvironment = `
  deletion_protection = false
  service_account = {
    name     = "data-collection"
    role_arn = "arn:aws:iam::111111111111:role/client-a-data-collection"
  }
  resource_quota = { hard = { "requests.cpu" = "8000m", pods = "60" } }
  limit_range    = { default_request = { cpu = "100m", memory = "128Mi" }, max = { memory = "4Gi" } }
  database       = { host = "client-a-db.example.internal", name = "data_collection" }
  network = {
    egress              = "deny"
    load_balancer_cidrs = ["10.0.0.0/16"]
    prometheus          = { namespace = "monitoring", pod_labels = { app = "prometheus" } }
    istio               = "istio-system"
    database_cidrs      = ["10.0.20.0/24"]
    aws                 = true
  }
`

func TestEnvironment_IsMadeUpdatedImportedAndRemoved(t *testing.T) {
	client, namespace := testClient(t)
	full := testProvider(t, client+"-prod") + environmentBlock(client, testContext(t), fmt.Sprintf(`{
    name         = %q
    labels       = { team = "data" }
    annotations  = { "company.com/owner" = "data@company.com" }
    pod_security = { enforce = "baseline", warn = "restricted" }
  }`, namespace), wholeEnvironment)
	var uid types.UID

	resource.ParallelTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		CheckDestroy: func(*terraform.State) error {
			_, err := testKubernetes(t).CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
			if !apierrors.IsNotFound(err) {
				return fmt.Errorf("the namespace is still there: %w", err)
			}
			return nil
		},
		Steps: []resource.TestStep{
			{
				Config: environmentConfig(t, client, namespace, unprotected),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{
						plancheck.ExpectKnownValue(environmentName, tfjsonpath.New("network").AtMapKey("ingress"), knownvalue.StringExact("deny")),
						plancheck.ExpectUnknownValue(environmentName, tfjsonpath.New("cluster_uid")),
					},
					PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
				},
				Check: func(*terraform.State) error {
					live := liveNamespace(t, namespace)
					uid = live.UID
					if live.Labels[environment.LabelClient] != client || live.Labels[environment.LabelStage] != "prod" ||
						live.Annotations[environment.AnnotationInstance] == "" {
						return fmt.Errorf("labels %v, annotations %v", live.Labels, live.Annotations)
					}
					return expectObjects(t, namespace, 1, false)
				},
			},
			{
				Config: full,
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{
						plancheck.ExpectResourceAction(environmentName, plancheck.ResourceActionUpdate),
						plancheck.ExpectKnownValue(environmentName, tfjsonpath.New("namespace_uid"), knownvalue.NotNull()),
					},
					PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
				},
				Check: func(*terraform.State) error {
					live := liveNamespace(t, namespace)
					if live.Labels["team"] != "data" || live.Labels["pod-security.kubernetes.io/enforce"] != "baseline" ||
						live.Annotations["company.com/owner"] != "data@company.com" {
						return fmt.Errorf("labels %v, annotations %v", live.Labels, live.Annotations)
					}
					return expectObjects(t, namespace, 2, true)
				},
			},
			{
				ResourceName:      environmentName,
				ImportState:       true,
				ImportStateId:     testContext(t) + "/" + namespace,
				ImportStateVerify: true,
				// The database is not in the cluster, and protection comes back on; a quantity has the spelling of the cluster.
				ImportStateVerifyIgnore: []string{"database", "deletion_protection", "resource_quota.hard.requests.cpu"},
			},
			{
				Config: environmentConfig(t, client, namespace, unprotected),
				Check: func(*terraform.State) error {
					live := liveNamespace(t, namespace)
					if live.UID != uid {
						return fmt.Errorf("the namespace was replaced")
					}
					if live.Labels["team"] != "" || live.Labels["pod-security.kubernetes.io/enforce"] != "" ||
						live.Annotations["company.com/owner"] != "" {
						return fmt.Errorf("what is no longer configured is still there: labels %v, annotations %v", live.Labels, live.Annotations)
					}
					return expectObjects(t, namespace, 1, false)
				},
			},
		},
	})
}

// expectObjects looks for the environment's objects: so many policies, and the others all or none.
func expectObjects(t *testing.T, namespace string, policies int, others bool) error {
	t.Helper()
	kubernetes := testKubernetes(t)
	network, err := kubernetes.NetworkingV1().NetworkPolicies(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(network.Items) != policies {
		return fmt.Errorf("%d network policies, want %d", len(network.Items), policies)
	}
	_, accountErr := kubernetes.CoreV1().ServiceAccounts(namespace).Get(t.Context(), "data-collection", metav1.GetOptions{})
	_, quotaErr := kubernetes.CoreV1().ResourceQuotas(namespace).Get(t.Context(), "slipway", metav1.GetOptions{})
	_, limitsErr := kubernetes.CoreV1().LimitRanges(namespace).Get(t.Context(), "slipway", metav1.GetOptions{})
	for _, err := range []error{accountErr, quotaErr, limitsErr} {
		if (err == nil) != others {
			return fmt.Errorf("account: %v, quota: %v, limits: %v; want them all: %v", accountErr, quotaErr, limitsErr, others)
		}
	}
	return nil
}

func TestEnvironment_DriftIsShownAndRepaired(t *testing.T) {
	client, namespace := testClient(t)
	config := testProvider(t, client+"-prod") + environmentBlock(client, testContext(t),
		fmt.Sprintf(`{ name = %q, labels = { team = "data" } }`, namespace),
		wholeEnvironment)
	kubernetes := testKubernetes(t)
	drifts := map[string]struct {
		change func() error
		shown  tfjsonpath.Path
		is     knownvalue.Check
	}{
		"label of the user": {
			func() error { return patchNamespace(t, namespace, `{"metadata":{"labels":{"team":"other"}}}`) },
			tfjsonpath.New("namespace").AtMapKey("labels").AtMapKey("team"), knownvalue.StringExact("data"),
		},
		"label of the client": {
			func() error {
				return patchNamespace(t, namespace, `{"metadata":{"labels":{"slipway.dev/client":null,"slipway.dev/stage":null}}}`)
			},
			tfjsonpath.New("drift"), knownvalue.Null(),
		},
		"network policy removed": {
			func() error {
				return kubernetes.NetworkingV1().NetworkPolicies(namespace).Delete(t.Context(), "slipway-ingress", metav1.DeleteOptions{})
			},
			tfjsonpath.New("drift"), knownvalue.Null(),
		},
		"network policy opened": {
			func() error {
				_, err := kubernetes.NetworkingV1().NetworkPolicies(namespace).Patch(t.Context(), "slipway-egress", types.MergePatchType,
					[]byte(`{"spec":{"egress":[{}]}}`), metav1.PatchOptions{})
				return err
			},
			tfjsonpath.New("drift"), knownvalue.Null(),
		},
		"quota raised": {
			func() error {
				_, err := kubernetes.CoreV1().ResourceQuotas(namespace).Patch(t.Context(), "slipway", types.MergePatchType,
					[]byte(`{"spec":{"hard":{"pods":"600"}}}`), metav1.PatchOptions{})
				return err
			},
			tfjsonpath.New("resource_quota").AtMapKey("hard").AtMapKey("pods"), knownvalue.StringExact("60"),
		},
		"role taken from the account": {
			func() error {
				_, err := kubernetes.CoreV1().ServiceAccounts(namespace).Patch(t.Context(), "data-collection", types.MergePatchType,
					[]byte(`{"metadata":{"annotations":{"eks.amazonaws.com/role-arn":"arn:aws:iam::999999999999:role/other"}}}`), metav1.PatchOptions{})
				return err
			},
			tfjsonpath.New("service_account").AtMapKey("role_arn"),
			knownvalue.StringExact("arn:aws:iam::111111111111:role/client-a-data-collection"),
		},
		"limits removed": {
			func() error {
				return kubernetes.CoreV1().LimitRanges(namespace).Delete(t.Context(), "slipway", metav1.DeleteOptions{})
			},
			tfjsonpath.New("limit_range").AtMapKey("max").AtMapKey("memory"), knownvalue.StringExact("4Gi"),
		},
	}
	steps := []resource.TestStep{{Config: config}}
	for name, drift := range drifts {
		steps = append(steps, resource.TestStep{
			PreConfig: func() {
				t.Log(name)
				if err := drift.change(); err != nil {
					t.Fatal(err)
				}
			},
			Config: config,
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(environmentName, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(environmentName, drift.shown, drift.is),
				},
				PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
			},
		})
	}
	resource.ParallelTest(t, resource.TestCase{ProtoV6ProviderFactories: testFactories, Steps: steps})
}

func patchNamespace(t *testing.T, namespace, patch string) error {
	t.Helper()
	_, err := testKubernetes(t).CoreV1().Namespaces().Patch(t.Context(), namespace, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

func TestEnvironment_AdoptsANamespaceAndLetsItGo(t *testing.T) {
	client, namespace := testClient(t)
	config := func(adopt bool) string {
		return testProvider(t, client+"-prod") + environmentBlock(client, testContext(t),
			fmt.Sprintf(`{ name = %q, adopt = %t, labels = { team = "data" } }`, namespace, adopt),
			unprotected+`service_account = { name = "existing", role_arn = "arn:aws:iam::111111111111:role/x" }`)
	}
	resource.ParallelTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		CheckDestroy: func(*terraform.State) error {
			live := liveNamespace(t, namespace)
			for _, key := range []string{environment.LabelClient, environment.LabelStage, "team", "app.kubernetes.io/managed-by"} {
				if _, ok := live.Labels[key]; ok {
					return fmt.Errorf("label %s was left behind", key)
				}
			}
			if live.Labels["mine"] != "yes" || len(live.Annotations) != 0 || live.DeletionTimestamp != nil {
				return fmt.Errorf("labels %v, annotations %v, deleted %v", live.Labels, live.Annotations, live.DeletionTimestamp)
			}
			account, err := testKubernetes(t).CoreV1().ServiceAccounts(namespace).Get(t.Context(), "existing", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if len(account.Annotations) != 1 || account.Annotations["mine"] != "too" {
				return fmt.Errorf("annotations of the account: %v", account.Annotations)
			}
			policies, err := testKubernetes(t).NetworkingV1().NetworkPolicies(namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil || len(policies.Items) != 0 {
				return fmt.Errorf("%d policies left: %w", len(policies.Items), err)
			}
			return nil
		},
		Steps: []resource.TestStep{
			{
				PreConfig: func() {
					makeNamespace(t, namespace, map[string]string{"mine": "yes"})
					account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "existing", Annotations: map[string]string{"mine": "too"}}}
					if _, err := testKubernetes(t).CoreV1().ServiceAccounts(namespace).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
						t.Fatal(err)
					}
				},
				Config:      config(false),
				ExpectError: errorText("another user or program made it"),
			},
			{Config: config(true)},
		},
	})
}

func TestEnvironment_TakesOverWhatAFailedCreateLeft(t *testing.T) {
	client, namespace := testClient(t)
	resource.ParallelTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{{
			PreConfig: func() { // As after a kill between the namespace and the rest.
				makeNamespace(t, namespace, map[string]string{environment.LabelClient: client, environment.LabelStage: "prod"})
				if err := patchNamespace(t, namespace,
					`{"metadata":{"annotations":{"slipway.dev/instance-id":"of-the-dead-run","slipway.dev/origin":"created"}}}`); err != nil {
					t.Fatal(err)
				}
			},
			Config: environmentConfig(t, client, namespace, unprotected),
			Check: func(*terraform.State) error {
				if id := liveNamespace(t, namespace).Annotations[environment.AnnotationInstance]; id == "of-the-dead-run" {
					return fmt.Errorf("the instance id is still that of the dead run")
				}
				return nil
			},
		}},
		CheckDestroy: func(*terraform.State) error {
			if _, err := testKubernetes(t).CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("the namespace that the dead run made was not deleted: %w", err)
			}
			return nil
		},
	})
}

func TestEnvironment_CoordinatesMayBeUnknownInThePlan(t *testing.T) {
	client, namespace := testClient(t)
	resource.ParallelTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{{
			Config: fmt.Sprintf(`
resource "terraform_data" "cluster" { input = %q }
`, testContext(t)) + testProvider(t, client+"-prod") + fmt.Sprintf(`
resource "slipway_environment" "this" {
  client              = %q
  stage               = "prod"
  cluster             = { context = terraform_data.cluster.output }
  namespace           = { name = %q }
  deletion_protection = false
}
`, client, namespace),
		}},
	})
}

func TestEnvironment_ReturnsWhenItWasDeletedByHand(t *testing.T) {
	client, namespace := testClient(t)
	config := environmentConfig(t, client, namespace, unprotected)
	resource.ParallelTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{
			{Config: config},
			{
				// The namespace is still going away when the plan is made; the apply waits for that.
				PreConfig: func() {
					if err := testKubernetes(t).CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}); err != nil {
						t.Fatal(err)
					}
					waitNamespaceGone(t, namespace)
				},
				Config: config,
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(environmentName, plancheck.ResourceActionCreate)},
				},
			},
		},
	})
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

func waitNamespaceGone(t *testing.T, name string) {
	t.Helper()
	for range 120 {
		_, err := testKubernetes(t).CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
	t.Fatalf("namespace %s does not go away", name)
}

// Each bad configuration is refused in the plan, before anything is made.
func TestEnvironment_RefusesInThePlan(t *testing.T) {
	client, namespace := testClient(t)
	good := func(extra string) string { return environmentConfig(t, client, namespace, extra) }
	block := func(client, context, namespace string) string {
		return environmentBlock(client, context, namespace, "")
	}
	workspace := testProvider(t, client+"-prod")
	name := fmt.Sprintf("{ name = %q }", namespace)
	tests := map[string]struct {
		config string
		error  string
	}{
		"var-file of another client": {
			testProvider(t, "client-b-prod") + block(client, testContext(t), name),
			fmt.Sprintf("The Terraform workspace %q must not touch client %q, stage %q.", "client-b-prod", client, "prod"),
		},
		"unknown context": {workspace + block(client, "no-such-context", name), `There is no cluster context "no-such-context".`},
		"no cluster": {
			workspace + fmt.Sprintf("resource \"slipway_environment\" \"this\" {\n client = %q\n stage = \"prod\"\n"+
				" cluster = { contxt = \"x\" }\n namespace = %s\n}", client, name),
			"No cluster is named.",
		},
		"empty context": {workspace + block(client, "", name), "No cluster is named."},
		"eks": {
			workspace + fmt.Sprintf("resource \"slipway_environment\" \"this\" {\n client = %q\n stage = \"prod\"\n"+
				" cluster = { eks = { name = \"a\", region = \"eu-west-1\", account_id = \"111111111111\" } }\n namespace = %s\n}", client, name),
			"cluster.eks is not supported yet.",
		},
		"client with capitals": {workspace + block("Client-A", testContext(t), name), "must be a DNS label"},
		"reserved label": {
			workspace + block(client, testContext(t), fmt.Sprintf(`{ name = %q, labels = { "slipway.dev/client" = "x" } }`, namespace)),
			"is set by Slipway or Kubernetes itself",
		},
		"bad quantity":     {good(`resource_quota = { hard = { pods = "many" } }`), "is no Kubernetes quantity"},
		"unknown resource": {good(`resource_quota = { hard = { "requests.cpus" = "1" } }`), "is no resource that Kubernetes knows"},
		"falling limits": {
			good(`limit_range = { default = { memory = "1Mi" }, default_request = { memory = "2Mi" } }`),
			"default_request of memory is 2Mi, above default, which is 1Mi",
		},
		"bad host": {good(`database = { host = "a b", name = "x" }`), "is neither a host name nor an IP address"},
		"system namespace": {
			workspace + block(client, testContext(t), `{ name = "kube-system", adopt = true }`),
			"which Kubernetes reserves for its own namespaces",
		},
		"bad pod label":   {good(`network = { prometheus = { namespace = "monitoring", pod_labels = { "a b" = "x" } } }`), "Invalid key"},
		"bad network":     {good(`network = { load_balancer_cidrs = ["10.0.0.1/16"] }`), "is no network in CIDR notation"},
		"database closed": {good(`network = { database_cidrs = ["10.0.0.0/16"] }`), "database"},
	}
	for what, test := range tests {
		t.Run(what, func(t *testing.T) {
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: testFactories,
				Steps:                    []resource.TestStep{{Config: test.config, PlanOnly: true, ExpectError: errorText(test.error)}},
			})
		})
	}
	if _, err := testKubernetes(t).CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a refused plan made the namespace: %v", err)
	}
}

func TestEnvironment_StageHasNoHyphen(t *testing.T) {
	for stage, ok := range map[string]bool{"prod": true, "dev2": true, "a-prod": false, "Prod": false, "": false} {
		if stagePattern.MatchString(stage) != ok {
			t.Errorf("stage %q is accepted: %v", stage, !ok)
		}
	}
}

func TestEnvironment_NeverTakesANamespaceOfAnotherClient(t *testing.T) {
	client, namespace := testClient(t)
	resource.ParallelTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{{
			PreConfig: func() {
				makeNamespace(t, namespace, map[string]string{environment.LabelClient: "client-b", environment.LabelStage: "prod"})
			},
			Config: testProvider(t, client+"-prod") + environmentBlock(client, testContext(t),
				fmt.Sprintf("{ name = %q, adopt = true }", namespace), ""),
			PlanOnly:    true,
			ExpectError: errorText(`Its labels say that it belongs to client "client-b", stage "prod".`),
		}},
	})
	if live := liveNamespace(t, namespace); live.Labels[environment.LabelClient] != "client-b" || len(live.Annotations) != 0 {
		t.Errorf("it was touched: %v %v", live.Labels, live.Annotations)
	}
}

func TestEnvironment_IdentityCannotChange(t *testing.T) {
	client, namespace := testClient(t)
	resource.ParallelTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{
			{Config: environmentConfig(t, client, namespace, unprotected)},
			{
				Config:      environmentConfig(t, client, namespace+"2", unprotected),
				ExpectError: errorText("Cannot change the namespace of the environment"),
			},
			{
				Config: testProvider(t, client+"x-prod") + environmentBlock(client+"x", testContext(t), fmt.Sprintf("{ name = %q }", namespace),
					unprotected),
				ExpectError: errorText("Cannot change the client of the environment"),
			},
			{Config: environmentConfig(t, client, namespace, unprotected)},
		},
	})
}

func TestEnvironment_ProtectionLastsUntilItIsLifted(t *testing.T) {
	client, namespace := testClient(t)
	config := environmentConfig(t, client, namespace, "")
	resource.ParallelTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{
			{Config: config},
			{Config: config, Destroy: true, ExpectError: errorText("is protected against deletion")},
			{Config: testProvider(t, client+"-prod"), ExpectError: errorText("is protected against deletion")}, // gone from the configuration
			// A replacement reaches Delete without a plan of the destruction.
			{Config: config, Taint: []string{environmentName}, ExpectError: errorText("is protected against deletion")},
			// It stays tainted; so that this test can end, another state takes the namespace over, which may always be forgotten.
			{
				PreConfig: func() {
					if liveNamespace(t, namespace).DeletionTimestamp != nil {
						t.Error("the namespace is being deleted")
					}
					if err := patchNamespace(t, namespace, `{"metadata":{"annotations":{"slipway.dev/instance-id":"of-another-state"}}}`); err != nil {
						t.Fatal(err)
					}
				},
				Config: config, Destroy: true,
			},
		},
	})
}

func TestEnvironment_AnotherWorkspaceCannotDestroy(t *testing.T) {
	client, namespace := testClient(t)
	own := environmentConfig(t, client, namespace, unprotected)
	refusal := errorText(fmt.Sprintf("The Terraform workspace %q must not touch client %q", "client-b-prod", client))
	for name, noRefresh := range map[string]bool{"with refresh": false, "without refresh": true} {
		t.Run(name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: testFactories,
				AdditionalCLIOptions:     &resource.AdditionalCLIOptions{Plan: resource.PlanOptions{NoRefresh: noRefresh}},
				Steps: []resource.TestStep{
					{Config: own},
					// The provider has another workspace, and the resource is gone from the configuration: only the state knows.
					{Config: testProvider(t, "client-b-prod"), ExpectError: refusal},
					{
						Config: testProvider(t, "client-b-prod") + environmentBlock(client, testContext(t), fmt.Sprintf("{ name = %q }", namespace),
							unprotected),
						Destroy:     true,
						ExpectError: refusal,
					},
					{Config: own},
				},
			})
		})
	}
}

func TestEnvironment_IsNotRemovedWithOthersInIt(t *testing.T) {
	client, namespace := testClient(t)
	config := environmentConfig(t, client, namespace, unprotected)
	kubernetes := testKubernetes(t)
	claim := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:   "sh.helm.release.v1.data-collection-service.v1",
			Labels: map[string]string{"owner": "helm", "name": "data-collection-service"},
		},
		Type: "helm.sh/release.v1",
	}
	resource.ParallelTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{
			{Config: config},
			{
				PreConfig: func() {
					if _, err := kubernetes.CoreV1().Secrets(namespace).Create(t.Context(), claim, metav1.CreateOptions{}); err != nil {
						t.Fatal(err)
					}
				},
				Config: config, Destroy: true, ExpectError: errorText("Helm release/data-collection-service"),
			},
			{
				PreConfig: func() {
					if err := kubernetes.CoreV1().Secrets(namespace).Delete(t.Context(), claim.Name, metav1.DeleteOptions{}); err != nil {
						t.Fatal(err)
					}
				},
				Config: config, Destroy: true,
			},
		},
	})
	waitNamespaceGone(t, namespace)
}

func TestEnvironment_AHangingDeletionNamesWhatHangs(t *testing.T) {
	client, namespace := testClient(t)
	config := environmentConfig(t, client, namespace, unprotected+`timeouts = { delete = "40s", create = "4s" }`)
	kubernetes := testKubernetes(t)
	hanging := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "hanging", Finalizers: []string{"example.com/never"}}}
	resource.ParallelTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{
			{Config: config},
			{
				PreConfig: func() {
					if _, err := kubernetes.CoreV1().ConfigMaps(namespace).Create(t.Context(), hanging, metav1.CreateOptions{}); err != nil {
						t.Fatal(err)
					}
				},
				Config: config, Destroy: true, ExpectError: errorText("example.com/never"),
			},
			{
				PreConfig: func() {
					_, err := kubernetes.CoreV1().ConfigMaps(namespace).Patch(t.Context(), "hanging", "application/merge-patch+json",
						[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
					if err != nil {
						t.Fatal(err)
					}
				},
				Config: config, Destroy: true, // resumes from what is there
			},
		},
	})
	waitNamespaceGone(t, namespace)
}

func TestEnvironment_OnlyForgetsWhatAnotherStateTookOver(t *testing.T) {
	client, namespace := testClient(t)
	config := environmentConfig(t, client, namespace, "") // protected, and yet it can be forgotten
	resource.ParallelTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{
			{Config: config},
			{
				PreConfig: func() {
					if err := patchNamespace(t, namespace, `{"metadata":{"annotations":{"slipway.dev/instance-id":"of-another-state"}}}`); err != nil {
						t.Fatal(err)
					}
				},
				Config:      environmentConfig(t, client, namespace, `database = { host = "x", name = "y" }`),
				ExpectError: errorText("has another owner now"),
			},
			{Config: config, Destroy: true},
		},
	})
	if live := liveNamespace(t, namespace); live.DeletionTimestamp != nil || live.Labels[environment.LabelClient] != client {
		t.Errorf("what another state manages was touched: %v", live)
	}
}

func TestEnvironment_ImportRefusesBadIDs(t *testing.T) {
	client, namespace := testClient(t)
	config := environmentConfig(t, client, namespace, "")
	other := testProvider(t, "client-b-prod") + environmentBlock("client-b", testContext(t), `{ name = "data-collection-client-b" }`, "")
	tests := map[string]struct{ config, id, error string }{
		"no slash": {config, "nothing", "is not of the form <context>/<namespace>"},
		"unknown context": {
			config, "arn:aws:eks:eu-west-1:1:cluster/x/" + namespace,
			`There is no cluster context "arn:aws:eks:eu-west-1:1:cluster/x".`,
		},
		"missing namespace": {config, testContext(t) + "/no-such-namespace", `Namespace "no-such-namespace" does not exist.`},
		"nobody's":          {config, testContext(t) + "/default", "does not belong to an environment yet"},
		"Kubernetes' own":   {config, testContext(t) + "/kube-system", "cannot belong to an environment"},
		"another client's":  {other, testContext(t) + "/" + namespace, "must not touch client"},
	}
	makeNamespace(t, namespace, map[string]string{environment.LabelClient: client, environment.LabelStage: "prod"})
	for what, test := range tests {
		t.Run(what, func(t *testing.T) {
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: testFactories,
				Steps: []resource.TestStep{{
					Config: test.config, ResourceName: environmentName, ImportState: true, ImportStateId: test.id, ExpectError: errorText(test.error),
				}},
			})
		})
	}
}

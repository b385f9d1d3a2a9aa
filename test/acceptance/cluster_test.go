// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// tenant is one made-up client in stage prod, with a namespace of its own that goes with the test.
type tenant struct {
	t         *testing.T
	client    string
	namespace string
}

func newTenant(t *testing.T) tenant {
	t.Helper()
	client := harness.Name("acc")
	c := tenant{t: t, client: client, namespace: "data-collection-" + client}
	harness.RemoveNamespace(t, c.namespace)
	return c
}

const (
	releaseName = "data-collection-service"
	environment = "slipway_environment.this"
	app         = "slipway_release.app"
)

// stack is the configuration of an environment with one release; extra goes into the release's block.
func (c tenant) stack(version, valuesHCL, extra string) string {
	return c.stackOf(harness.SampleChart(), version, valuesHCL, extra)
}

func (c tenant) stackOf(chart, version, valuesHCL, extra string) string {
	return fmt.Sprintf(`
terraform {
  required_providers {
    slipway = { source = "slipway-dev/slipway" }
  }
}

variable "kubeconfig" { type = string }

provider "slipway" {
  workspace    = "%[1]s-prod"
  config_paths = [var.kubeconfig]
}

resource "slipway_environment" "this" {
  client              = "%[1]s"
  stage               = "prod"
  cluster             = { context = "%[2]s" }
  namespace           = { name = "%[3]s" }
  deletion_protection = false
}

resource "slipway_release" "app" {
  environment = slipway_environment.this
  chart       = { path = "%[4]s" }
  version     = "%[5]s"
  values      = %[6]s
  %[7]s
}
`, c.client, harness.Context(c.t), c.namespace, chart, version, valuesHCL, extra)
}

// get asks the service over HTTP through the API server, as it works in a private cluster too.
func (c tenant) get(ctx context.Context, path string) (string, error) {
	raw, err := harness.Kubernetes(c.t).CoreV1().RESTClient().Get().Namespace(c.namespace).Resource("services").
		Name(releaseName + ":http").SubResource("proxy").Suffix(path).DoRaw(ctx)
	return string(raw), err
}

// answersWith waits until the service answers with a version.
func (c tenant) answersWith(version string) {
	c.t.Helper()
	harness.Eventually(c.t, "the service answers with "+version, func(ctx context.Context) bool {
		text, err := c.get(ctx, "version")
		return err == nil && strings.Contains(text, `"`+version+`"`)
	})
}

// record is the part of the release's record that tests look at.
type record struct {
	Phase    string `json:"phase"`
	Revision int    `json:"revision"`
}

func (c tenant) record(ctx context.Context) (record, bool) {
	cm, err := harness.Kubernetes(c.t).CoreV1().ConfigMaps(c.namespace).Get(ctx, "slipway-release-"+releaseName, metav1.GetOptions{})
	if err != nil {
		return record{}, false
	}
	var r record
	if err := json.Unmarshal([]byte(cm.Data["record"]), &r); err != nil {
		c.t.Fatalf("the record is no JSON: %v", err)
	}
	return r, true
}

// helmStatuses lists Helm's revisions with their statuses, newest last.
func (c tenant) helmStatuses(ctx context.Context) map[string]string {
	list, err := harness.Kubernetes(c.t).CoreV1().Secrets(c.namespace).List(ctx,
		metav1.ListOptions{LabelSelector: "owner=helm,name=" + releaseName})
	if err != nil {
		c.t.Fatal(err)
	}
	out := map[string]string{}
	for _, s := range list.Items {
		out[s.Labels["version"]] = s.Labels["status"]
	}
	return out
}

// image is the image that the pods of the release should run now.
func (c tenant) image(ctx context.Context) string {
	d, err := harness.Kubernetes(c.t).AppsV1().Deployments(c.namespace).Get(ctx, releaseName, metav1.GetOptions{})
	if err != nil {
		return ""
	}
	return d.Spec.Template.Spec.Containers[0].Image
}

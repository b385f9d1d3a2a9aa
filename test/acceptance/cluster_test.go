// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// connect returns the clientset and the context name of the test cluster.
var connect = sync.OnceValues(func() (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = -1, -1
	return kubernetes.NewForConfig(config)
})

func live(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	c, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func contextName(t *testing.T) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return config.CurrentContext
}

// tenant is one made-up client in stage prod, with a namespace of its own that goes with the test.
type tenant struct {
	t         *testing.T
	client    string
	namespace string
}

func newTenant(t *testing.T) tenant {
	t.Helper()
	client := fmt.Sprintf("acc-%06x", rand.Uint32N(1<<24))
	c := tenant{t: t, client: client, namespace: "data-collection-" + client}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		now := int64(0)
		err := live(t).CoreV1().Namespaces().Delete(ctx, c.namespace, metav1.DeleteOptions{GracePeriodSeconds: &now})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("deleting the test's namespace: %v", err)
		}
	})
	return c
}

const (
	releaseName = "data-collection-service"
	environment = "slipway_environment.this"
	app         = "slipway_release.app"
)

// sampleChart is the chart of the sample service in this repository.
func sampleChart() string {
	return filepath.Join(repository, "examples", "data-collection", "chart", "data-collection-service")
}

// stack is the configuration of an environment with one release; extra goes into the release's block.
func (c tenant) stack(version, valuesHCL, extra string) string {
	return c.stackOf(sampleChart(), version, valuesHCL, extra)
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
`, c.client, contextName(c.t), c.namespace, chart, version, valuesHCL, extra)
}

// get asks the service over HTTP through the API server, as it works in a private cluster too.
func (c tenant) get(ctx context.Context, path string) (string, error) {
	raw, err := live(c.t).CoreV1().RESTClient().Get().Namespace(c.namespace).Resource("services").
		Name(releaseName + ":http").SubResource("proxy").Suffix(path).DoRaw(ctx)
	return string(raw), err
}

// answersWith waits until the service answers with a version.
func (c tenant) answersWith(version string) {
	c.t.Helper()
	eventually(c.t, 30*time.Second, "the service answers with "+version, func(ctx context.Context) bool {
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
	cm, err := live(c.t).CoreV1().ConfigMaps(c.namespace).Get(ctx, "slipway-release-"+releaseName, metav1.GetOptions{})
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
	list, err := live(c.t).CoreV1().Secrets(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: "owner=helm,name=" + releaseName})
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
	d, err := live(c.t).AppsV1().Deployments(c.namespace).Get(ctx, releaseName, metav1.GetOptions{})
	if err != nil {
		return ""
	}
	return d.Spec.Template.Spec.Containers[0].Image
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
)

const testImage = "slipway.local/testserver:1"

// needRealCluster skips tests that bring clusters up where that cannot or shall not be done.
func needRealCluster(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("brings up a real Kubernetes; -short leaves that out")
	}
	if os.Geteuid() != 0 {
		t.Skip("brings up a real Kubernetes, which takes root")
	}
}

// newCluster brings up a cluster that did not exist and that is deleted at the end of the test.
func newCluster(t *testing.T, options Options) *Cluster {
	t.Helper()
	purgeByName(t, options.Name) // of a test run that was killed
	t.Cleanup(func() { purgeByName(t, options.Name) })
	return upCluster(t, options)
}

func upCluster(t *testing.T, options Options) *Cluster {
	t.Helper()
	var log bytes.Buffer
	options.Log = &log
	c, err := Up(t.Context(), options)
	if err != nil {
		t.Fatalf("Up: %v\n%s", err, log.String())
	}
	return c
}

func purgeByName(t *testing.T, name string) {
	t.Helper()
	c, err := Open(name)
	if err != nil {
		return // there is none
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Purge(ctx, nil); err != nil {
		t.Errorf("Purge: %v", err)
	}
}

func clientOf(t *testing.T, c *Cluster) *kubernetes.Clientset {
	t.Helper()
	config, err := c.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.UserAgent = "cluster-test"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// testServerArchive builds the image that the tests' pods run.
func testServerArchive(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "testserver"), "./internal/testserver")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the test server: %v\n%s", err, out)
	}
	archive := filepath.Join(dir, "testserver.tar")
	err := WriteImage(archive, testImage, []string{"/bin/testserver"}, map[string]string{"/bin/testserver": filepath.Join(dir, "testserver")})
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// eventually fails the test unless check succeeds within a minute.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	var last error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if last = check(); last == nil {
			return
		}
	}
	t.Fatalf("%s: still not after a minute: %v", what, last)
}

func get(t *testing.T, url string) (string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := (&http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return string(body), err
}

func testPodSpec(args ...string) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{
		Name: "main", Image: testImage, Args: args,
		ReadinessProbe: &corev1.Probe{
			PeriodSeconds: 1,
			ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromInt32(8080)}},
		},
	}}}
}

// deployWeb makes a Deployment of two replicas and its Service, waits for both and returns the pods.
func deployWeb(t *testing.T, client kubernetes.Interface) []corev1.Pod {
	t.Helper()
	labels, replicas := map[string]string{"app": "web"}, int32(2)
	_, err := client.AppsV1().Deployments("default").Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: testPodSpec("serve")},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CoreV1().Services("default").Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	waitForWeb(t, client)
	pods, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil || len(pods.Items) != 2 {
		t.Fatalf("pods of the Deployment: %d, %v; want 2", len(pods.Items), err)
	}
	return pods.Items
}

func waitForWeb(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	eventually(t, "two replicas ready", func() error {
		d, err := client.AppsV1().Deployments("default").Get(t.Context(), "web", metav1.GetOptions{})
		if err == nil && d.Status.ReadyReplicas != 2 {
			err = fmt.Errorf("%d replicas are ready", d.Status.ReadyReplicas)
		}
		return err
	})
}

// answersByService shows that the Service's ClusterIP answers from the host. The first requests may come before
// kube-proxy knows the endpoints.
func answersByService(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	service, err := client.CoreV1().Services("default").Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "an answer by ClusterIP", func() error {
		body, err := get(t, "http://"+service.Spec.ClusterIP+"/hello")
		if err == nil && !strings.Contains(body, "web-") {
			err = fmt.Errorf("answer %q does not name a pod", body)
		}
		return err
	})
}

// kubectl runs the cluster's own kubectl and returns its standard output.
func kubectl(t *testing.T, c *Cluster, args ...string) string {
	t.Helper()
	program, err := lookPath("kubectl", c.Programs()...)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, append([]string{"--kubeconfig", c.Kubeconfig()}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

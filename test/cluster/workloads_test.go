// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func TestCluster_RunsWorkloads(t *testing.T) {
	needRealCluster(t)
	c := newCluster(t, Options{Name: "test-workloads"})
	client := clientOf(t, c)
	archive := testServerArchive(t)

	first, err := c.Load(t.Context(), archive)
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != 1 || !first[0].Imported || first[0].Reference != testImage {
		t.Fatalf("first load: %+v; want %s imported", first, testImage)
	}
	second, err := c.Load(t.Context(), archive)
	if err != nil {
		t.Fatal(err)
	}
	if len(second) != 1 || second[0].Imported || second[0].Digest != first[0].Digest {
		t.Errorf("second load: %+v; want the same image, there already", second)
	}

	version, err := client.Discovery().ServerVersion()
	if err != nil || !strings.HasPrefix(version.GitVersion, "v1.35.") {
		t.Errorf("server version %v, %v; want v1.35.x", version, err)
	}
	pods := deployWeb(t, client)
	for _, pod := range pods {
		if body, err := get(t, "http://"+pod.Status.PodIP+":8080/by-pod-ip"); err != nil || !strings.HasPrefix(body, pod.Name+" ") {
			t.Errorf("pod %s answers %q, %v", pod.Name, body, err)
		}
	}
	answersByService(t, client)

	t.Run("service proxy of the API server", func(t *testing.T) {
		body := kubectl(t, c, "get", "--raw", "/api/v1/namespaces/default/services/web:80/proxy/by-proxy")
		if !strings.Contains(body, "/by-proxy") {
			t.Errorf("answer %q", body)
		}
	})
	t.Run("logs", func(t *testing.T) {
		if out := kubectl(t, c, "logs", pods[0].Name); !strings.Contains(out, "listening on") {
			t.Errorf("logs %q", out)
		}
	})
	t.Run("exec and DNS", func(t *testing.T) {
		for name, address := range map[string]string{
			"kubernetes.default":                     c.addresses().KubernetesService.String(),
			"kube-dns.kube-system.svc.cluster.local": c.addresses().DNSService.String(),
		} {
			if out := kubectl(t, c, "exec", pods[0].Name, "--", "/bin/testserver", "resolve", name); !strings.Contains(out, address) {
				t.Errorf("%s resolves to %q; want %s", name, out, address)
			}
		}
	})
	t.Run("from pod to pod by Service", func(t *testing.T) {
		// Both pods answer sooner or later, the asking one, too.
		answered := map[string]bool{}
		for range 40 {
			out := kubectl(t, c, "exec", pods[0].Name, "--", "/bin/testserver", "get", "http://web.default.svc.cluster.local/")
			answered[strings.Fields(out)[0]] = true
			if len(answered) == len(pods) {
				return
			}
		}
		t.Errorf("40 requests were answered by %v; want by both pods", answered)
	})
	t.Run("Job", func(t *testing.T) { runsJob(t, client) })
	t.Run("image that was not loaded", func(t *testing.T) { failsToPull(t, client) })
	t.Run("admission", func(t *testing.T) { refusesByAdmission(t, client) })
	t.Run("audit", func(t *testing.T) { recordsRequests(t, c) })
	t.Run("a killed component comes back", func(t *testing.T) { restartsComponents(t, c, client) })
}

func runsJob(t *testing.T, client kubernetes.Interface) {
	spec := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "main", Image: testImage, Args: []string{"print", "done"}}},
	}
	_, err := client.BatchV1().Jobs("default").Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "print"},
		Spec:       batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: spec}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Job completes", func() error {
		job, err := client.BatchV1().Jobs("default").Get(t.Context(), "print", metav1.GetOptions{})
		if err == nil && job.Status.Succeeded != 1 {
			err = fmt.Errorf("status %+v", job.Status)
		}
		return err
	})
}

// failsToPull shows that a pod does not wait for a network that is not there.
func failsToPull(t *testing.T, client kubernetes.Interface) {
	begin := time.Now()
	_, err := client.CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "no-image"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "registry.example.com/missing:1"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod reports ErrImagePull", func() error {
		pod, err := client.CoreV1().Pods("default").Get(t.Context(), "no-image", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, s := range pod.Status.ContainerStatuses {
			if w := s.State.Waiting; w != nil && (w.Reason == "ErrImagePull" || w.Reason == "ImagePullBackOff") {
				return nil
			}
		}
		return fmt.Errorf("container statuses %+v", pod.Status.ContainerStatuses)
	})
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("took %s; want a quick failure", took)
	}
}

// refusesByAdmission shows that the API server's own admission works: quota, pod security and policies. A fresh namespace
// takes part, so it also shows that namespaces become usable and go away again.
func refusesByAdmission(t *testing.T, client kubernetes.Interface) {
	const namespace = "isolated"
	_, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace has its ServiceAccount", func() error {
		_, err := client.CoreV1().ServiceAccounts(namespace).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	_, err = client.CoreV1().Pods(namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "lax"}, Spec: testPodSpec("serve"),
	}, metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(fmt.Sprint(err), "PodSecurity") {
		t.Errorf("a pod without a security context: %v; want a refusal by PodSecurity", err)
	}

	_, err = client.CoreV1().ResourceQuotas(namespace).Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/secrets": resource.MustParse("0")}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a Secret exceeds the quota", func() error {
		_, err := client.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{GenerateName: "s-"}},
			metav1.CreateOptions{})
		if apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota") {
			return nil
		}
		return fmt.Errorf("got %w", err)
	})

	refuseConfigMaps(t, client, namespace)

	_, err = client.AutoscalingV2().HorizontalPodAutoscalers(namespace).Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}, MaxReplicas: 3,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Errorf("creating a HorizontalPodAutoscaler: %v", err)
	}

	if err := client.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace is gone", func() error {
		_, err := client.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("got %w", err)
	})
}

func refuseConfigMaps(t *testing.T, client kubernetes.Interface, namespace string) {
	t.Helper()
	policies := client.AdmissionregistrationV1()
	_, err := policies.ValidatingAdmissionPolicies().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "no-forbidden-configmaps"},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
				},
			}}},
			Validations: []admissionv1.Validation{{Expression: "!object.metadata.name.startsWith('forbidden-')", Message: "that name is forbidden"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = policies.ValidatingAdmissionPolicyBindings().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "no-forbidden-configmaps"},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: "no-forbidden-configmaps", ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the policy refuses a ConfigMap", func() error {
		_, err := client.CoreV1().ConfigMaps(namespace).Create(t.Context(),
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "forbidden-"}}, metav1.CreateOptions{})
		if err != nil && strings.Contains(err.Error(), "that name is forbidden") {
			return nil
		}
		return fmt.Errorf("got %w", err)
	})
}

func recordsRequests(t *testing.T, c *Cluster) {
	config, err := c.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.UserAgent = "counted/1.0"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for range 3 {
		if _, err := client.CoreV1().ConfigMaps("kube-system").List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = client.AppsV1().Deployments("default").Get(t.Context(), "missing", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	eventually(t, "the requests are recorded", func() error {
		events, err := c.AuditEvents(begin)
		if err != nil {
			return err
		}
		counts := map[string]int{}
		for _, e := range events {
			if e.UserAgent == "counted/1.0" {
				counts[fmt.Sprintf("%s %s %s %s %s %d", e.User, e.Verb, e.APIGroup, e.Resource, e.Namespace+"/"+e.Name, e.Code)]++
			}
		}
		if len(counts) == 2 && counts["kubernetes-admin list  configmaps kube-system/ 200"] == 3 &&
			counts["kubernetes-admin get apps deployments default/missing 404"] == 1 {
			return nil
		}
		return fmt.Errorf("recorded %v", counts)
	})
	later, err := c.AuditEvents(time.Now().Add(time.Hour))
	if err != nil || len(later) != 0 {
		t.Errorf("requests of the future: %v, %v", later, err)
	}
}

func restartsComponents(t *testing.T, c *Cluster, client kubernetes.Interface) {
	pid, err := c.PID()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etcd", "apiserver", "containerd", "kubelet"} {
		states, err := c.Components()
		if err != nil {
			t.Fatal(err)
		}
		restarts := -1
		for _, s := range states {
			if s.Name == name {
				restarts = s.Restarts
				killInNamespaceOf(t, pid, s.PID)
			}
		}
		eventually(t, name+" runs again", func() error {
			states, err := c.Components()
			for _, s := range states {
				if s.Name == name && s.Running && s.Restarts == restarts+1 && s.LastExit == "killed by signal killed" {
					return nil
				}
			}
			return fmt.Errorf("components %+v, %w", states, err)
		})
	}
	upCluster(t, Options{Name: c.Name()}) // waits until all is ready again
	waitForWeb(t, client)
	answersByService(t, client)
}

// killInNamespaceOf kills the process that has the given PID in the PID namespace of the supervisor.
func killInNamespaceOf(t *testing.T, supervisor, pid int) {
	t.Helper()
	for _, p := range processesOf(t, namespaceOf(t, supervisor, "pid"), "pid") {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(status), "\n") {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "NSpid:" && f[2] == fmt.Sprint(pid) {
				process, err := os.FindProcess(p)
				if err != nil {
					t.Fatal(err)
				}
				if err := process.Kill(); err != nil {
					t.Fatal(err)
				}
				return
			}
		}
	}
	t.Fatalf("no process has PID %d in the cluster", pid)
}

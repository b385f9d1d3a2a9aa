// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const testConfigMaps = "/api/v1/namespaces/a/configmaps"

// quickRetries does not wait, and gives up after so many pauses.
func quickRetries(pauses int) *retries {
	r := newRetries(&patience{next: &http.Transport{DisableKeepAlives: true}}, "slipway/1")
	n := 0
	r.pause = func(context.Context, time.Duration) error {
		if n++; n > pauses {
			return errors.New("no more pauses")
		}
		return nil
	}
	return r
}

func (api *testAPI) client(t *testing.T, transport http.RoundTripper) kubernetes.Interface {
	t.Helper()
	client, err := NewKubernetes(&rest.Config{Host: api.URL, Transport: transport, QPS: -1, UserAgent: "slipway/1"})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (api *testAPI) seed(name, value string) types.UID {
	path := testConfigMaps + "/" + name
	api.put(
		path,
		map[string]any{"kind": "ConfigMap", "apiVersion": "v1", "data": map[string]any{"key": value}},
		nil,
		time.Now().Add(-time.Hour),
	)
	return types.UID(stringAt(api.objects[path], "metadata", "uid"))
}

func testObject(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "a", Labels: map[string]string{"owner": "us"}},
		Data: map[string]string{"key": value}}
}

var everyFault = map[string]fault{
	"reset before it was handled": resetBefore, "reset after it was handled": resetAfter,
	"429": tooMany, "429 with Retry-After": tooManyLater, "500 before it was handled": internalBefore,
	"500 after it was handled": internalAfter, "503": unavailable, "503 after it was handled": unavailableAfter,
	"503 with Retry-After": unavailableLater, "an answer that is cut off": cutOff, "an answer that is cut off and ended": cutOffProperly,
}

// Each verb succeeds through each fault, is carried out once as far as the server can tell, and returns the object.
func TestRetries_EachVerbPassesEachFault(t *testing.T) {
	t.Parallel()
	verbs := map[string]func(context.Context, kubernetes.Interface, *testAPI) (*corev1.ConfigMap, error){
		"get": func(ctx context.Context, c kubernetes.Interface, api *testAPI) (*corev1.ConfigMap, error) {
			api.seed("x", "new")
			return c.CoreV1().ConfigMaps("a").Get(ctx, "x", metav1.GetOptions{})
		},
		"create": func(ctx context.Context, c kubernetes.Interface, _ *testAPI) (*corev1.ConfigMap, error) {
			return c.CoreV1().ConfigMaps("a").Create(ctx, testObject("x", "new"), metav1.CreateOptions{FieldManager: FieldManager})
		},
		"create without a field manager": func(ctx context.Context, c kubernetes.Interface, _ *testAPI) (*corev1.ConfigMap, error) {
			return c.CoreV1().ConfigMaps("a").Create(ctx, testObject("x", "new"), metav1.CreateOptions{})
		},
		"update with a version": func(ctx context.Context, c kubernetes.Interface, api *testAPI) (*corev1.ConfigMap, error) {
			api.seed("x", "old")
			object := testObject("x", "new")
			object.Labels = nil
			object.ResourceVersion = stringAt(api.objects[testConfigMaps+"/x"], "metadata", "resourceVersion")
			return c.CoreV1().ConfigMaps("a").Update(ctx, object, metav1.UpdateOptions{FieldManager: FieldManager})
		},
		"merge patch with a version": func(ctx context.Context, c kubernetes.Interface, api *testAPI) (*corev1.ConfigMap, error) {
			api.seed("x", "old")
			patch := fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"data":{"key":"new"}}`,
				stringAt(api.objects[testConfigMaps+"/x"], "metadata", "resourceVersion"))
			return c.CoreV1().ConfigMaps("a").Patch(ctx, "x", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		},
		"applied configuration with a version": func(ctx context.Context, c kubernetes.Interface, api *testAPI) (*corev1.ConfigMap, error) {
			api.seed("x", "old")
			patch := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"resourceVersion":%q},"data":{"key":"new"}}`,
				stringAt(api.objects[testConfigMaps+"/x"], "metadata", "resourceVersion"))
			return c.CoreV1().ConfigMaps("a").Patch(ctx, "x", types.ApplyPatchType, []byte(patch), metav1.PatchOptions{FieldManager: FieldManager})
		},
		"JSON patch with a test": func(ctx context.Context, c kubernetes.Interface, api *testAPI) (*corev1.ConfigMap, error) {
			api.seed("x", "old")
			return c.CoreV1().ConfigMaps("a").Patch(ctx, "x", types.JSONPatchType,
				[]byte(`[{"op":"test","path":"/data/key","value":"old"},{"op":"replace","path":"/data/key","value":"new"}]`), metav1.PatchOptions{})
		},
		"delete": func(ctx context.Context, c kubernetes.Interface, api *testAPI) (*corev1.ConfigMap, error) {
			api.seed("x", "old")
			return nil, c.CoreV1().ConfigMaps("a").Delete(ctx, "x", metav1.DeleteOptions{})
		},
		// Its options have neither kind nor version.
		"delete as Helm does": func(ctx context.Context, c kubernetes.Interface, api *testAPI) (*corev1.ConfigMap, error) {
			api.seed("x", "old")
			return nil, c.CoreV1().RESTClient().Delete().Namespace("a").Resource("configmaps").Name("x").
				SetHeader("Content-Type", "application/json").Body([]byte(`{"propagationPolicy":"Background"}`)).Do(ctx).Error()
		},
		"delete with a UID": func(ctx context.Context, c kubernetes.Interface, api *testAPI) (*corev1.ConfigMap, error) {
			uid := api.seed("x", "old")
			return nil, c.CoreV1().ConfigMaps("a").Delete(ctx, "x", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		},
	}
	for verb, send := range verbs {
		for name, kind := range everyFault {
			for _, times := range []int{1, 3} {
				t.Run(fmt.Sprintf("%s, %s, %d times", verb, name, times), func(t *testing.T) {
					t.Parallel()
					api := newTestAPI(t)
					api.fault = func(n int, _ *http.Request) fault {
						if n > times {
							return well
						}
						return kind
					}
					object, err := send(t.Context(), api.client(t, quickRetries(20)), api)
					if err != nil {
						t.Fatal(err)
					}
					stored := api.objects[testConfigMaps+"/x"]
					switch {
					case strings.HasPrefix(verb, "delete"):
						if stored != nil {
							t.Errorf("not deleted: %v", stored)
						}
					case object.Data["key"] != "new" || object.Name != "x" || object.UID == "" || stringAt(stored, "data", "key") != "new":
						t.Errorf("got %+v, stored is %v", object, stored)
					}
				})
			}
		}
	}
}

// A refusal that does not come from an attempt of our own counts.
func TestRetries_TheRefusalOfAnotherWriterCounts(t *testing.T) {
	t.Parallel()
	maps := func(c kubernetes.Interface) interface {
		Create(context.Context, *corev1.ConfigMap, metav1.CreateOptions) (*corev1.ConfigMap, error)
		Update(context.Context, *corev1.ConfigMap, metav1.UpdateOptions) (*corev1.ConfigMap, error)
		Delete(context.Context, string, metav1.DeleteOptions) error
	} {
		return c.CoreV1().ConfigMaps("a")
	}
	options := metav1.CreateOptions{FieldManager: FieldManager}
	other := map[string]any{"kind": "ConfigMap", "apiVersion": "v1", "data": map[string]any{"key": "theirs"}}
	ours := map[string]any{"kind": "ConfigMap", "apiVersion": "v1", "data": map[string]any{"key": "new"},
		"metadata": map[string]any{"labels": map[string]any{"owner": "us"}}}
	request := httptest.NewRequest(http.MethodPost, "/?fieldManager="+FieldManager, nil)
	for name, test := range map[string]struct {
		between func(*testAPI)
		send    func(context.Context, kubernetes.Interface, *testAPI) error
		want    func(error) bool
	}{
		"created by another with other content": {
			func(api *testAPI) { api.put(testConfigMaps+"/x", other, request, time.Now()) },
			func(ctx context.Context, c kubernetes.Interface, _ *testAPI) error {
				_, err := maps(c).Create(ctx, testObject("x", "new"), options)
				return err
			}, apierrors.IsAlreadyExists,
		},
		"created by another manager": {
			func(api *testAPI) { api.put(testConfigMaps+"/x", ours, nil, time.Now()) },
			func(ctx context.Context, c kubernetes.Interface, _ *testAPI) error {
				_, err := maps(c).Create(ctx, testObject("x", "new"), options)
				return err
			}, apierrors.IsAlreadyExists,
		},
		"created long before with the same content": {
			func(api *testAPI) { api.put(testConfigMaps+"/x", ours, request, time.Now().Add(-time.Minute)) },
			func(ctx context.Context, c kubernetes.Interface, _ *testAPI) error {
				_, err := maps(c).Create(ctx, testObject("x", "new"), options)
				return err
			}, apierrors.IsAlreadyExists,
		},
		"changed by another": {
			func(api *testAPI) { api.put(testConfigMaps+"/x", other, nil, time.Time{}) },
			func(ctx context.Context, c kubernetes.Interface, api *testAPI) error {
				api.seed("x", "old")
				object := testObject("x", "new")
				object.ResourceVersion = stringAt(api.objects[testConfigMaps+"/x"], "metadata", "resourceVersion")
				_, err := maps(c).Update(ctx, object, metav1.UpdateOptions{})
				return err
			}, apierrors.IsConflict,
		},
		"annotated by another, while the update would remove a field": {
			func(api *testAPI) {
				api.put(testConfigMaps+"/x", map[string]any{"kind": "ConfigMap", "apiVersion": "v1",
					"data": map[string]any{"key": "new", "more": "left"}}, nil, time.Now().Add(-time.Hour))
			},
			func(ctx context.Context, c kubernetes.Interface, api *testAPI) error {
				api.seed("x", "new")
				object := testObject("x", "new")
				object.Labels, object.ResourceVersion = nil, stringAt(api.objects[testConfigMaps+"/x"], "metadata", "resourceVersion")
				_, err := maps(c).Update(ctx, object, metav1.UpdateOptions{FieldManager: FieldManager})
				return err
			}, apierrors.IsConflict,
		},
		"replaced by another before a deletion by UID": {
			func(api *testAPI) { api.put(testConfigMaps+"/x", other, nil, time.Now()) },
			func(ctx context.Context, c kubernetes.Interface, api *testAPI) error {
				uid := api.seed("x", "old")
				return maps(c).Delete(ctx, "x", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
			}, func(err error) bool { return err == nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newTestAPI(t)
			api.fault = func(n int, _ *http.Request) fault { return []fault{resetBefore, well}[min(n-1, 1)] }
			api.between = test.between
			if err := test.send(t.Context(), api.client(t, quickRetries(20)), api); !test.want(err) {
				t.Errorf("got %v", err)
			}
			if api.objects[testConfigMaps+"/x"] == nil {
				t.Error("the object of another was deleted")
			}
		})
	}
}

// What admission changes in an object does not hide that it is ours where the Lease keeps others away, and nothing else is ours.
func TestRetries_UnderALeaseAnObjectIsOursByItsLabels(t *testing.T) {
	t.Parallel()
	lease := &Lease{session: &session{lock: leaseLock{timing: defaultTiming}, renewed: time.Now()}}
	for name, test := range map[string]struct {
		gated bool
		label string
		want  bool
	}{
		"with the Lease": {true, "us", true}, "without": {false, "us", false}, "with other labels": {true, "them", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newTestAPI(t)
			api.fault = func(n int, _ *http.Request) fault { return []fault{resetAfter, well}[min(n-1, 1)] }
			api.between = func(api *testAPI) {
				object := api.objects[testConfigMaps+"/x"]
				object["data"] = map[string]any{"key": "1"}
				metadata, _ := object["metadata"].(map[string]any)
				metadata["labels"] = map[string]any{"owner": test.label}
			}
			var transport http.RoundTripper = quickRetries(20)
			if test.gated {
				transport = Gate(t.Context(), lease, transport)
			}
			_, err := api.client(t, transport).CoreV1().ConfigMaps("a").Create(t.Context(), testObject("x", "1000m"),
				metav1.CreateOptions{FieldManager: FieldManager})
			if ok := err == nil; ok != test.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A deletion without a UID deletes nothing that was created after the one that it was meant for was gone.
func TestRetries_ADeletionDoesNotHitASuccessor(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]fault{"the answer was lost": resetAfter, "the request was lost": resetBefore} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newTestAPI(t)
			api.seed("x", "old")
			api.fault = func(n int, _ *http.Request) fault { return []fault{kind, well}[min(n-1, 1)] }
			later := time.Now().Add(2 * clockTolerance)
			api.between = func(api *testAPI) {
				if kind == resetAfter {
					api.put(testConfigMaps+"/x", map[string]any{"kind": "ConfigMap", "apiVersion": "v1"}, nil, later)
				}
			}
			if err := api.client(t, quickRetries(20)).CoreV1().ConfigMaps("a").Delete(t.Context(), "x", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			if exists := api.objects[testConfigMaps+"/x"] != nil; exists != (kind == resetAfter) {
				t.Errorf("the object exists: %v", exists)
			}
		})
	}
}

// What would be done twice is only repeated where it was certainly not done.
func TestRetries_ActionsAreRepeatedOnlyIfTheyWereNotHandled(t *testing.T) {
	t.Parallel()
	const pods = "/api/v1/namespaces/a/pods"
	for name, test := range map[string]struct {
		method, path, contentType, body string
		repeatable                      bool
	}{
		"a generated name": {http.MethodPost, pods, "application/json", `{"metadata":{"generateName":"x-"}}`, false},
		"an eviction":      {http.MethodPost, pods + "/x/eviction", "application/json", `{"metadata":{"name":"x"}}`, false},
		"a binding":        {http.MethodPost, pods + "/x/binding", "application/json", `{"metadata":{"name":"x"}}`, false},
		"a JSON patch without a test": {
			http.MethodPatch, pods + "/x", "application/json-patch+json", `[{"op":"add","path":"/spec/containers/-","value":{}}]`, false,
		},
		"a collection":        {http.MethodDelete, pods, "", "", false},
		"a name":              {http.MethodPost, pods, "application/json", `{"metadata":{"name":"x"}}`, true},
		"server-side apply":   {http.MethodPatch, pods + "/x", "application/apply-patch+yaml", `kind: Pod`, true},
		"a dry run":           {http.MethodPost, pods + "?dryRun=All", "application/json", `{"metadata":{"generateName":"x-"}}`, true},
		"an access review":    {http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "application/json", `{}`, true},
		"a read":              {http.MethodGet, pods, "", "", true},
		"a watch":             {http.MethodGet, pods + "?watch=true", "", "", true},
		"an object named log": {http.MethodGet, "/api/v1/namespaces/a/configmaps/log", "", "", true},
		"a command":           {http.MethodPost, pods + "/web/exec", "", "", false},
	} {
		for kind, code := range map[string]int{"reset": 0, "500": 500, "503": 503, "429": 429} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				var sent atomic.Int64
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
					body, _ := io.ReadAll(request.Body)
					if string(body) != test.body {
						t.Errorf("got the body %q", body)
					}
					switch {
					case sent.Add(1) > 1:
						w.Header().Set("Content-Type", "application/json")
						_, _ = io.WriteString(w, "{}")
					case code == 0:
						panic(http.ErrAbortHandler)
					default:
						w.WriteHeader(code)
					}
				}))
				t.Cleanup(server.Close)
				request, err := http.NewRequestWithContext(t.Context(), test.method, server.URL+test.path, bytes.NewReader([]byte(test.body)))
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("Content-Type", test.contentType)
				response, err := quickRetries(20).RoundTrip(request)
				if err == nil {
					_ = response.Body.Close()
				}
				want := test.repeatable || kind == "429" && name != "a command"
				if ok := err == nil && response.StatusCode == http.StatusOK; ok != want || sent.Load() > 1 != want {
					t.Errorf("ok %v after %d requests, want %v: %v", ok, sent.Load(), want, err)
				}
			})
		}
	}
}

// What the API server passes on counts, whatever it is. What something in front of the API server answers does not.
func TestRetries_TellAServiceFromWhatIsInFront(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		marked   bool // the service's answer
		want     int64
		lasts    bool
		failures int64
	}{
		"a service that fails": {true, 1, false, 99}, "a load balancer that fails once": {false, 2, false, 1},
		"a load balancer that fails": {false, 0, true, 99},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
				service := strings.HasSuffix(request.URL.Path, "/proxy/healthz")
				fails := service && asked.Add(1) <= test.failures
				if !fails || test.marked {
					w.Header().Set(auditID, "1")
				}
				if fails {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			}))
			t.Cleanup(server.Close)
			transport := newRetries(&http.Transport{}, "slipway/1")
			transport.limits.group = time.Second
			get := func(path string) (*http.Response, error) {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				response, err := transport.RoundTrip(request)
				if err == nil {
					_ = response.Body.Close()
				}
				return response, err
			}
			if _, err := get("/version"); err != nil {
				t.Fatal(err)
			}
			_, err := get("/api/v1/namespaces/a/services/web/proxy/healthz")
			if isA[*OutageError](err) != test.lasts || test.want > 0 && asked.Load() != test.want {
				t.Errorf("after %d requests: %v", asked.Load(), err)
			}
		})
	}
}

// A repetition is a new write: it is refused when the right to write has gone meanwhile.
func TestRetries_PassTheGateAgain(t *testing.T) {
	t.Parallel()
	api := newTestAPI(t)
	api.fault = func(int, *http.Request) fault { return unavailable }
	held := &session{lock: leaseLock{namespace: "a", timing: defaultTiming}, renewed: time.Now()}
	transport := quickRetries(20)
	transport.pause = func(context.Context, time.Duration) error {
		held.mu.Lock()
		defer held.mu.Unlock()
		held.lost = &LostError{Namespace: "a", Holder: "another run", Cause: errors.New("taken over")}
		return nil
	}
	client := api.client(t, Gate(t.Context(), &Lease{session: held}, transport))
	_, err := client.CoreV1().ConfigMaps("a").Create(t.Context(), testObject("x", "new"), metav1.CreateOptions{})
	if !isA[*GateError](err) || !isA[*LostError](err) {
		t.Errorf("got %v", err)
	}
	if n := api.requests(); n != 1 {
		t.Errorf("%d requests were sent", n)
	}
}

// What lasts is an error that names for how long it was tried, and the last cause. client-go must not begin anew.
func TestRetries_ReportWhatLasts(t *testing.T) {
	t.Parallel()
	limits := patienceFor{outage: 700 * time.Millisecond, stranger: 700 * time.Millisecond, failing: 700 * time.Millisecond}
	for name, test := range map[string]struct {
		kind fault
		want string
	}{
		"429": {tooMany, "TooManyRequests"}, "429 with Retry-After": {tooManyLater, "TooManyRequests"}, "500": {internalBefore, "InternalError"},
		"503": {unavailable, "no healthy upstream"}, "reset": {resetBefore, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newTestAPI(t)
			api.fault = func(int, *http.Request) fault { return test.kind }
			transport := newRetries(&http.Transport{DisableKeepAlives: true}, "slipway/1")
			transport.limits = limits
			began := time.Now()
			_, err := api.client(t, transport).CoreV1().ConfigMaps("a").Get(t.Context(), "x", metav1.GetOptions{})
			if err == nil || !IsOutage(err) || !strings.Contains(err.Error(), test.want) && !strings.Contains(err.Error(), "closed before") {
				t.Errorf("got %v", err)
			}
			if test.kind != tooManyLater && !strings.Contains(err.Error(), fmt.Sprintf("(tried %d times in ", api.requests())) {
				t.Errorf("after %d requests it does not say how often it was tried: %v", api.requests(), err)
			}
			if took := time.Since(began); took > 20*limits.outage {
				t.Errorf("it was tried for %s", took)
			}
		})
	}
}

// An API server that is gone for a while is waited for, reads and writes alike.
func TestRetries_WaitForAnAPIServerThatIsGone(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	api := &testAPI{objects: map[string]map[string]any{}, fault: func(int, *http.Request) fault { return well }}
	time.AfterFunc(time.Second, func() {
		back, err := net.Listen("tcp", address)
		if err != nil {
			t.Error(err)
			return
		}
		server := &http.Server{Handler: api, ReadHeaderTimeout: time.Minute}
		t.Cleanup(func() { _ = server.Close() })
		_ = server.Serve(back) // It ends with the test.
	})
	client, err := NewKubernetes(&rest.Config{Host: "http://" + address, Transport: newRetries(&http.Transport{}, "slipway/1"), QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().ConfigMaps("a").Create(t.Context(), testObject("x", "new"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().ConfigMaps("a").Get(t.Context(), "x", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
}

// A wrong address, certificate or plugin is reported at once.
func TestRetries_DoNotWaitForWhatLasts(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	for name, address := range map[string]string{"certificate": server.URL, "name": "http://api.client-a.invalid"} {
		transport := newRetries(&http.Transport{}, "slipway/1")
		transport.pause = func(context.Context, time.Duration) error { t.Errorf("%s: it is tried again", name); return nil }
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/api", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(request)
		if err == nil {
			_ = response.Body.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// An answer that stops in the middle without an end is not waited for forever.
func TestPatience_EndsAnAnswerThatStops(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush() //nolint:forcetypeassert // It is one.
		<-hang
	}))
	t.Cleanup(func() { close(hang); server.Close() })
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+testConfigMaps, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&patience{next: http.DefaultTransport, limit: 300 * time.Millisecond}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.ReadAll(response.Body); !errors.Is(err, errNoAnswer) {
		t.Errorf("got %v", err)
	}
}

func TestRetries_EndWithTheContext(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	transport := newRetries(http.DefaultTransport, "slipway/1")
	transport.pause = func(ctx context.Context, _ time.Duration) error {
		cancel()
		return sleep(ctx, time.Hour)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %d", response.StatusCode)
	}
}

// Helm sends requests without a context: their pauses end with the operation, and they have its deadline.
func TestRetries_EndWithTheOperation(t *testing.T) {
	t.Parallel()
	api := newTestAPI(t)
	api.fault = func(int, *http.Request) fault { return unavailable }
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	client := api.client(t, Gate(ctx, nil, newRetries(&http.Transport{}, "slipway/1")))
	began := time.Now()
	_, err := client.CoreV1().ConfigMaps("a").Create(context.WithoutCancel(ctx), testObject("x", "new"), metav1.CreateOptions{})
	if err == nil || time.Since(began) > 20*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

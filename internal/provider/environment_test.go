// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// environmentConfig is an environment of a test client in stage prod; extra goes into its block.
func environmentConfig(t *testing.T, client, namespace, extra string) string {
	t.Helper()
	return testProvider(t, client+"-prod") + environmentBlock(client, testContext(t), fmt.Sprintf("{ name = %q }", namespace), extra)
}

func environmentBlock(client, context, namespace, extra string) string {
	return fmt.Sprintf(`
resource "slipway_environment" "this" {
  client    = %q
  stage     = "prod"
  cluster   = { context = %q }
  namespace = %s
  %s
}
`, client, context, namespace, extra)
}

const (
	unprotected     = "deletion_protection = false\n"
	environmentName = "slipway_environment.this"
)

// errorText matches a text that Terraform may have broken into lines.
func errorText(text string) *regexp.Regexp {
	words := strings.Fields(text)
	for i, word := range words {
		words[i] = regexp.QuoteMeta(word)
	}
	return regexp.MustCompile(strings.Join(words, `[\s│]+`))
}

func liveNamespace(t *testing.T, name string) *corev1.Namespace {
	t.Helper()
	namespace, err := testKubernetes(t).CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return namespace
}

func makeNamespace(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	_, err := testKubernetes(t).CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

const systemNamespace = "/api/v1/namespaces/kube-system"

// fakeUID is the identity of the cluster that a testAPI pretends to be.
const fakeUID = "0a3f0d5e-6a1c-4e9e-9a55-3f6f0c1d2e3f"

// testAPI is the API server of the test cluster behind a proxy that misbehaves on request.
type testAPI struct {
	url       string
	expired   atomic.Bool // answers 401
	another   atomic.Bool // is another cluster
	routeless atomic.Bool // knows neither Istio nor the Gateway API
	requests  atomic.Int64
	watch     func(request string) // gets each request, where it is set before the first one
}

func newTestAPI(t *testing.T) *testAPI {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", testKubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	api := &testAPI{}
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Header.Del("Authorization") },
		ModifyResponse: func(response *http.Response) error {
			if api.routeless.Load() && response.Request.URL.Path == apiGroups {
				return withoutRoutes(response)
			}
			if !api.another.Load() || response.Request.URL.Path != systemNamespace {
				return nil
			}
			body, err := io.ReadAll(response.Body)
			if err != nil {
				return err
			}
			var object map[string]any
			if err := json.Unmarshal(body, &object); err != nil {
				return err
			}
			object["metadata"].(map[string]any)["uid"] = fakeUID //nolint:forcetypeassert // A test may panic.
			if body, err = json.Marshal(object); err != nil {
				return err
			}
			response.Body = io.NopCloser(strings.NewReader(string(body)))
			response.ContentLength = int64(len(body))
			response.Header.Set("Content-Length", fmt.Sprint(len(body)))
			return nil
		},
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.requests.Add(1)
		if api.watch != nil {
			api.watch(r.Method + " " + r.URL.String())
		}
		if api.expired.Load() {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w,
				`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401,"message":"Unauthorized"}`)
			return
		}
		if api.routeless.Load() && hidesRoutes(w, r) {
			return
		}
		r.Header.Set("Accept-Encoding", "identity")
		if r.URL.Path == systemNamespace { // Readable for ModifyResponse; the provider asks for protobuf.
			r.Header.Set("Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	api.url = server.URL
	return api
}

// provider is the provider block of a workspace that reaches the API by the connection "proxied".
func (a *testAPI) provider(workspace string) string { return connectedProvider(workspace, a.url) }

func connectedProvider(workspace, host string) string {
	return fmt.Sprintf(`
provider "slipway" {
  workspace    = %q
  config_paths = []
  clusters     = { proxied = { host = %q, insecure = true, token = "token-of-the-test" } }
}
`, workspace, host)
}

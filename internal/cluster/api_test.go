// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// testAPI is a small API server over HTTP: objects with UIDs, versions and field managers. It fails requests in the way of fault, before
// or after it has carried them out.
type testAPI struct {
	*httptest.Server

	mu      sync.Mutex
	objects map[string]map[string]any
	serial  int
	handled []string // the requests that were carried out
	fault   func(n int, request *http.Request) fault
	n       int
	// between runs after each request that fails, as another client of the API server.
	between func(*testAPI)
}

// fault is the way in which a request fails.
type fault int

const (
	well fault = iota
	resetBefore
	resetAfter
	tooMany
	tooManyLater
	internalBefore
	internalAfter
	unavailable
	unavailableAfter
	unavailableLater
	cutOff
	cutOffProperly
)

func newTestAPI(t *testing.T) *testAPI {
	t.Helper()
	api := &testAPI{objects: map[string]map[string]any{}, fault: func(int, *http.Request) fault { return well }}
	api.Server = httptest.NewServer(api)
	t.Cleanup(api.Close)
	return api
}

// failsBy says how each request fails from now on.
func (api *testAPI) failsBy(kind func(n int, request *http.Request) fault) {
	api.mu.Lock()
	defer api.mu.Unlock()
	api.fault = kind
}

// requests is how many there were.
func (api *testAPI) requests() int {
	api.mu.Lock()
	defer api.mu.Unlock()
	return api.n
}

// ServeHTTP implements http.Handler.
func (api *testAPI) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	api.mu.Lock()
	defer api.mu.Unlock()
	api.n++
	kind := api.fault(api.n, request)
	switch kind {
	case resetBefore, tooMany, tooManyLater, internalBefore, unavailable, unavailableLater:
	default:
		code, answer := api.handle(request, body)
		if kind == well {
			respond(w, code, answer)
			return
		}
		if kind == cutOff || kind == cutOffProperly {
			text, _ := json.Marshal(answer)
			w.Header().Set("Content-Type", "application/json")
			if kind == cutOff {
				w.Header().Set("Content-Length", fmt.Sprint(len(text)))
			}
			w.WriteHeader(code)
			_, _ = w.Write(text[:len(text)/2])
		}
	}
	if api.between != nil {
		api.between(api)
	}
	switch kind {
	case resetBefore, resetAfter:
		panic(http.ErrAbortHandler)
	case tooMany, tooManyLater:
		if kind == tooManyLater {
			w.Header().Set("Retry-After", "1")
		}
		respond(w, http.StatusTooManyRequests, refusal(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests))
	case internalBefore, internalAfter:
		respond(w, http.StatusInternalServerError, refusal(http.StatusInternalServerError, metav1.StatusReasonInternalError))
	case unavailable, unavailableAfter, unavailableLater:
		if kind == unavailableLater {
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
	}
}

func respond(w http.ResponseWriter, code int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer) // The client sees what arrives.
}

func refusal(code int32, reason metav1.StatusReason) metav1.Status {
	return metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: code,
		Reason: reason, Message: string(reason), Details: &metav1.StatusDetails{Name: "x"}}
}

func (api *testAPI) handle(request *http.Request, body []byte) (int, any) {
	path := request.URL.Path
	if request.Method != http.MethodGet {
		api.handled = append(api.handled, request.Method)
	}
	sent := contentOf(body)
	if request.Method == http.MethodPost {
		name := stringAt(sent, "metadata", "name")
		if name == "" {
			name = fmt.Sprintf("%s%d", stringAt(sent, "metadata", "generateName"), api.serial)
		}
		path += "/" + name
		if api.objects[path] != nil {
			return http.StatusConflict, refusal(http.StatusConflict, metav1.StatusReasonAlreadyExists)
		}
		api.put(path, sent, request, time.Now())
		return http.StatusCreated, api.objects[path]
	}
	live := api.objects[path]
	if live == nil {
		return http.StatusNotFound, refusal(http.StatusNotFound, metav1.StatusReasonNotFound)
	}
	switch request.Method {
	case http.MethodPut, http.MethodPatch:
		if version := stringAt(sent, "metadata", "resourceVersion"); version != "" && version != stringAt(live, "metadata", "resourceVersion") {
			return http.StatusConflict, refusal(http.StatusConflict, metav1.StatusReasonConflict)
		}
		if request.Header.Get("Content-Type") == "application/json-patch+json" {
			var operations []patchOperation
			if err := json.Unmarshal(body, &operations); err != nil {
				return http.StatusBadRequest, refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest)
			}
			if sent = patched(live, operations); sent == nil {
				return http.StatusUnprocessableEntity, refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
			}
		}
		next := maps.Clone(live)
		for key, value := range sent {
			if key != "metadata" {
				next[key] = value
			}
		}
		api.put(path, next, request, time.Time{})
		manager := map[string]any{"manager": request.URL.Query().Get("fieldManager"), "time": time.Now().UTC().Format(time.RFC3339)}
		api.objects[path]["metadata"].(map[string]any)["managedFields"] = []any{manager} //nolint:forcetypeassert // put has made it.
		return http.StatusOK, api.objects[path]
	case http.MethodDelete:
		if uid := stringAt(sent, "preconditions", "uid"); uid != "" && uid != stringAt(live, "metadata", "uid") {
			return http.StatusConflict, refusal(http.StatusConflict, metav1.StatusReasonConflict)
		}
		delete(api.objects, path)
		return http.StatusOK, live
	}
	return http.StatusOK, live
}

// patched applies operations on the members of data.
func patched(live map[string]any, operations []patchOperation) map[string]any {
	before, _ := live["data"].(map[string]any)
	data := maps.Clone(before)
	for _, o := range operations {
		key := strings.TrimPrefix(o.Path, "/data/")
		switch o.Op {
		case "test":
			if data[key] != o.Value {
				return nil
			}
		case "add", "replace":
			data[key] = o.Value
		case "remove":
			delete(data, key)
		}
	}
	return map[string]any{"data": data}
}

// put stores an object. created is zero for one that exists.
func (api *testAPI) put(path string, content map[string]any, request *http.Request, created time.Time) {
	api.serial++
	metadata, _ := content["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	if metadata == nil {
		metadata = map[string]any{}
	}
	if !created.IsZero() {
		metadata["uid"] = fmt.Sprintf("uid-%d", api.serial)
		metadata["creationTimestamp"] = created.UTC().Format(time.RFC3339)
		manager := "another"
		if request != nil {
			// Without a field manager, the API server takes the user agent, which the transport below adds.
			manager = cmp.Or(request.URL.Query().Get("fieldManager"), "slipway")
		}
		metadata["managedFields"] = []any{map[string]any{"manager": manager}}
	}
	metadata["namespace"] = "a"
	metadata["name"] = path[strings.LastIndex(path, "/")+1:]
	metadata["resourceVersion"] = fmt.Sprint(api.serial)
	content = maps.Clone(content)
	content["metadata"] = metadata
	api.objects[path] = content
}

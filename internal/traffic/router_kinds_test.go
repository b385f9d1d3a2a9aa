// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

var kindsInstalled struct {
	sync.Mutex
	done bool
}

// installKinds makes the kinds of Istio and of the Gateway API that the routers use known to the cluster, from the modules of which istiod
// is built.
func installKinds(t *testing.T, access *objects) {
	t.Helper()
	kindsInstalled.Lock()
	defer kindsInstalled.Unlock()
	if kindsInstalled.done {
		return
	}
	for _, from := range []struct {
		module, file string
		kinds        []kind
	}{
		{"istio.io/api", "kubernetes/customresourcedefinitions.gen.yaml", []kind{virtualServices, destinationRules}},
		{"sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml", []kind{httpRoutes}},
	} {
		var missing *KindMissingError
		for _, k := range from.kinds {
			if _, err := access.mapping(k); errors.As(err, &missing) {
				if err := install(t, access, filepath.Join(moduleFolder(t, from.module), from.file), k); err != nil {
					t.Fatal(err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	kindsInstalled.done = true
}

// moduleFolder is where a module of which istiod is built lies.
func moduleFolder(t *testing.T, module string) string {
	t.Helper()
	var folder string
	for _, args := range [][]string{{"mod", "download", module}, {"list", "-m", "-f", "{{.Dir}}", module}} {
		command := exec.CommandContext(t.Context(), "go", args...)
		command.Dir = filepath.Join("..", "..", "tools", "istio")
		var stderr strings.Builder
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, stderr.String())
		}
		folder = strings.TrimSpace(string(out))
	}
	return folder
}

// install applies the definition of one kind and waits until it is served.
func install(t *testing.T, access *objects, file string, k kind) error {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	definitions := access.client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		definition := &unstructured.Unstructured{}
		if err := decoder.Decode(&definition.Object); errors.Is(err, io.EOF) {
			return fmt.Errorf("%s does not define %s", file, k.name)
		} else if err != nil {
			return err
		}
		name, _, err := unstructured.NestedString(definition.Object, "spec", "names", "kind")
		if err != nil {
			return err
		}
		if name != k.name {
			continue
		}
		if _, err := definitions.Apply(t.Context(), definition.GetName(), definition, metav1.ApplyOptions{FieldManager: "slipway-test", Force: true}); err != nil {
			return err
		}
		return wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
			_, err := access.all(t.Context(), k)
			var missing *KindMissingError
			if errors.As(err, &missing) {
				return false, nil
			}
			return err == nil, err
		})
	}
}

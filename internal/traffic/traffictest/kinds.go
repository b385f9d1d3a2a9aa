// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffictest

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
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// The kinds of the routers.
var (
	VirtualService  = schema.GroupKind{Group: "networking.istio.io", Kind: "VirtualService"}
	DestinationRule = schema.GroupKind{Group: "networking.istio.io", Kind: "DestinationRule"}
	HTTPRoute       = schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"}
)

var kindsInstalled struct {
	sync.Mutex
	done bool
}

// installKinds makes the kinds of Istio and of the Gateway API that the routers use known to the cluster, from the modules of which istiod
// is built.
func installKinds(b *Bench) {
	b.Helper()
	kindsInstalled.Lock()
	defer kindsInstalled.Unlock()
	if kindsInstalled.done {
		return
	}
	for _, from := range []struct {
		module, file string
		kinds        []schema.GroupKind
	}{
		{"istio.io/api", "kubernetes/customresourcedefinitions.gen.yaml", []schema.GroupKind{VirtualService, DestinationRule}},
		{"sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml", []schema.GroupKind{HTTPRoute}},
	} {
		for _, kind := range from.kinds {
			_, err := b.mapping(kind)
			if meta.IsNoMatchError(err) {
				err = install(b, filepath.Join(moduleFolder(b, from.module), from.file), kind)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	kindsInstalled.done = true
}

// moduleFolder is where a module of which istiod is built lies.
func moduleFolder(b *Bench, module string) string {
	b.Helper()
	var folder string
	for _, args := range [][]string{{"mod", "download", module}, {"list", "-m", "-f", "{{.Dir}}", module}} {
		command := exec.CommandContext(b.Context(), "go", args...)
		command.Dir = filepath.Join(harness.Repository(), "tools", "istio")
		var stderr strings.Builder
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil {
			b.Fatalf("go %v: %v\n%s", args, err, stderr.String())
		}
		folder = strings.TrimSpace(string(out))
	}
	return folder
}

// install applies the definition of one kind and waits until it is served.
func install(b *Bench, file string, kind schema.GroupKind) error {
	b.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	definitions := b.Dynamic.Resource(schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	})
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		definition := &unstructured.Unstructured{}
		if err := decoder.Decode(&definition.Object); errors.Is(err, io.EOF) {
			return fmt.Errorf("%s does not define %s", file, kind.Kind)
		} else if err != nil {
			return err
		}
		name, _, err := unstructured.NestedString(definition.Object, "spec", "names", "kind")
		if err != nil {
			return err
		}
		if name != kind.Kind {
			continue
		}
		if _, err := definitions.Apply(b.Context(), definition.GetName(), definition,
			metav1.ApplyOptions{FieldManager: "slipway-test", Force: true}); err != nil {
			return err
		}
		return wait.PollUntilContextTimeout(b.Context(), 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
			b.Cluster.Invalidate()
			_, err := b.mapping(kind)
			if meta.IsNoMatchError(err) {
				return false, nil
			}
			return err == nil, err
		})
	}
}

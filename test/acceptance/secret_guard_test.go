// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// The credentials of checks reach those whom they are for, and nobody else: no plan, state, log, error or record, whether the version
// passes or fails. What is asked here only looks at the credentials and gives one number.
func TestSecrets_OfChecksAreFoundNowhere(t *testing.T) {
	t.Parallel()
	const password, header = "kiwi-4c1d7e-password", "kiwi-9e2f5a-header"
	var rightly, wrongly atomic.Int32
	var value atomic.Value
	value.Store("0")
	monitor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, given, _ := r.BasicAuth()
		if given != password && r.Header.Get("X-Token") != header {
			wrongly.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		rightly.Add(1)
		if r.URL.Path == "/test" {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%d,"%s"]}]}}`, 1, value.Load())
	}))
	defer monitor.Close()

	c := newTenant(t)
	analyzed := fmt.Sprintf(`
  smoke_test {
    name = "token"
    http {
      url        = "%[1]s/test"
      headers_wo = { X-Token = var.header }
    }
  }
  analysis {
    duration = "3s"
    interval = "1s"
    health { consecutive_failures = 1 }
    prometheus {
      url         = "%[1]s"
      username    = "slipway"
      password_wo = var.password
    }
    metric {
      name  = "errors"
      query = "vector(0)"
      above = 1
      for   = "2s"
    }
  }
  rollback {}
`, monitor.URL)
	variables := `
variable "header" {
  type      = string
  ephemeral = true
}
variable "password" {
  type      = string
  ephemeral = true
}
`
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", quick, analyzed) + variables})
	log := filepath.Join(w.dir, "trace.log")
	w.env = append(w.env, "TF_LOG_PROVIDER=TRACE", "TF_LOG_PATH="+log, "TF_VAR_password="+password, "TF_VAR_header="+header)

	seen := []string{w.plan("-out=saved.tfplan"), w.must("show", "-no-color", "saved.tfplan"), w.must("show", "-json", "saved.tfplan")}
	seen = append(seen, w.apply(), w.must("show", "-json"))
	w.noChanges()
	value.Store("7")
	w.write("main.tf", c.stack("v1.2.0", quick, analyzed)+variables)
	r := w.run("apply", "-auto-approve", "-no-color", "-input=false")
	if r.code == 0 || !strings.Contains(unwrap(r.text), "was restored") {
		t.Errorf("a metric beyond its limit has to fail the apply:\n%s", r.text)
	}
	seen = append(seen, r.text, w.must("show", "-json"))
	if rightly.Load() == 0 || wrongly.Load() > 0 {
		t.Errorf("%d requests came with credentials, %d without", rightly.Load(), wrongly.Load())
	}

	maps, err := harness.Kubernetes(t).CoreV1().ConfigMaps(c.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(w.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for where, text := range map[string]string{
		"output": strings.Join(seen, "\n"), "state": read("terraform.tfstate"), "log": read("trace.log"),
		"the cluster": fmt.Sprintf("%+v", maps.Items),
	} {
		for name, needle := range map[string]string{
			"the password": password, "the header": header,
			"basic authentication": base64.StdEncoding.EncodeToString([]byte("slipway:" + password))[:30],
		} {
			if at := strings.Index(text, needle); at >= 0 {
				t.Errorf("%s holds %s: …%s…", where, name, text[max(0, at-200):at])
			}
		}
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"reflect"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

func TestValidator_FindsWhatValidateValuesFinds(t *testing.T) {
	c, err := NewLoader(t.TempDir(), nil).Get(t.Context(), Source{Path: "../../examples/data-collection/chart/data-collection-service"}, "")
	if err != nil {
		t.Fatal(err)
	}
	validator, err := c.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	if !validator.simple || validator.schema == nil {
		t.Fatal("the sample chart has a schema and no subcharts")
	}
	for name, test := range map[string]struct {
		text  string
		wrong bool
	}{
		"nothing set":      {`{}`, false},
		"fine":             {`{replicaCount: 3, resources: {limits: {cpu: 500m}}}`, false},
		"of another type":  {`{replicaCount: three}`, true},
		"too small":        {`{autoscaling: {minReplicas: 0}}`, true},
		"not in the list":  {`{service: {type: Ingress}}`, true},
		"two wrong things": {`{service: {port: 0}, stage: A-B}`, true},
	} {
		v, err := values.Parse([]byte(test.text))
		if err != nil {
			t.Fatal(err)
		}
		want := c.ValidateValues(v)
		got := validator.Validate(v, false)
		whole := validator.Validate(values.Merge(c.DefaultValues(), v), true)
		if !reflect.DeepEqual(got, want) && len(got)+len(want) > 0 || !reflect.DeepEqual(got, whole) || test.wrong != (len(got) > 0) {
			t.Errorf("%s: got %v and %v, want %v", name, got, whole, want)
		}
	}
	if unknown := c.UnknownKeys(map[string]any{"replicasCount": 1}); len(unknown) != 1 || unknown[0].Nearest != "replicaCount" {
		t.Errorf("got %v", unknown)
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

const (
	canarySchemaVersion = 1
	canaryRecordPrefix  = "slipway-canary-"
	canaryRecordKey     = "record"

	// AnnotationHold on the record, with the value "cleared", lets a canary have more requests whose verdict was failed.
	AnnotationHold    = "slipway.dev/canary-hold"
	canaryHoldCleared = "cleared"
	// AnnotationAbort on the record stops a walk and puts the old weights back. Its value is the reason.
	AnnotationAbort = "slipway.dev/abort"
)

// Phases of a record. Each is written before what it names is begun.
const (
	canarySteady    = "steady"
	canaryWalking   = "walking"
	canaryReturning = "returning"
)

// Quarantine is content that failed.
type Quarantine struct {
	Content string    `json:"content"`
	Policy  string    `json:"policy,omitempty"`
	Weight  int       `json:"weight"`
	Reason  string    `json:"reason"`
	Until   time.Time `json:"until"`
}

// canaryRecord is what must outlive a run. It holds no secret. Which weights are in effect is not in it: the route says so.
type canaryRecord struct {
	SchemaVersion int    `json:"schemaVersion"`
	Client        string `json:"client"`
	StageName     string `json:"stage"`
	Instance      string `json:"instance"`
	Phase         string `json:"phase,omitempty"`
	// Baseline is the split from before the walk that is under way. Passed is the last weight that was good, Stage the one that is gone to.
	Baseline *route.Split `json:"baseline,omitempty"`
	Passed   int          `json:"passed,omitempty"`
	Stage    int          `json:"stageWeight,omitempty"`
	// StableReady is how many pods of the stable side served its share of Baseline.
	StableReady int `json:"stableReady,omitempty"`
	// Since is when the analysis of this stage began.
	Since      time.Time    `json:"since,omitzero"`
	Retry      string       `json:"retry,omitempty"`
	Quarantine *Quarantine  `json:"quarantine,omitempty"`
	Route      route.Config `json:"route"`

	// cleared is what the annotation says; aborted that the mark was heard, and goes with the next write.
	cleared, aborted bool
}

// held is the quarantine that forbids to send this content more requests, nil where there is none.
func (r *canaryRecord) held(content string, spec Spec, now time.Time) *Quarantine {
	q := r.Quarantine
	if q == nil || r.cleared || q.Content != content || q.Policy != spec.Policy || r.Retry != spec.Retry || !now.Before(q.Until) {
		return nil
	}
	return q
}

// resumes reports that a walk was cut off, and that the split may be what it had got to.
func (r *canaryRecord) resumes(seen route.Split) bool {
	return r.Phase == canaryWalking && r.Baseline != nil && r.Passed <= seen.Weight && seen.Weight <= r.Stage
}

// rest says that nothing is under way.
func (r *canaryRecord) rest() {
	r.Phase, r.Baseline, r.Since, r.Passed, r.Stage, r.StableReady = canarySteady, nil, time.Time{}, 0, 0, 0
}

// storedCanary is a record with the ConfigMap that it stands in.
type storedCanary struct {
	record      canaryRecord
	there       bool
	uid         string
	annotations map[string]string
}

func canaryRecordName(split string) string { return canaryRecordPrefix + split }

func readCanaryRecord(ctx context.Context, client kubernetes.Interface, target Target) (*storedCanary, error) {
	name := canaryRecordName(target.Name)
	found, err := client.CoreV1().ConfigMaps(target.Handle.Namespace).Get(ctx, name, metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return &storedCanary{}, nil
	}
	if err != nil {
		return nil, target.Cluster.Classify(fmt.Errorf("reading ConfigMap %s: %w", name, err))
	}
	if found.Labels["app.kubernetes.io/managed-by"] != environment.FieldManager {
		return nil, &route.ForeignError{Object: "ConfigMap " + name}
	}
	stored := &storedCanary{there: true, uid: string(found.UID), annotations: found.Annotations}
	if err := json.Unmarshal([]byte(found.Data[canaryRecordKey]), &stored.record); err != nil {
		return nil, fmt.Errorf("reading the record in ConfigMap %s: %w", name, err)
	}
	r := &stored.record
	if r.Client != target.Handle.Client || r.StageName != target.Handle.Stage {
		return nil, &route.ForeignError{Object: "ConfigMap " + name, Whose: fmt.Sprintf("client %s, stage %s", r.Client, r.StageName)}
	}
	if r.SchemaVersion > canarySchemaVersion {
		return nil, &NewerError{Record: name, SchemaVersion: r.SchemaVersion}
	}
	r.cleared = found.Annotations[AnnotationHold] == canaryHoldCleared
	return stored, nil
}

// save writes the record. Marks that people put on it meanwhile stay until they were heard: only then are they taken away.
func (s *storedCanary) save(ctx context.Context, client kubernetes.Interface, target Target) error {
	r := &s.record
	r.SchemaVersion, r.Client, r.StageName = canarySchemaVersion, target.Handle.Client, target.Handle.Stage
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing the record of split %s: %w", target.Name, err)
	}
	name := canaryRecordName(target.Name)
	all := client.CoreV1().ConfigMaps(target.Handle.Namespace)
	if !s.there {
		made, err := all.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{environment.AnnotationInstance: r.Instance}, Labels: target.owner(r.Instance, false).Labels()},
			Data:       map[string]string{canaryRecordKey: string(text)},
		}, metav1.CreateOptions{FieldManager: environment.FieldManager})
		switch {
		case apierrors.IsAlreadyExists(err):
			return &route.ConflictError{Object: "ConfigMap " + name, Cause: err}
		case err != nil:
			return target.Cluster.Classify(fmt.Errorf("writing ConfigMap %s: %w", name, err))
		}
		s.there, s.uid = true, string(made.UID)
		return nil
	}
	// A mark may be put on it at any moment, so that the version of what was read says nothing: the Lease keeps other runs away.
	annotations := map[string]any{environment.AnnotationInstance: r.Instance}
	if r.aborted {
		annotations[AnnotationAbort] = nil
	}
	if r.Quarantine == nil || !r.cleared {
		annotations[AnnotationHold] = nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": s.uid, "annotations": annotations},
		"data":     map[string]any{canaryRecordKey: string(text)},
	})
	if err != nil {
		return fmt.Errorf("writing the record of split %s: %w", target.Name, err)
	}
	_, err = all.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: environment.FieldManager})
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return &route.ConflictError{Object: "ConfigMap " + name, Cause: err}
	case err != nil:
		return target.Cluster.Classify(fmt.Errorf("writing ConfigMap %s: %w", name, err))
	}
	r.aborted = false
	return nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

const (
	blueGreenSchemaVersion = 1
	blueGreenRecordPrefix  = "slipway-blue-green-"
	blueGreenRecordKey     = "record"

	// AnnotationHold on the record, with the value "cleared", lets a color be switched to whose verdict was failed.
	AnnotationHold   = "slipway.dev/blue-green-hold"
	colorHoldCleared = "cleared"
)

// Phases of a record. Each is written before what it names is begun.
const (
	phaseSteady    = "steady"
	phaseSwitching = "switching"
	phaseVerifying = "verifying"
	phaseReturning = "returning"
)

// Quarantine is content that failed.
type Quarantine struct {
	Color   string    `json:"color"`
	Content string    `json:"content"`
	Policy  string    `json:"policy,omitempty"`
	Reason  string    `json:"reason"`
	Until   time.Time `json:"until"`
}

// blueGreenRecord is what must outlive a run. It holds no secret. Which color is live is not in it: the Service says so.
type blueGreenRecord struct {
	SchemaVersion int    `json:"schemaVersion"`
	Client        string `json:"client"`
	Stage         string `json:"stage"`
	Instance      string `json:"instance"`
	Phase         string `json:"phase,omitempty"`
	// Target is the color that was switched to last.
	Target string `json:"target,omitempty"`
	// Previous is what the selector had before, nil where it had nothing.
	Previous *string `json:"previous,omitempty"`
	// Moved says that other pods had the traffic before.
	Moved          bool      `json:"moved,omitempty"`
	VerifyingSince time.Time `json:"verifyingSince,omitzero"`
	SwitchedAt     time.Time `json:"switchedAt,omitzero"`
	// PreviousContent is what the color that is not live was when it lost the traffic.
	PreviousContent string `json:"previousContent,omitempty"`
	// Good is the content of each color that was live without failing.
	Good       map[string]string `json:"good,omitempty"`
	Retry      string            `json:"retry,omitempty"`
	Quarantine *Quarantine       `json:"quarantine,omitempty"`
	// Scaled are the replicas that Deployments had before they were scaled to zero, by color and name.
	Scaled map[string]map[string]int32 `json:"scaled,omitempty"`

	cleared bool
}

// switching is the record when the selector is about to change.
func (r blueGreenRecord) switching(from *liveService, to string, moved, route bool) blueGreenRecord {
	r.Phase, r.Target, r.Moved, r.VerifyingSince = phaseSwitching, to, moved, time.Time{}
	r.Previous = nil
	if route {
		value := Opposite(to) // whatever share it had
		r.Previous = &value
	} else if from.has {
		value := from.color
		r.Previous = &value
	}
	return r
}

// held is the quarantine that forbids to switch to this content, nil where there is none.
func (r blueGreenRecord) held(color, content string, spec Spec, now time.Time) *Quarantine {
	q := r.Quarantine
	if q == nil || r.cleared || q.Color != color || q.Content != content || q.Policy != spec.Policy || r.Retry != spec.Retry || !now.Before(q.Until) {
		return nil
	}
	return q
}

// due reports that the color that is not live has been kept for long enough.
func (r blueGreenRecord) due(keep *time.Duration, now time.Time) bool {
	return keep != nil && r.Phase == phaseSteady && !r.SwitchedAt.IsZero() && !now.Before(r.SwitchedAt.Add(*keep))
}

// storedRecord is a record with the ConfigMap that it stands in.
type storedRecord struct {
	record      blueGreenRecord
	there       bool
	version     string
	annotations map[string]string
}

func blueGreenRecordName(target Target) string {
	return blueGreenRecordPrefix + target.Service
}

func readBlueGreenRecord(ctx context.Context, client kubernetes.Interface, target Target) (storedRecord, error) {
	name := blueGreenRecordName(target)
	found, err := client.CoreV1().ConfigMaps(target.Handle.Namespace).Get(ctx, name, metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return storedRecord{}, nil
	}
	if err != nil {
		return storedRecord{}, target.Cluster.Classify(fmt.Errorf("reading ConfigMap %s: %w", name, err))
	}
	if found.Labels["app.kubernetes.io/managed-by"] != environment.FieldManager {
		return storedRecord{}, &route.ForeignError{Object: "ConfigMap " + name}
	}
	stored := storedRecord{there: true, version: found.ResourceVersion, annotations: found.Annotations}
	if err := json.Unmarshal([]byte(found.Data[blueGreenRecordKey]), &stored.record); err != nil {
		return storedRecord{}, fmt.Errorf("reading the record in ConfigMap %s: %w", name, err)
	}
	r := &stored.record
	if r.Client != target.Handle.Client || r.Stage != target.Handle.Stage {
		return storedRecord{}, &route.ForeignError{Object: "ConfigMap " + name, Whose: fmt.Sprintf("client %s, stage %s", r.Client, r.Stage)}
	}
	r.cleared = found.Annotations[AnnotationHold] == colorHoldCleared
	return stored, nil
}

// checkOwner refuses a record of another resource, and one of a newer provider.
func (s storedRecord) checkOwner(target Target, options Options) error {
	switch {
	case !s.there:
		return nil
	case s.record.SchemaVersion > blueGreenSchemaVersion:
		return &NewerError{Record: blueGreenRecordName(target), SchemaVersion: s.record.SchemaVersion}
	case s.record.Instance != options.InstanceID && !options.TakeOver:
		return &OwnerError{Service: target.Service, Record: blueGreenRecordName(target)}
	}
	return nil
}

// save writes the record and fails with a *route.ConflictError where somebody else has written it meanwhile. An annotation that clears a
// quarantine goes with the quarantine.
func (s *storedRecord) save(ctx context.Context, client kubernetes.Interface, target Target) error {
	r := &s.record
	r.SchemaVersion, r.Client, r.Stage = blueGreenSchemaVersion, target.Handle.Client, target.Handle.Stage
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing the record of Service %s: %w", target.Service, err)
	}
	annotations := map[string]string{}
	for key, value := range s.annotations {
		if key != AnnotationHold || r.Quarantine != nil && r.cleared {
			annotations[key] = value
		}
	}
	annotations[environment.AnnotationInstance] = r.Instance
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: blueGreenRecordName(target), ResourceVersion: s.version, Annotations: annotations, Labels: blueGreenLabels(target),
		},
		Data: map[string]string{blueGreenRecordKey: string(text)},
	}
	all := client.CoreV1().ConfigMaps(target.Handle.Namespace)
	var written *corev1.ConfigMap
	if s.there {
		written, err = all.Update(ctx, object, metav1.UpdateOptions{FieldManager: environment.FieldManager})
	} else {
		written, err = all.Create(ctx, object, metav1.CreateOptions{FieldManager: environment.FieldManager})
	}
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return &route.ConflictError{Object: "ConfigMap " + object.Name, Cause: err}
	case err != nil:
		return target.Cluster.Classify(fmt.Errorf("writing ConfigMap %s: %w", object.Name, err))
	}
	s.there, s.version, s.annotations = true, written.ResourceVersion, written.Annotations
	return nil
}

func blueGreenLabels(target Target) map[string]string {
	return map[string]string{
		environment.LabelClient: target.Handle.Client, environment.LabelStage: target.Handle.Stage,
		"app.kubernetes.io/managed-by": environment.FieldManager, route.LabelBlueGreen: target.Service,
	}
}

// gatedClient is refused mutations once ctx has ended or the Lease is lost.
func gatedClient(ctx context.Context, c *cluster.Cluster, lease *cluster.Lease) (kubernetes.Interface, error) {
	config := c.RESTConfig()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return cluster.Gate(ctx, lease, next) })
	client, err := cluster.NewKubernetes(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return client, nil
}

// Observed is how a blue-green switch stands.
type Observed struct {
	// Active is the color in the live Service's selector, empty where it has none; it may be any text.
	Active string
	// Recorded says that there is a record, InstanceID for whom.
	Recorded   bool
	InstanceID string
	// Verification says that a switch was cut off before its verdict, empty where it was not.
	Verification string
	// ScaleDown says that the color that is not live was kept for long enough and still has replicas.
	ScaleDown bool
	// Quarantined says why a color is not switched to, empty where none is held.
	Quarantined string
}

// Observe reads without writing. Errors: *pods.ServiceMissingError, *route.ForeignError, others as from cluster.Classify.
func Observe(ctx context.Context, target Target, keep *time.Duration, now time.Time) (*Observed, error) {
	client, err := target.Cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	b := &blueGreen{target: target, ctx: ctx, reads: client}
	if b.service, err = readService(ctx, client, target); err != nil {
		return nil, err
	}
	if target.Route != nil {
		if err := b.lookAtRoute(ctx, nil); err != nil {
			return nil, err
		}
	}
	if b.stored, err = readBlueGreenRecord(ctx, client, target); err != nil {
		return nil, err
	}
	record := &b.stored.record
	seen := &Observed{Active: b.service.color, Recorded: b.stored.there, InstanceID: record.Instance}
	if record.Target == seen.Active {
		switch record.Phase {
		case phaseSwitching, phaseVerifying:
			seen.Verification = fmt.Sprintf("the switch to %s has no verdict yet", record.Target)
		case phaseReturning:
			seen.Verification = fmt.Sprintf("the way back from %s was not finished", record.Target)
		}
	}
	if record.due(keep, now) && record.Target == seen.Active {
		idle, err := b.idle(ctx)
		if err != nil {
			return nil, err
		}
		seen.ScaleDown = len(idle) > 0
	}
	if q := record.Quarantine; q != nil && !record.cleared && now.Before(q.Until) {
		content, err := b.content(ctx, q.Color)
		if err != nil {
			return nil, err
		}
		if content == q.Content {
			seen.Quarantined = fmt.Sprintf("%s until %s: %s", q.Color, q.Until.Format(time.RFC3339), q.Reason)
		}
	}
	return seen, nil
}

// Forget removes the preview Service and the record. The live Service stays as it is, and so do all pods. forgotten says that
// the record carries another instance id, so that nothing was removed.
func Forget(ctx context.Context, target Target, options Options) (forgotten bool, err error) {
	b := &blueGreen{target: target, options: options, caller: ctx, result: &Result{}}
	finish, err := b.begin()
	if missing := (*environment.NamespaceMissingError)(nil); errors.As(err, &missing) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, finish()) }()
	if b.stored, err = readBlueGreenRecord(b.ctx, b.reads, target); err != nil || !b.stored.there {
		return false, err
	}
	if b.stored.record.Instance != options.InstanceID {
		return true, nil
	}
	if err := b.removePreview(); err != nil {
		return false, err
	}
	precondition := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &b.stored.version}}
	err = b.gated.CoreV1().ConfigMaps(target.Handle.Namespace).Delete(b.ctx, blueGreenRecordName(target), precondition)
	if err != nil && !cluster.IsNotFound(err) {
		return false, target.Cluster.Classify(fmt.Errorf("deleting ConfigMap %s: %w", blueGreenRecordName(target), err))
	}
	return false, nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

const (
	// recordSchemaVersion is the newest schema of Record that this code writes.
	recordSchemaVersion  = 2
	recordPrefix         = "slipway-release-"
	recordKey            = "record"
	labelRecordManagedBy = "app.kubernetes.io/managed-by"
	labelRelease         = "slipway.dev/release"
	// maxKnownGood is how many revisions that worked are remembered.
	maxKnownGood = 5
	// maxFailureText is how much of an error the record keeps.
	maxFailureText = 1024
)

// Phases of a record.
const (
	phaseInstalling  = "installing"
	phaseUpgrading   = "upgrading"
	phaseVerifying   = "verifying"
	phaseUnverified  = "unverified"
	phaseDeployed    = "deployed"
	phaseRollingBack = "rolling back"
	phaseRolledBack  = "rolled back"
	phaseFailed      = "failed"
)

// recorded is a record with the ConfigMap that it stands in.
type recorded struct {
	record *Record
	// resourceVersion guards against writers that hold no Lease.
	resourceVersion string
	// text is the record as it stands in the ConfigMap, and annotations are everybody's: people put marks on the record.
	text        string
	annotations map[string]string
}

func recordName(release string) string { return recordPrefix + release }

// readRecord returns an empty recorded where there is no record. Errors: *ForeignRecordError, others as from Classify.
func readRecord(ctx context.Context, client kubernetes.Interface, target Target) (recorded, error) {
	name := recordName(target.Name)
	found, err := client.CoreV1().ConfigMaps(target.Handle.Namespace).Get(ctx, name, metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return recorded{}, nil
	}
	if err != nil {
		return recorded{}, target.Cluster.Classify(fmt.Errorf("reading ConfigMap %s: %w", name, err))
	}
	if found.Labels[labelRecordManagedBy] != environment.FieldManager {
		return recorded{}, &ForeignRecordError{Name: name, Reason: "it does not carry the label " + labelRecordManagedBy + "=" + environment.FieldManager}
	}
	var record Record
	if err := json.Unmarshal([]byte(found.Data[recordKey]), &record); err != nil {
		return recorded{}, &ForeignRecordError{Name: name, Reason: "its key " + recordKey + " cannot be read: " + err.Error()}
	}
	if record.Client != target.Handle.Client || record.Stage != target.Handle.Stage {
		return recorded{}, &ForeignRecordError{Name: name, Client: record.Client, Stage: record.Stage}
	}
	record.cleared = found.Annotations[AnnotationHold] == holdCleared
	return recorded{record: &record, resourceVersion: found.ResourceVersion, text: found.Data[recordKey], annotations: found.Annotations}, nil
}

// checkWritable refuses a record of a schema that this code does not know.
func (r recorded) checkWritable(target Target) error {
	if r.record != nil && r.record.SchemaVersion > recordSchemaVersion {
		return &NewerRecordError{Name: recordName(target.Name), SchemaVersion: r.record.SchemaVersion}
	}
	return nil
}

// save writes the record, and fails with a conflict where somebody else has written it meanwhile. Annotations that others put on it
// stay, but for those in consumed.
func (r *recorded) save(ctx context.Context, client kubernetes.Interface, target Target, record *Record, consumed ...string) error {
	record.SchemaVersion = recordSchemaVersion
	text, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("writing the record of release %s: %w", target.Name, err)
	}
	name := recordName(target.Name)
	written, err := r.write(ctx, client, target, record.InstanceID, string(text), consumed)
	for try := 0; apierrors.IsConflict(err) && try < maxMarkConflicts; try++ {
		// Somebody may have put a mark on it, which leaves the record itself as it was.
		now, readErr := readRecord(ctx, client, target)
		if readErr != nil {
			return readErr
		}
		if now.record == nil || now.text != r.text {
			break
		}
		r.resourceVersion, r.annotations = now.resourceVersion, now.annotations
		written, err = r.write(ctx, client, target, record.InstanceID, string(text), consumed)
	}
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return fmt.Errorf("the ConfigMap %s was changed by somebody else while release %s was worked on: apply again: %w", name, target.Name, err)
	case err != nil:
		return target.Cluster.Classify(fmt.Errorf("writing ConfigMap %s: %w", name, err))
	}
	r.record, r.resourceVersion, r.text, r.annotations = record, written.ResourceVersion, string(text), written.Annotations
	return nil
}

// maxMarkConflicts is how often a write is tried again because of marks that others put on the record.
const maxMarkConflicts = 3

func (r *recorded) write(ctx context.Context, client kubernetes.Interface, target Target, instance, text string, consumed []string) (*corev1.ConfigMap, error) {
	annotations := maps.Clone(r.annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	for _, key := range consumed {
		delete(annotations, key)
	}
	annotations[environment.AnnotationInstance] = instance
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name:            recordName(target.Name),
			ResourceVersion: r.resourceVersion,
			Labels: map[string]string{
				environment.LabelClient: target.Handle.Client,
				environment.LabelStage:  target.Handle.Stage,
				labelRecordManagedBy:    environment.FieldManager,
				labelRelease:            target.Name,
			},
			Annotations: annotations,
		},
		Data: map[string]string{recordKey: text},
	}
	all := client.CoreV1().ConfigMaps(target.Handle.Namespace)
	if r.resourceVersion == "" {
		return all.Create(ctx, object, metav1.CreateOptions{FieldManager: environment.FieldManager})
	}
	return all.Update(ctx, object, metav1.UpdateOptions{FieldManager: environment.FieldManager})
}

// remove deletes the record if it is still the one that was read.
func (r *recorded) remove(ctx context.Context, client kubernetes.Interface, target Target) error {
	if r.record == nil {
		return nil
	}
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &r.resourceVersion}}
	err := client.CoreV1().ConfigMaps(target.Handle.Namespace).Delete(ctx, recordName(target.Name), options)
	if err != nil && !apierrors.IsNotFound(err) {
		return target.Cluster.Classify(fmt.Errorf("deleting ConfigMap %s: %w", recordName(target.Name), err))
	}
	*r = recorded{}
	return nil
}

// addKnownGood puts a revision that worked in front, and drops those that are gone.
func (r *Record) addKnownGood(good KnownGood, exists func(revision int) bool) {
	list := []KnownGood{good}
	for _, old := range r.KnownGood {
		if old.Revision != good.Revision && exists(old.Revision) && len(list) < maxKnownGood {
			list = append(list, old)
		}
	}
	r.KnownGood = list
}

// saveUnlessEnded retries once what may have failed by chance; the lease keeps other writers out meanwhile.
func (r *recorded) saveUnlessEnded(ctx context.Context, client kubernetes.Interface, target Target, record *Record, consumed ...string) error {
	err := r.save(ctx, client, target, record, consumed...)
	var unreachable *cluster.UnreachableError
	if !errors.As(err, &unreachable) || ctx.Err() != nil {
		return err
	}
	pause(ctx, pollEvery)
	return r.save(ctx, client, target, record, consumed...)
}

// keptRevisions are those that the record still needs: the newest known-good one and the one before, and what was tried last.
func (r *Record) keptRevisions() []int {
	var kept []int
	if r != nil {
		for _, good := range r.KnownGood[:min(2, len(r.KnownGood))] {
			kept = append(kept, good.Revision)
		}
		if len(r.Runs) > 0 {
			kept = append(kept, r.Runs[0].Revision)
		}
	}
	return slices.Clip(kept)
}

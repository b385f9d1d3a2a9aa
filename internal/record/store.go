// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// dataKey is the key of the ConfigMap that has the content, as JSON.
const dataKey = "record"

const (
	// maxConflicts is how often a write is repeated because of annotations that people put on the record meanwhile.
	maxConflicts = 3
	// retryPause is the pause before a write is repeated that the API server did not answer.
	retryPause = time.Second
)

// Header is what every record begins with. Records embed it.
type Header struct {
	SchemaVersion int    `json:"schemaVersion"`
	InstanceID    string `json:"instanceID"`
	Client        string `json:"client"`
	Stage         string `json:"stage"`
}

func (h *Header) head() *Header { return h }

// Content is a pointer to a record's content, which embeds Header.
type Content[R any] interface {
	*R
	head() *Header
}

func headOf[R any, P Content[R]](content *R) *Header { return P(content).head() }

// Place is where a record is.
type Place struct {
	Cluster *cluster.Cluster
	Handle  environment.Handle
	Kind    Kind
	Name    string
}

// Object names the ConfigMap for people, as "ConfigMap namespace/name".
func (p Place) Object() string {
	return "ConfigMap " + p.Handle.Namespace + "/" + p.Kind.Object(p.Name)
}

// Stored is a record as it was read, and is written through. A nil Content says that there is none.
type Stored[R any] struct {
	Place Place
	// Content is nil where there is no record.
	Content *R

	head            func(*R) *Header
	uid             types.UID
	resourceVersion string // guards against writers that hold no Lease
	text            string // the content as it is in the ConfigMap
	annotations     map[string]string
	labels          map[string]string
	// pending are the annotations that the next Save changes. nil removes one.
	pending map[string]*string
}

// Read reads a record. One that does not exist is no error. Errors: *ForeignError (a ConfigMap of another owner, or the record of another
// client or stage), *NewerError (written by a newer version of Slipway), others as from cluster.Classify.
func Read[R any, P Content[R]](ctx context.Context, client kubernetes.Interface, place Place) (*Stored[R], error) {
	found, err := client.CoreV1().ConfigMaps(place.Handle.Namespace).Get(ctx, place.Kind.Object(place.Name), metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return &Stored[R]{Place: place, head: headOf[R, P]}, nil
	}
	if err != nil {
		return nil, place.Cluster.Classify(fmt.Errorf("reading %s: %w", place.Object(), err))
	}
	return decode[R, P](found, place)
}

// List reads all records of a kind in the handle's namespace; the name of place does not matter. Those that cannot be read are in failed,
// by name, with the errors of Read: the caller decides what an unreadable record means.
func List[R any, P Content[R]](
	ctx context.Context, client kubernetes.Interface, place Place,
) (all []*Stored[R], failed map[string]error, err error) {
	list, err := client.CoreV1().ConfigMaps(place.Handle.Namespace).List(ctx, metav1.ListOptions{LabelSelector: place.Kind.Label})
	if err != nil {
		return nil, nil, place.Cluster.Classify(fmt.Errorf("listing the records of each %s in namespace %s: %w", place.Kind.Noun,
			place.Handle.Namespace, err))
	}
	failed = map[string]error{}
	for i := range list.Items {
		found := &list.Items[i]
		at := place
		at.Name = found.Labels[place.Kind.Label]
		if found.Name != at.Kind.Object(at.Name) {
			continue // belongs to the record's subject, and is none
		}
		stored, err := decode[R, P](found, at)
		if err != nil {
			failed[at.Name] = err
			continue
		}
		all = append(all, stored)
	}
	return all, failed, nil
}

func decode[R any, P Content[R]](found *corev1.ConfigMap, place Place) (*Stored[R], error) {
	if found.Labels[cluster.LabelManagedBy] != cluster.FieldManager {
		return nil, &ForeignError{
			Object: place.Object(), Reason: "it does not carry the label " + cluster.LabelManagedBy + "=" + cluster.FieldManager,
		}
	}
	// The version decides first: a newer record may have another form.
	var header Header
	if err := json.Unmarshal([]byte(found.Data[dataKey]), &header); err != nil {
		return nil, &ForeignError{Object: place.Object(), Reason: "its key " + dataKey + " cannot be read: " + err.Error()}
	}
	if header.Client != place.Handle.Client || header.Stage != place.Handle.Stage {
		return nil, &ForeignError{Object: place.Object(), Client: header.Client, Stage: header.Stage}
	}
	if header.SchemaVersion > place.Kind.Schema {
		return nil, &NewerError{Object: place.Object(), Noun: place.Kind.Noun, Name: place.Name, SchemaVersion: header.SchemaVersion}
	}
	content := new(R)
	if err := json.Unmarshal([]byte(found.Data[dataKey]), content); err != nil {
		return nil, &ForeignError{Object: place.Object(), Reason: "its key " + dataKey + " cannot be read: " + err.Error()}
	}
	stored := &Stored[R]{Place: place, Content: content, head: headOf[R, P]}
	stored.took(found)
	return stored, nil
}

// took notes how the ConfigMap is now.
func (s *Stored[R]) took(found *corev1.ConfigMap) {
	s.uid, s.resourceVersion, s.text = found.UID, found.ResourceVersion, found.Data[dataKey]
	s.annotations, s.labels = found.Annotations, found.Labels
}

// Exists reports that there is a record.
func (s *Stored[R]) Exists() bool { return s.Content != nil }

// InstanceID is the id of the resource that the record belongs to, empty where there is no record.
func (s *Stored[R]) InstanceID() string {
	if s.Content == nil {
		return ""
	}
	return s.head(s.Content).InstanceID
}

// Annotation returns what the ConfigMap carried when it was read or written last, or what the next Save puts on it.
func (s *Stored[R]) Annotation(key string) string {
	if value, changes := s.pending[key]; changes {
		if value == nil {
			return ""
		}
		return *value
	}
	return s.annotations[key]
}

// Annotate puts an annotation on the record with the next Save.
func (s *Stored[R]) Annotate(key, value string) { s.change(key, &value) }

// RemoveAnnotation takes an annotation off the record with the next Save.
func (s *Stored[R]) RemoveAnnotation(key string) { s.change(key, nil) }

func (s *Stored[R]) change(key string, value *string) {
	if s.pending == nil {
		s.pending = map[string]*string{}
	}
	s.pending[key] = value
}

// Cleared reports that a user has unblocked the content, with AnnotationQuarantine.
func (s *Stored[R]) Cleared() bool { return s.annotations[AnnotationQuarantine] == QuarantineCleared }

// MarkIrreversible annotates the record with the next Save.
func (s *Stored[R]) MarkIrreversible(since time.Time, safeAfter, reason string) {
	s.Annotate(AnnotationIrreversibleSince, since.UTC().Format(time.RFC3339))
	s.Annotate(AnnotationIrreversibleSafeAfter, safeAfter)
	s.Annotate(AnnotationIrreversibleReason, reason)
}

// IrreversibleAnnotations returns the annotations of MarkIrreversible that the record has, for RestoreIrreversible.
func (s *Stored[R]) IrreversibleAnnotations() map[string]string {
	out := map[string]string{}
	for _, key := range irreversibleKeys {
		if value := s.Annotation(key); value != "" {
			out[key] = value
		}
	}
	return out
}

// RestoreIrreversible makes the annotations of MarkIrreversible those that IrreversibleAnnotations returned earlier, with the next Save.
// Without any, the record is not one of an irreversible migration any more.
func (s *Stored[R]) RestoreIrreversible(earlier map[string]string) {
	for _, key := range irreversibleKeys {
		if value, had := earlier[key]; had {
			s.Annotate(key, value)
		} else {
			s.RemoveAnnotation(key)
		}
	}
}

// Claim says for whom a record is used.
type Claim struct {
	// InstanceID is the id of the resource in Terraform's state, a new one on create.
	InstanceID string
	// Create takes over what carries another id: it was left by an earlier create, or by another state.
	Create bool
	// MadeInThisRun reports that this run of Terraform has made an instance id. A create does not take over what another create of the
	// same run has made: two resources have one name then. Nil: none.
	MadeInThisRun func(instanceID string) bool
}

// Check refuses a record that belongs to another resource. The error is an *OwnerError.
func (s *Stored[R]) Check(claim Claim) error {
	owner := s.InstanceID()
	if !s.Exists() || owner == claim.InstanceID {
		return nil
	}
	if !claim.Create {
		return &OwnerError{Noun: s.Place.Kind.Noun, Name: s.Place.Name, Namespace: s.Place.Handle.Namespace, Object: s.Place.Object(),
			Want: claim.InstanceID, Got: owner}
	}
	if claim.MadeInThisRun != nil && claim.MadeInThisRun(owner) {
		return &OwnerError{
			Noun:      s.Place.Kind.Noun,
			Name:      s.Place.Name,
			Namespace: s.Place.Handle.Namespace,
			Object:    s.Place.Object(),
			SameRun:   true,
		}
	}
	return nil
}

// Save writes content as the record, for the resource instance. Annotations of others stay; those in consumed go. A write is repeated
// where people annotated the record meanwhile, and once where the API server did not answer. Errors: *ConflictError (others changed the
// content), others as from cluster.Classify.
func (s *Stored[R]) Save(ctx context.Context, client kubernetes.Interface, content *R, instanceID string, consumed ...string) error {
	head := s.head(content)
	head.SchemaVersion, head.InstanceID = s.Place.Kind.Schema, instanceID
	head.Client, head.Stage = s.Place.Handle.Client, s.Place.Handle.Stage
	text, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("writing the record of %s %s: %w", s.Place.Kind.Noun, s.Place.Name, err)
	}
	err = s.write(ctx, client, string(text), instanceID, consumed)
	if _, unreachable := errors.AsType[*cluster.UnreachableError](s.Place.Cluster.Classify(err)); unreachable && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(retryPause):
			err = s.write(ctx, client, string(text), instanceID, consumed)
		}
	}
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return &ConflictError{Object: s.Place.Object(), Noun: s.Place.Kind.Noun, Name: s.Place.Name, Cause: err}
	case err != nil:
		return s.Place.Cluster.Classify(fmt.Errorf("writing %s: %w", s.Place.Object(), err))
	}
	s.Content, s.pending = content, nil
	return nil
}

// write repeats the write as long as only annotations were changed by others.
func (s *Stored[R]) write(ctx context.Context, client kubernetes.Interface, text, instanceID string, consumed []string) error {
	all := client.CoreV1().ConfigMaps(s.Place.Handle.Namespace)
	for try := 0; ; try++ {
		object := s.object(text, instanceID, consumed)
		var written *corev1.ConfigMap
		var err error
		if s.resourceVersion == "" {
			written, err = all.Create(ctx, object, metav1.CreateOptions{FieldManager: cluster.FieldManager})
		} else {
			written, err = all.Update(ctx, object, metav1.UpdateOptions{FieldManager: cluster.FieldManager})
		}
		if err == nil {
			s.took(written)
			return nil
		}
		if try == maxConflicts || !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return err
		}
		now, readErr := all.Get(ctx, object.Name, metav1.GetOptions{})
		switch {
		case readErr != nil:
			return errors.Join(err, readErr)
		case now.Data[dataKey] == text && now.Annotations[environment.AnnotationInstance] == instanceID:
			s.took(now) // the write before was carried out, and its answer lost
			return nil
		case s.resourceVersion == "" || now.UID != s.uid || now.Data[dataKey] != s.text:
			return err
		}
		s.took(now)
	}
}

func (s *Stored[R]) object(text, instanceID string, consumed []string) *corev1.ConfigMap {
	annotations := maps.Clone(s.annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	for key, value := range s.pending {
		if value == nil {
			delete(annotations, key)
		} else {
			annotations[key] = *value
		}
	}
	for _, key := range consumed {
		delete(annotations, key)
	}
	annotations[environment.AnnotationInstance] = instanceID
	labels := maps.Clone(s.labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[environment.LabelClient], labels[environment.LabelStage] = s.Place.Handle.Client, s.Place.Handle.Stage
	labels[cluster.LabelManagedBy], labels[s.Place.Kind.Label] = cluster.FieldManager, s.Place.Name
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: s.Place.Kind.Object(s.Place.Name), ResourceVersion: s.resourceVersion, Labels: labels, Annotations: annotations,
		},
		Data: map[string]string{dataKey: text},
	}
}

// Remove deletes the record. One that is gone is no error. Another ConfigMap that has taken its name stays.
func (s *Stored[R]) Remove(ctx context.Context, client kubernetes.Interface) error {
	if !s.Exists() {
		return nil
	}
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &s.uid}}
	err := client.CoreV1().ConfigMaps(s.Place.Handle.Namespace).Delete(ctx, s.Place.Kind.Object(s.Place.Name), options)
	if err != nil && !apierrors.IsNotFound(err) {
		return s.Place.Cluster.Classify(fmt.Errorf("deleting %s: %w", s.Place.Object(), err))
	}
	*s = Stored[R]{Place: s.Place, head: s.head}
	return nil
}

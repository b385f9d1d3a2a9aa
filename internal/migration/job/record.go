// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

// Target is the place of a migration.
type Target struct {
	Cluster *cluster.Cluster
	Handle  environment.Handle
	// Name of the migration, unique in the namespace.
	Name string
}

func (t Target) place() record.Place {
	return record.Place{Cluster: t.Cluster, Handle: t.Handle, Kind: record.OfMigration, Name: t.Name}
}

// meta is what all objects of a migration have.
func (t Target) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: t.Handle.Namespace, Labels: map[string]string{
		environment.LabelClient: t.Handle.Client, environment.LabelStage: t.Handle.Stage,
		cluster.LabelManagedBy: cluster.FieldManager, record.LabelMigration: t.Name,
	}}
}

// selector finds the Jobs of the migration.
func (t Target) selector() metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: record.LabelMigration + "=" + t.Name}
}

// migrationRecord is what the record of a migration says.
type migrationRecord struct {
	record.Header
	Applied map[string]string `json:"applied"` // name of the file to checksum
	Updated time.Time         `json:"updated"`
	// Commands is of a migration by commands.
	Commands *commandRecord `json:"commands,omitempty"`
	// Validated is the ValidateDigest of what was validated last.
	Validated string `json:"validated,omitempty"`
}

// State is what is known of a migration in its namespace.
type State struct {
	// Recorded is false where there is no record, or where what a Job has done is not recorded yet.
	Recorded   bool
	Applied    map[string]string // nil where there is no record
	Progress   *Progress         // of commands; nil where none is recorded
	InstanceID string            // of the record
	Validated  string            // ValidateDigest of what was validated last
}

// Observe reads a migration. A record that is gone is no error. Errors as from record.Read.
func Observe(ctx context.Context, target Target) (*State, error) {
	client, err := target.Cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	stored, err := record.Read[migrationRecord](ctx, client, target.place())
	if err != nil {
		return nil, err
	}
	out := &State{}
	if content := stored.Content; content != nil {
		out.Recorded, out.Applied, out.InstanceID = true, content.Applied, stored.InstanceID()
		if out.Applied == nil {
			out.Applied = map[string]string{}
		}
		out.Validated = content.Validated
		if content.Commands != nil {
			out.Progress = new(content.Commands.progress())
			out.Recorded = content.Commands.Begun == nil
		}
	}
	left, err := client.BatchV1().Jobs(target.Handle.Namespace).List(ctx, target.selector())
	if err != nil && !cluster.IsNotFound(err) {
		return nil, target.Cluster.Classify(fmt.Errorf("listing the Jobs of migration %s: %w", target.Name, err))
	}
	if err == nil && len(left.Items) > 0 {
		out.Recorded = false
	}
	return out, nil
}

// recordedFiles are the files that any migration of the namespace has applied, with their checksums. A record that cannot be read is an
// error.
func recordedFiles(ctx context.Context, client kubernetes.Interface, target Target) (map[string]string, error) {
	all, failed, err := record.List[migrationRecord](ctx, client, target.place())
	if err != nil {
		return nil, err
	}
	for _, unreadable := range failed {
		err = errors.Join(err, unreadable)
	}
	out := map[string]string{}
	for _, stored := range all {
		maps.Copy(out, stored.Content.Applied)
	}
	return out, err
}

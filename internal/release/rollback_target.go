// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// candidate is a revision that may be restored, and what it is looked at with.
type candidate struct {
	target   Target
	releases *storage.Storage
	good     record.KnownGood
	stored   *helmrelease.Release
}

// check refuses a revision that cannot or must not be restored. Owners are asked for with one request for each object.
func (c *candidate) check(ctx context.Context, owners bool) error {
	if err := c.read(); err != nil {
		return err
	}
	objects, err := object.ParseManifest(c.stored.Manifest, c.target.Handle.Namespace)
	if err != nil {
		return fmt.Errorf("reading the objects of revision %d of release %s: %w", c.good.Revision, c.target.Name, err)
	}
	if err := c.checkServed(objects); err != nil {
		return err
	}
	if err := c.checkMigrations(ctx); err != nil {
		return err
	}
	if !owners {
		return nil
	}
	return c.checkOwners(ctx, objects)
}

func (c *candidate) refuse(reason string) error {
	return &RollbackError{Release: c.target.Name, Target: c.good.Revision, Refused: true, Reason: reason,
		Advice: "Nothing was rolled back: go forward with a version that works."}
}

// read proves that the revision is there, and is the one that was good.
func (c *candidate) read() error {
	stored, err := c.releases.Get(c.target.Name, c.good.Revision)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return c.refuse(fmt.Sprintf("Revision %d, the last one known to work, is not in Helm's storage any more: another tool has deleted it.",
			c.good.Revision))
	}
	if err != nil {
		return c.target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", c.good.Revision, c.target.Name, err))
	}
	c.stored = stored
	if c.good.Seal == "" {
		return nil
	}
	sealed, err := seal(stored)
	if err != nil {
		return err
	}
	if sealed != c.good.Seal {
		return c.refuse(fmt.Sprintf("Revision %d in Helm's storage is not the one that was known to work: its content has been changed, or "+
			"another release was installed under its name.",
			c.good.Revision))
	}
	return nil
}

// checkServed refuses a revision with kinds that the cluster does not serve any more: Helm would stop half way and leave the release
// pending.
func (c *candidate) checkServed(objects []object.Rendered) error {
	mapper, err := c.target.Cluster.RESTMapper()
	if err != nil {
		return err
	}
	var gone []string
	for _, o := range objects {
		gvk := object.GVKOf(o.Object)
		_, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		switch name := gvk.GroupVersion().String() + " " + gvk.Kind; {
		case meta.IsNoMatchError(err):
			if !slices.Contains(gone, name) {
				gone = append(gone, name)
			}
		case err != nil:
			return c.target.Cluster.Classify(fmt.Errorf("asking whether the cluster serves %s: %w", name, err))
		}
	}
	if len(gone) > 0 {
		return c.refuse(fmt.Sprintf("Revision %d has objects of kinds that the cluster does not serve any more: %s.", c.good.Revision,
			strings.Join(gone, ", ")))
	}
	return nil
}

// checkOwners refuses a revision one of whose objects belongs to another owner by now: Helm would take it silently.
func (c *candidate) checkOwners(ctx context.Context, objects []object.Rendered) error {
	mapper, err := c.target.Cluster.RESTMapper()
	if err != nil {
		return err
	}
	client, err := c.target.Cluster.Metadata()
	if err != nil {
		return err
	}
	owned := make([]string, len(objects))
	indexes := make([]int, len(objects))
	for i := range indexes {
		indexes[i] = i
	}
	err = cluster.Parallel(ctx, indexes, func(ctx context.Context, i int) error {
		gvk := object.GVKOf(objects[i].Object)
		mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			return fmt.Errorf("asking whether the cluster serves %s: %w", gvk.Kind, err)
		}
		name, namespace := object.NameOf(objects[i].Object)
		if namespace == "" {
			namespace = c.target.Handle.Namespace
		}
		if mapping.Scope.Name() == meta.RESTScopeNameRoot {
			namespace = ""
		}
		live, err := client.Resource(mapping.Resource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", objects[i].Key.Short(), err)
		}
		owner, ownerNamespace := live.Annotations[ownership.AnnotationReleaseName], live.Annotations[ownership.AnnotationReleaseNamespace]
		switch {
		case owner == "":
			owned[i] = objects[i].Key.Short() + " belongs to no release"
		case owner != c.target.Name || ownerNamespace != c.target.Handle.Namespace:
			owned[i] = fmt.Sprintf("%s belongs to release %s in namespace %s", objects[i].Key.Short(), owner, ownerNamespace)
		}
		return nil
	})
	if err != nil {
		return c.target.Cluster.Classify(err)
	}
	if owned = slices.DeleteFunc(owned, func(s string) bool { return s == "" }); len(owned) > 0 {
		return c.refuse(fmt.Sprintf("Revision %d would restore what does not belong to this release any more: %s.", c.good.Revision,
			strings.Join(owned, "; ")))
	}
	return nil
}

// checkMigrations refuses a revision from before an irreversible migration.
func (c *candidate) checkMigrations(ctx context.Context) error {
	client, err := c.target.Cluster.Kubernetes()
	if err != nil {
		return err
	}
	all, err := record.ListIrreversible(ctx, client, placeOf(c.target))
	if err != nil {
		return err
	}
	for _, migration := range all {
		if reason := migration.Forbids(c.good); reason != "" {
			return c.refuse(reason)
		}
	}
	return nil
}

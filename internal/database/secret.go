// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// Labels and annotations of the Secrets, and the key with the whole connection URL.
const (
	LabelDatabase = "slipway.dev/database"
	labelRole     = "slipway.dev/database-role"
	labelManaged  = cluster.LabelManagedBy

	annotationVersion = "slipway.dev/password-version"
	annotationRecord  = "slipway.dev/database-record"

	// KeyURL is the key of the connection URL.
	KeyURL = "DATABASE_URL"

	keyPassword = "DB_PASSWORD"
)

// kind is which of the two roles a Secret is of.
type kind string

const (
	kindOwner kind = "owner"
	kindApp   kind = "app"
)

// credential is what one of the Secrets holds.
type credential struct {
	kind     kind
	secret   string
	role     string
	password string
}

// record is what an import needs and the server does not know. It holds no secret.
type record struct {
	Server    Server   `json:"server"`
	Pods      Address  `json:"pods"`
	Database  string   `json:"database"`
	Owner     string   `json:"ownerRole"`
	App       string   `json:"appRole"`
	Extension []string `json:"extensions,omitempty"`
}

// listSecrets returns the database's Secrets in the environment's namespace, by their names.
func listSecrets(
	ctx context.Context, c *cluster.Cluster, client kubernetes.Interface, h environment.Handle, database string,
) (map[string]*corev1.Secret, error) {
	list, err := client.CoreV1().Secrets(h.Namespace).List(ctx,
		metav1.ListOptions{LabelSelector: LabelDatabase + "=" + database + "," + environment.LabelClient + "=" + h.Client})
	if err != nil {
		return nil, c.Classify(fmt.Errorf("listing the Secrets of database %s: %w", database, err))
	}
	out := map[string]*corev1.Secret{}
	for i := range list.Items {
		out[list.Items[i].Name] = &list.Items[i]
	}
	return out, nil
}

// of returns the Secret of a kind, whatever it is called.
func of(secrets map[string]*corev1.Secret, k kind, name string) *corev1.Secret {
	if named := secrets[name]; named != nil && named.Labels[labelRole] == string(k) {
		return named
	}
	for _, secret := range secrets {
		if secret.Labels[labelRole] == string(k) {
			return secret
		}
	}
	return nil
}

// writeSecret makes a Secret what it is to be. live is nil where the list had none of the name.
func writeSecret(ctx context.Context, c *cluster.Cluster, client kubernetes.Interface, object, live *corev1.Secret) error {
	secrets := client.CoreV1().Secrets(object.Namespace)
	var err error
	switch {
	case live == nil:
		_, err = secrets.Create(ctx, object, metav1.CreateOptions{FieldManager: environment.FieldManager})
		if apierrors.IsAlreadyExists(err) {
			return errSecretForeign(object.Namespace, object.Name)
		}
	case live.Labels[labelRole] != object.Labels[labelRole]:
		return errSecretForeign(object.Namespace, object.Name)
	case sameSecret(live, object):
		return nil
	default:
		object.ResourceVersion = live.ResourceVersion
		_, err = secrets.Update(ctx, object, metav1.UpdateOptions{FieldManager: environment.FieldManager})
	}
	if err != nil {
		return c.Classify(fmt.Errorf("writing Secret %s/%s: %w", object.Namespace, object.Name, err))
	}
	return nil
}

func sameSecret(live, want *corev1.Secret) bool {
	return maps.EqualFunc(live.Data, want.Data, func(a, b []byte) bool { return string(a) == string(b) }) &&
		maps.Equal(live.Labels, want.Labels) && maps.Equal(live.Annotations, want.Annotations)
}

// removeSecret deletes a Secret. One that was there before Slipway stays, and loses what is Slipway's.
func removeSecret(ctx context.Context, c *cluster.Cluster, client kubernetes.Interface, live *corev1.Secret) error {
	if live.Annotations[annotationOrigin] == originAdopted {
		_, err := client.CoreV1().Secrets(live.Namespace).Update(ctx, letGo(live), metav1.UpdateOptions{FieldManager: environment.FieldManager})
		if err != nil && !cluster.IsNotFound(err) {
			return c.Classify(fmt.Errorf("giving up Secret %s/%s: %w", live.Namespace, live.Name, err))
		}
		return nil
	}
	err := client.CoreV1().Secrets(live.Namespace).Delete(ctx, live.Name,
		metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &live.UID}})
	if err != nil && !cluster.IsNotFound(err) {
		return c.Classify(fmt.Errorf("deleting Secret %s/%s: %w", live.Namespace, live.Name, err))
	}
	return nil
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package record

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Aborted reads whether the record has AnnotationAbort, and the reason. Errors as from cluster.Classify, also where
// there is no record.
func Aborted(ctx context.Context, client kubernetes.Interface, place Place) (reason string, aborted bool, err error) {
	found, err := client.CoreV1().ConfigMaps(place.Handle.Namespace).Get(ctx, place.Kind.Object(place.Name), metav1.GetOptions{})
	if err != nil {
		return "", false, place.Cluster.Classify(fmt.Errorf("reading the annotation %s of %s: %w", AnnotationAbort, place.Object(), err))
	}
	reason, aborted = found.Annotations[AnnotationAbort]
	if aborted && strings.TrimSpace(reason) == "" {
		reason = "no reason was given"
	}
	return shorten(reason, MaxReason), aborted, nil
}

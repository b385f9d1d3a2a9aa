// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package record

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// maxAbortReason is how many letters of the reason of an abort are used.
const maxAbortReason = 300

// Aborted reads whether somebody has put AnnotationAbort on the record, and the reason. Without a record nothing is aborted. Errors as
// from cluster.Classify.
func Aborted(ctx context.Context, client kubernetes.Interface, place Place) (reason string, aborted bool, err error) {
	found, err := client.CoreV1().ConfigMaps(place.Handle.Namespace).Get(ctx, place.Kind.Object(place.Name), metav1.GetOptions{})
	if err != nil {
		return "", false, place.Cluster.Classify(fmt.Errorf("reading the annotation %s of %s: %w", AnnotationAbort, place.Object(), err))
	}
	reason, aborted = found.Annotations[AnnotationAbort]
	if letters := []rune(reason); len(letters) > maxAbortReason {
		reason = string(letters[:maxAbortReason]) + "…"
	}
	return reason, aborted, nil
}

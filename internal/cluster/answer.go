// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// LacksRight reports a 403 for a missing right of the user. A 403 with which admission refuses an object is none.
func LacksRight(err error) bool {
	var forbidden *ForbiddenError
	return errors.As(Classify(err), &forbidden)
}

// AnswerText is the message of the API server where it answered, else the text of the error.
func AnswerText(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Message != "" {
		return status.Status().Message
	}
	return err.Error()
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

// Errors of this package, all used through errors.As:
//
//	*NoCoordinateError      neither context nor eks is set
//	*UnsupportedError       an eks coordinate (comes later)
//	*UnknownContextError    no such context; lists files read and contexts found
//	*UnknownConnectionError the connection's values are not known yet
//	*UnreachableError       no answer, or no TLS session: Host, Cause
//	*UnauthorizedError      401: expired or wrong credentials
//	*ForbiddenError         403: Verb, Resource, Namespace, User where known
//	*MismatchError          another cluster than recorded: Want, Got (UIDs)
//
// Classify turns any error of client-go or Helm into one of them, or returns it unchanged (NotFound, Invalid, Conflict
// keep their apierrors type).

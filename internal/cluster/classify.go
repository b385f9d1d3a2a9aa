// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// rbacRefusal matches the API server's text for a missing permission. Quota, Pod Security and admission policies also answer 403,
// with other texts: those are not missing permissions.
var rbacRefusal = regexp.MustCompile(`User "([^"]*)" cannot (\S+) (?:resource|path) "([^"]*)"(?: in API group "([^"]*)")?(?: in ` +
	`the namespace "([^"]*)")?`)

// Classify turns an error of client-go or Helm into an *UnreachableError, *UnauthorizedError or *ForbiddenError. All
// others are returned unchanged: NotFound, Invalid and Conflict keep their apierrors type, the end of a context stays
// what it is, and a 403 of an admission check is not a missing permission.
func Classify(err error) error {
	if err == nil || isOurs(err) {
		return err
	}
	if answered := classifyAnswer(err); answered != nil {
		return answered
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errNoAnswer) {
		return err
	}
	if isConnection(err) {
		// The method and the whole URL do not help a reader; the host does.
		host, cause := splitURL(err)
		if isCredentialFailure(cause) {
			return &UnauthorizedError{Host: host, Cause: cause}
		}
		return &UnreachableError{Host: host, Cause: cause}
	}
	return err
}

// IsNotFound reports that the API server itself answered that an object does not exist. A bare 404 page, as load balancers
// and proxies send for a cluster that is gone, is not that.
func IsNotFound(err error) bool {
	if !apierrors.IsNotFound(err) {
		return false
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details != nil && details.Name != "" && !hasCause(details, metav1.CauseTypeUnexpectedServerResponse)
}

// IsOutage reports that the API server does not answer, or fails (5xx): a trouble of the cluster, whatever was asked.
func IsOutage(err error) bool {
	if err = Classify(err); err == nil || isOurs(err) && !isUnreachable(err) {
		return false
	}
	var status apierrors.APIStatus
	return isUnreachable(err) || errors.As(err, &status) && status.Status().Code >= http.StatusInternalServerError
}

func isUnreachable(err error) bool {
	_, unreachable := errors.AsType[*UnreachableError](err)
	return unreachable
}

// IsTransient reports that the cluster could not be read (an outage, credentials not accepted, permission missing). The state keeps what
// was last read.
func IsTransient(err error) bool {
	if IsOutage(err) {
		return true
	}
	err = Classify(err)
	var (
		unauthorized *UnauthorizedError
		forbidden    *ForbiddenError
	)
	return errors.As(err, &unauthorized) || errors.As(err, &forbidden)
}

func isOurs(err error) bool {
	var gate *GateError
	_, explained := explain.As(err)
	return explained || errors.As(err, &gate)
}

// classifyAnswer classifies the status that a server answered. It returns nil for an error that needs no classification.
func classifyAnswer(err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return nil
	}
	code := int(status.Status().Code)
	switch {
	case apierrors.IsUnauthorized(err):
		return &UnauthorizedError{Cause: err}
	case apierrors.IsForbidden(err):
		found := rbacRefusal.FindStringSubmatch(err.Error())
		if found == nil {
			return nil
		}
		resource := found[3]
		if found[4] != "" {
			resource += "." + found[4]
		}
		return &ForbiddenError{User: found[1], Verb: found[2], Resource: resource, Namespace: found[5], Cause: err}
	case apierrors.IsServiceUnavailable(err), apierrors.IsServerTimeout(err), apierrors.IsTimeout(err), apierrors.IsTooManyRequests(err),
		code == http.StatusBadGateway, code == http.StatusGatewayTimeout:
		return &UnreachableError{Cause: err}
	case apierrors.IsNotFound(err):
		if details := status.Status().Details; details != nil && hasCause(details, metav1.CauseTypeUnexpectedServerResponse) {
			return &UnreachableError{Cause: errors.New("something answered 404 that is not a Kubernetes API server: " + err.Error())}
		}
	}
	return nil
}

func hasCause(details *metav1.StatusDetails, cause metav1.CauseType) bool {
	for _, c := range details.Causes {
		if c.Type == cause {
			return true
		}
	}
	return false
}

// isConnection reports that err comes from below HTTP. Helm hides causes behind text, so the text is checked, too.
func isConnection(err error) bool {
	var (
		urlError    *url.Error
		netError    net.Error
		record      tls.RecordHeaderError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		hostname    x509.HostnameError
		invalid     x509.CertificateInvalidError
	)
	if errors.As(err, &urlError) || errors.As(err, &netError) || errors.As(err, &record) || errors.As(err, &certificate) ||
		errors.As(err, &authority) || errors.As(err, &hostname) || errors.As(err, &invalid) || errors.Is(err, errNoAnswer) ||
		errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	text := err.Error()
	for _, sign := range []string{
		"Kubernetes cluster unreachable", "connection refused", "no such host", "i/o timeout", "no route to host",
		"network is unreachable", "connection reset by peer", "TLS handshake timeout", "getting credentials:",
		"http2: client connection lost", "x509: ",
	} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// isCredentialFailure recognizes client-go's text for a failed credential plugin; client-go has no type for it.
func isCredentialFailure(err error) bool {
	return strings.Contains(err.Error(), "getting credentials:")
}

func splitURL(err error) (host string, cause error) {
	var urlError *url.Error
	if !errors.As(err, &urlError) {
		return "", err
	}
	if parsed, parseErr := url.Parse(urlError.URL); parseErr == nil {
		host = parsed.Host
	}
	return host, urlError.Err
}

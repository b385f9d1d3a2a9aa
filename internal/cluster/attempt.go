// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

// fate says what became of an attempt.
type fate int

const (
	// settled: the answer counts, or the failure lasts.
	settled fate = iota
	// unhandled: the server has certainly not carried it out.
	unhandled
	// unknown: the server may have carried it out.
	unknown
)

// attempt is the end of one attempt. A response has its whole body, unless it is a watch's.
type attempt struct {
	fate     fate
	response *http.Response
	err      error
}

func (a attempt) text() string {
	if a.err != nil {
		return plainly(a.err)
	}
	return fmt.Sprintf("HTTP %d (%s)", a.response.StatusCode, http.StatusText(a.response.StatusCode))
}

// auditID is a header of each answer of an API server, also of those that it passes on from services. Where it is missing, something in
// front of the API server has answered.
const auditID = "Audit-Id"

// fateOf tells what fails for a moment from what lasts.
func fateOf(request *http.Request, response *http.Response, err error) fate {
	if err != nil {
		if request.Context().Err() != nil {
			return settled
		}
		return fateOfConnection(err)
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests:
		return unhandled
	case http.StatusServiceUnavailable:
		// The API server says with Retry-After that it has not begun; a proxy in front of it says nothing.
		if response.Header.Get("Retry-After") != "" {
			return unhandled
		}
		return unknown
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return unknown
	}
	return settled
}

// fateOfConnection is settled for what is wrong with an address, a certificate or the credentials.
func fateOfConnection(err error) fate {
	if _, file := errors.AsType[*fs.PathError](err); file || isCredentialFailure(err) {
		return settled
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		if name.IsNotFound {
			return settled
		}
		return unhandled
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		switch operation.Op {
		case "dial", "proxyconnect":
			return unhandled
		case "remote error", "local error": // TLS
			return settled
		}
		return unknown
	}
	if _, ok := errors.AsType[syscall.Errno](err); ok || errors.Is(err, errNoAnswer) || errors.Is(err, errCutOff) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return unknown
	}
	text := err.Error()
	if strings.Contains(text, "TLS handshake timeout") {
		return unhandled
	}
	for _, sign := range []string{
		"http2: ", "stream error: ", "http: server closed idle connection", "connection broken", "broken connection", "malformed HTTP",
		"unexpected EOF",
	} {
		if strings.Contains(text, sign) {
			return unknown
		}
	}
	return settled
}

var errCutOff = errors.New("the answer was cut off")

// receive reads the whole answer.
func receive(response *http.Response) error {
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // It was read to its end, or failed.
	if err != nil {
		return err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	if !complete(response.Header.Get("Content-Type"), body) {
		return errCutOff
	}
	return nil
}

// protobufPrefix begins each object of Kubernetes in protobuf.
var protobufPrefix = []byte("k8s\x00")

// complete reports that an answer is whole, as far as its form shows: a proxy may cut an answer off and end it properly.
func complete(contentType string, body []byte) bool {
	switch {
	case len(body) == 0:
		return true
	case strings.HasPrefix(contentType, "application/json"):
		return json.Valid(body)
	case strings.HasPrefix(contentType, runtime.ContentTypeProtobuf) && bytes.HasPrefix(body, protobufPrefix):
		return (&runtime.Unknown{}).Unmarshal(body[len(protobufPrefix):]) == nil
	}
	return true
}

// OutageError means that a request was repeated for as long as it may take, and never answered. It hides its cause from errors.As:
// client-go would take it for a failure of the moment and begin anew.
type OutageError struct {
	Tried    time.Duration
	Attempts int
	// Cause is what the newest attempt ended with.
	Cause string
}

func (e *OutageError) Error() string { return e.Cause + " " + tried(e.Attempts, e.Tried) }

func tried(attempts int, during time.Duration) string {
	return fmt.Sprintf("(tried %d times in %s)", attempts, during.Round(100*time.Millisecond))
}

// plainly is the text of a failure in words that client-go does not look for: it repeats reads for them.
func plainly(err error) string {
	text := err.Error()
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // Only the bare ones have no text.
		text = "the connection was closed before the end of the answer"
	}
	for words, replacement := range map[string]string{
		"connection reset by peer":                            "the connection was reset",
		"use of closed network connection":                    "the connection was closed",
		"http2: server sent GOAWAY and closed the connection": "the server closed the connection",
		"http2: client connection lost":                       "the connection was lost",
		"http: can't write HTTP request on broken connection": "the connection was broken",
	} {
		text = strings.ReplaceAll(text, words, replacement)
	}
	return text
}

// addToMessage adds to the message of a refusal.
func addToMessage(response *http.Response, text string) {
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return // It is in memory.
	}
	status := metav1.Status{}
	switch decoded, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil); {
	case err == nil:
		if found, ok := decoded.(*metav1.Status); ok {
			status = *found
		}
	case len(body) > 0 && len(body) < 2048 && bytes.IndexByte(body, 0) < 0:
		status.Message = strings.TrimSpace(string(body))
	}
	if status.Message == "" {
		status.Message = fmt.Sprintf("the server answers HTTP %d", response.StatusCode)
	}
	if status.Reason == "" {
		status.Reason = reasonOf(response.StatusCode)
	}
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	status.Status, status.Code = metav1.StatusFailure, int32(response.StatusCode) //nolint:gosec // It has three digits.
	status.Message += " " + text
	answerWith(response, response.StatusCode, status)
}

func reasonOf(code int) metav1.StatusReason {
	switch code {
	case http.StatusTooManyRequests:
		return metav1.StatusReasonTooManyRequests
	case http.StatusServiceUnavailable:
		return metav1.StatusReasonServiceUnavailable
	case http.StatusGatewayTimeout:
		return metav1.StatusReasonTimeout
	case http.StatusInternalServerError:
		return metav1.StatusReasonInternalError
	}
	return metav1.StatusReasonUnknown
}

// answerWith replaces what a response says.
func answerWith(response *http.Response, code int, content any) {
	body, err := json.Marshal(content)
	if err != nil {
		return // Everything that is passed here was decoded before.
	}
	response.StatusCode, response.Status = code, strconv.Itoa(code)+" "+http.StatusText(code)
	response.Header.Set("Content-Type", "application/json")
	response.Header.Set("Content-Length", strconv.Itoa(len(body)))
	response.Header.Del("Content-Encoding")
	response.ContentLength = int64(len(body))
	response.Body = io.NopCloser(bytes.NewReader(body))
}

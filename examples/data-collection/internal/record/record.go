// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package record defines records and their validation.
package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// MaxSourceLength is the longest source, in bytes.
const MaxSourceLength = 100

var sourcePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Record is one record as it is stored. ID and ReceivedAt are given by the store.
type Record struct {
	ID         int64           `json:"id"`
	Source     string          `json:"source"`
	Payload    json.RawMessage `json:"payload"`
	ReceivedAt time.Time       `json:"received_at"`
}

// InvalidError is why a record is refused. Its text is for the sender.
type InvalidError struct {
	Reason string
}

func (e *InvalidError) Error() string { return e.Reason }

func invalidf(format string, args ...any) error {
	return &InvalidError{Reason: fmt.Sprintf(format, args...)}
}

// Decode reads one record from JSON text and validates it. Anything wrong with the text is an *InvalidError; a failure
// to read it is returned as it is.
func Decode(r io.Reader) (Record, error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return Record{}, fmt.Errorf("reading the record: %w", err)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return Record{}, invalidf("the request has no body; send a record such as {\"source\": \"sensor-1\", \"payload\": {}}")
	}

	var in struct {
		Source  *string         `json:"source"`
		Payload json.RawMessage `json:"payload"`
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return Record{}, invalidf("the record is not valid: %s", describe(err))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Record{}, invalidf("the request holds more than one JSON value; send one record")
	}
	if in.Source == nil {
		return Record{}, invalidf("source is missing")
	}

	rec := Record{Source: *in.Source, Payload: in.Payload}
	if err := Validate(rec); err != nil {
		return Record{}, err
	}
	return rec, nil
}

// Validate reports whether a record can be stored. Its error is an *InvalidError.
func Validate(rec Record) error {
	switch {
	case rec.Source == "":
		return invalidf("source is empty")
	case len(rec.Source) > MaxSourceLength:
		return invalidf("source has %d bytes, at most %d are allowed", len(rec.Source), MaxSourceLength)
	case !sourcePattern.MatchString(rec.Source):
		return invalidf("source %q has characters other than letters, digits, \".\", \"_\" and \"-\", or does not start with a letter or digit",
			rec.Source)
	case len(rec.Payload) == 0:
		return invalidf("payload is missing")
	}

	var payload map[string]any
	decoder := json.NewDecoder(bytes.NewReader(rec.Payload))
	decoder.UseNumber()
	if err := decoder.Decode(&payload); err != nil || payload == nil {
		return invalidf("payload is not a JSON object")
	}
	if hasNUL(payload) {
		return invalidf("payload has a NUL character (\\u0000), which PostgreSQL cannot store")
	}
	return nil
}

// describe turns an error of encoding/json into words without Go's types in them.
func describe(err error) string {
	var (
		syntax   *json.SyntaxError
		wrong    *json.UnmarshalTypeError
		unknown  = strings.TrimPrefix(err.Error(), "json: unknown field ")
		isNotOne = unknown == err.Error()
	)
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("%s at byte %d", syntax.Error(), syntax.Offset)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON text ends early"
	case errors.As(err, &wrong) && wrong.Field == "":
		return fmt.Sprintf("it is a JSON %s, an object is needed", wrong.Value)
	case errors.As(err, &wrong):
		return fmt.Sprintf("%s is a JSON %s", wrong.Field, wrong.Value)
	case !isNotOne:
		return fmt.Sprintf("unknown field %s; a record has source and payload", unknown)
	default:
		return err.Error()
	}
}

func hasNUL(value any) bool {
	switch v := value.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case []any:
		for _, item := range v {
			if hasNUL(item) {
				return true
			}
		}
	case map[string]any:
		for key, item := range v {
			if strings.ContainsRune(key, 0) || hasNUL(item) {
				return true
			}
		}
	}
	return false
}

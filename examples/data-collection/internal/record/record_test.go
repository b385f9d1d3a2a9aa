// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package record

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestDecode_TakesARecord(t *testing.T) {
	rec, err := Decode(strings.NewReader(` {"source": "sensor-1.a_B", "payload": {"n": 12345678901234567890, "list": [null, "é"]}} `))
	if err != nil {
		t.Fatal(err)
	}
	if rec.Source != "sensor-1.a_B" || string(rec.Payload) != `{"n": 12345678901234567890, "list": [null, "é"]}` {
		t.Errorf("got %q %s", rec.Source, rec.Payload)
	}
}

func TestDecode_ExplainsMistakes(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"nothing":              {"", "no body"},
		"blanks":               {" \n", "no body"},
		"cut off":              {`{"source": "a"`, "ends early"},
		"not JSON":             {`source=a`, "invalid character 's' looking for beginning of value at byte 1"},
		"not an object":        {`[1]`, "it is a JSON array, an object is needed"},
		"two records":          {`{"source":"a","payload":{}}{}`, "more than one JSON value"},
		"text after it":        {`{"source":"a","payload":{}} x`, "more than one JSON value"},
		"unknown field":        {`{"source":"a","payload":{},"id":1}`, `unknown field "id"`},
		"no source":            {`{"payload":{}}`, "source is missing"},
		"null source":          {`{"source":null,"payload":{}}`, "source is missing"},
		"empty source":         {`{"source":"","payload":{}}`, "source is empty"},
		"number as source":     {`{"source":1,"payload":{}}`, "source is a JSON number"},
		"bad source":           {`{"source":"a b","payload":{}}`, "characters other than"},
		"line break in source": {`{"source":"a\n","payload":{}}`, "characters other than"},
		"long source":          {`{"source":"` + strings.Repeat("a", 101) + `","payload":{}}`, "101 bytes, at most 100"},
		"no payload":           {`{"source":"a"}`, "payload is missing"},
		"null payload":         {`{"source":"a","payload":null}`, "payload is not a JSON object"},
		"list as payload":      {`{"source":"a","payload":[]}`, "payload is not a JSON object"},
		"NUL in the payload":   {`{"source":"a","payload":{"x":[{"y":"\u0000"}]}}`, "NUL"},
		"NUL in a key":         {`{"source":"a","payload":{"x\u0000":1}}`, "NUL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(strings.NewReader(test.body))
			var invalid *InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(invalid.Reason, test.want) {
				t.Errorf("got error %v, want an InvalidError with %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "Go ") {
				t.Errorf("the text is not for the sender of a record: %v", err)
			}
		})
	}
}

func TestDecode_ReturnsAFailureToReadAsItIs(t *testing.T) {
	_, err := Decode(iotest.ErrReader(io.ErrClosedPipe))
	var invalid *InvalidError
	if !errors.Is(err, io.ErrClosedPipe) || errors.As(err, &invalid) {
		t.Errorf("got error %v, want the reader's", err)
	}
}

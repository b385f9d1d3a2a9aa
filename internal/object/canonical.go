// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Canonical is the canonical JSON of a value: sorted keys, no insignificant space, integral numbers as integers (1.0 and
// 1 are the same, and no digit of a large integer is lost). The error names a type that has no JSON, or a number that is
// not finite.
func Canonical(v any) (string, error) {
	var out bytes.Buffer
	if err := writeCanonical(&out, v); err != nil {
		return "", fmt.Errorf("cannot write canonical JSON: %w", err)
	}
	return out.String(), nil
}

// Digest of an object set: "c1:sha256:<hex>" over sorted keys and canonical JSON. "c1" names this canonicalization.
func Digest(objects map[Key]string) string {
	keys := make([]Key, 0, len(objects))
	for key := range objects {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	sum := sha256.New()
	for _, key := range keys {
		// The lengths separate the key from the object.
		_, _ = fmt.Fprintf(sum, "%d:%s%d:%s", len(key), key, len(objects[key]), objects[key]) // a hash never fails
	}
	return "c1:sha256:" + hex.EncodeToString(sum.Sum(nil))
}

func writeCanonical(out *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case nil:
		out.WriteString("null")
	case bool:
		out.WriteString(strconv.FormatBool(v))
	case string:
		return writeString(out, v)
	case json.Number:
		if !validNumber(v.String()) {
			return fmt.Errorf("%q is no number", v.String())
		}
		out.WriteString(canonicalNumber(v.String()))
	case int64:
		out.WriteString(strconv.FormatInt(v, 10))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%v is no JSON number", v)
		}
		out.WriteString(canonicalFloat(v))
	case map[string]any:
		return writeObject(out, v)
	case []any:
		return writeArray(out, v)
	default:
		return writeOther(out, v)
	}
	return nil
}

func writeObject(out *bytes.Buffer, v map[string]any) error {
	keys := make([]string, 0, len(v))
	for key := range v {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	out.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := writeString(out, key); err != nil {
			return err
		}
		out.WriteByte(':')
		if err := writeCanonical(out, v[key]); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	out.WriteByte('}')
	return nil
}

func writeArray(out *bytes.Buffer, v []any) error {
	out.WriteByte('[')
	for i, value := range v {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := writeCanonical(out, value); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	out.WriteByte(']')
	return nil
}

// writeOther encodes, by their own JSON, the types that Go code puts into objects and a parser does not ([]string, int, structs).
func writeOther(out *bytes.Buffer, v any) error {
	if reflect.TypeOf(v).Kind() == reflect.Func || reflect.TypeOf(v).Kind() == reflect.Chan {
		return fmt.Errorf("a %T has no JSON", v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var plain any
	if err := decoder.Decode(&plain); err != nil {
		return err
	}
	return writeCanonical(out, plain)
}

func writeString(out *bytes.Buffer, v string) error {
	encoder := json.NewEncoder(out)
	// Terraform shows the text to people: "&&" in a command stays "&&".
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // the line feed that Encode adds
	return nil
}

func canonicalFloat(f float64) string {
	return canonicalNumber(strconv.FormatFloat(f, 'e', -1, 64))
}

func validNumber(text string) bool {
	return json.Valid([]byte(text)) && text != "" && (text[0] == '-' || (text[0] >= '0' && text[0] <= '9'))
}

// maxPlainDigits is the limit of digits for a number without an exponent.
const maxPlainDigits = 40

// canonicalNumber rewrites a JSON number so that equal numbers are equal text, in decimal and thus without rounding:
// plain digits up to maxPlainDigits places on either side of the point, else one digit, fraction and exponent.
func canonicalNumber(text string) string {
	sign := ""
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		sign, text = "-", rest
	}
	mantissa, exponentText, hasExponent := strings.Cut(strings.ToLower(text), "e")
	exponent := 0
	if hasExponent {
		parsed, err := strconv.Atoi(exponentText)
		if err != nil || parsed > math.MaxInt32 || parsed < math.MinInt32 {
			return sign + text // an exponent beyond 32 bits: no realistic number
		}
		exponent = parsed
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	// The value is 0.digits × 10^point.
	point := len(whole) + exponent
	stripped := strings.TrimLeft(digits, "0")
	point -= len(digits) - len(stripped)
	digits = strings.TrimRight(stripped, "0")
	switch {
	case digits == "":
		return "0"
	case point >= len(digits) && point <= maxPlainDigits:
		return sign + digits + strings.Repeat("0", point-len(digits))
	case point > 0 && point < len(digits):
		return sign + digits[:point] + "." + digits[point:]
	case point <= 0 && point > -6:
		return sign + "0." + strings.Repeat("0", -point) + digits
	}
	out := sign + digits[:1]
	if len(digits) > 1 {
		out += "." + digits[1:]
	}
	return out + "e" + strconv.Itoa(point-1)
}

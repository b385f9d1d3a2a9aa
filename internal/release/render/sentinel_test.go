// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

const oneLineKey = `-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n`

var sampleSecrets = []string{
	"a", "0", "9", "hunter2", "ZZZ", "deadbeef", "DEADBEEF01", "postgres://u:p@h:5432/d?sslmode=require", "0000000000",
	strings.Repeat("z9", 40), oneLineKey, "-----BEGIN X-----\nMIIE\n-----END X-----\n", `{"user":"root","port":5432}`, "Straße-ÄÖÜ-пароль-密碼",
	"!@#$%^&*()", "JBSWY3DPEHPK3PXP", "a b\tc\n", "\xff\xfe\x00abc", "user: root\npassword: hunter2\n",
}

func testSentinels(variant int) *sentinels {
	return &sentinels{public: &publicText{marks: map[rune]bool{}}, variant: variant}
}

func TestSentinel_DiffersFromTheSecretInEachCharacter(t *testing.T) {
	t.Parallel()
	for _, secret := range sampleSecrets {
		for variant := 1; variant <= 20; variant++ {
			s := testSentinels(variant)
			got := everyCharacter.text(s, secret, newDice(variant, secret))
			if len(got) != len(secret) {
				t.Errorf("the sentinel of %q has another length: %q", secret, got)
				continue
			}
			for i := 0; i < len(secret); {
				r, size := utf8.DecodeRuneInString(secret[i:])
				other, _ := utf8.DecodeRuneInString(got[i:])
				if sameLetter(r, other) && !unicode.IsSpace(r) && !unicode.IsControl(r) && (r != utf8.RuneError || secret[i] == got[i]) {
					t.Errorf("the sentinel of %q keeps %q: %q", secret, r, got)
				}
				i += size
			}
		}
	}
}

func TestSentinel_OfAWholeFormSharesNoPartWithTheSecret(t *testing.T) {
	t.Parallel()
	for _, secret := range sampleSecrets {
		for n, f := range append(wholeForms, longer) {
			shared := map[string]bool{}
			for variant := 1; variant <= variants; variant++ {
				s := testSentinels(variant)
				got := strings.ToLower(f.text(s, secret, newDice(variant, secret)))
				lower := strings.ToLower(secret)
				here := map[string]bool{}
				for i := range len(lower) - minPart + 1 {
					part := lower[i : i+minPart]
					if strings.ContainsFunc(part, isWordCharacter) && strings.Contains(got, part) && (variant == 1 || shared[part]) {
						here[part] = true
					}
				}
				shared = here
			}
			if len(shared) > 0 {
				t.Errorf("form %d of %q keeps %v", n, secret, shared)
			}
		}
	}
}

func TestSentinel_VariantsAndLeavesDiffer(t *testing.T) {
	t.Parallel()
	of := func(variant int, path string) string {
		return everyCharacter.text(testSentinels(variant), "the same secret 1234", newDice(variant, path))
	}
	if of(1, "a") == of(2, "a") || of(1, "a") == of(1, "b") {
		t.Error("two sentinels are the same")
	}
	if first, second := of(1, "a"), of(1, "a"); first != second {
		t.Error("a sentinel differs from itself")
	}
}

func TestSentinel_KeepsTheStructure(t *testing.T) {
	t.Parallel()
	structured := func(secret string) string { return withStructure.text(testSentinels(1), secret, newDice(1, secret)) }

	var v map[string]any
	text := structured(`{"user":"root","port":5432,"tls":true,"list":["x-1"]}`)
	if err := json.Unmarshal([]byte(text), &v); err != nil || len(v) != 4 || v["user"] != nil || strings.Contains(text, "root") {
		t.Errorf("JSON is %s (%v)", text, err)
	}
	text = structured("postgres://orders:p%40ss@db.internal:5432/orders?sslmode=require")
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Port() == "" || u.User == nil || u.RawQuery == "" || strings.Contains(text, "orders") {
		t.Errorf("the URL is %s (%v)", text, err)
	}
	text = structured(base64.StdEncoding.EncodeToString([]byte(`{"user":"root"}`)))
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(decoded, &v) != nil || strings.Contains(string(decoded), "root") {
		t.Errorf("base64 is %s: %s (%v)", text, decoded, err)
	}
}

func TestSentinel_NumbersKeepTypeAndDigits(t *testing.T) {
	t.Parallel()
	s := testSentinels(1)
	for _, v := range []any{int64(73451987), 5432, 12.75, json.Number("12345678901234567890"), int64(9223372036854775807), int64(-12)} {
		got := s.leaf(v, everyCharacter, newDice(1, "n"))
		before, after := textOf(v), textOf(got)
		if len(before) != len(after) {
			t.Errorf("%v (%T) became %v (%T)", v, v, got, got)
			continue
		}
		for i := range before {
			if unicode.IsDigit(rune(before[i])) && before[i] == after[i] {
				t.Errorf("%s keeps a digit: %s", before, after)
			}
		}
	}
	if got := s.leaf(true, everyCharacter, newDice(1, "n")); got != false {
		t.Errorf("true became %v", got)
	}
}

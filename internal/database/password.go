// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
)

const (
	// PostgreSQL's own.
	scramIterations = 4096
	scramSaltBytes  = 16
)

// ourPassword recognizes what newPassword makes, so that what a hand wrote into a Secret is not taken for a password.
var ourPassword = regexp.MustCompile(`^[A-Z2-7]{26}-[A-Z2-7]{26}$`)

// newPassword has 256 bits, in letters that need no quoting in URLs and shells.
func newPassword() string { return rand.Text() + "-" + rand.Text() }

// verifier is what PostgreSQL stores of a password (SCRAM-SHA-256). Made here, the password itself is in no statement, and so
// in no log of the server. The password must be ASCII.
func verifier(password string) (string, error) {
	salt := make([]byte, scramSaltBytes)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("making a salt: %w", err)
	}
	return verifierWith(password, salt)
}

func verifierWith(password string, salt []byte) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("deriving the key of a password: %w", err)
	}
	sign := func(text string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(sign("Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, encode(salt), encode(stored[:]), encode(sign("Server Key"))), nil
}

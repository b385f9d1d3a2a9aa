// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package database makes a client's PostgreSQL database on a server that is there: an owner role for migrations, a role for the
// application, nobody else's, and the credentials of both in Secrets of the client's namespace.
package database

import (
	"cmp"
	"regexp"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// Server is a PostgreSQL server as an administrator reaches it. It holds no credential.
type Server struct {
	Host string
	Port int64
	// SSLMode is one of SSLModes.
	SSLMode string
	// CACertificate is what the server's certificate is checked against, in PEM. Empty: those of the system.
	CACertificate string
	AdminUser     string
	// AdminDatabase is a database that is always there.
	AdminDatabase string
}

// SSLModes are what Server.SSLMode may be, as libpq has them; without those that fall back to no encryption.
var SSLModes = []string{"disable", "require", "verify-ca", "verify-full"}

// Defaults of a Server.
const (
	DefaultSSLMode       = "verify-full"
	DefaultAdminUser     = "postgres"
	DefaultAdminDatabase = "postgres"
)

// Unlimited is a connection limit.
const Unlimited = -1

// Address is how pods reach the server.
type Address struct {
	Host    string
	Port    int64
	SSLMode string
}

// Spec is what a database is to be.
type Spec struct {
	Handle environment.Handle
	Server Server
	Name   string
	// OwnerRole owns the database and all that migrations make in it. AppRole uses it.
	OwnerRole string
	AppRole   string
	// OwnerSecret and AppSecret are the Secrets in the environment's namespace.
	OwnerSecret string
	AppSecret   string
	Pods        Address
	// ConnectionLimit is for all roles but superusers. Unlimited: none.
	ConnectionLimit int64
	// Extensions are made where they are missing, and never removed.
	Extensions []string
	// PasswordVersion is part of what the Secrets carry: another one means new passwords.
	PasswordVersion int64
	// Adopt allows to take over a database and roles that carry nobody's mark.
	Adopt bool
}

// Names of databases and roles leave room for a suffix in PostgreSQL's 63 bytes, and are values of labels.
var namePattern = regexp.MustCompile(`^[a-z]([a-z0-9_-]{0,54}[a-z0-9])?$`)

// NameRule says what ValidName accepts.
const NameRule = "must be at most 56 lower-case letters, digits, hyphens and underscores, beginning with a letter and not " +
	"ending with a sign"

// ValidName reports that a database may be called so.
func ValidName(name string) bool {
	return namePattern.MatchString(name) && name != "postgres" && name != "template0" && name != "template1"
}

// ValidRole reports that a role may be called so. PostgreSQL keeps names that begin with pg_ for itself.
func ValidRole(name string) bool {
	return len(name) <= 63 && rolePattern.MatchString(name) && !reservedRole.MatchString(name)
}

var (
	rolePattern  = regexp.MustCompile(`^[a-z_]([a-z0-9_-]*[a-z0-9_])?$`)
	reservedRole = regexp.MustCompile(`^(pg_.*|public|none|postgres)$`)
)

// withDefaults fills in what may be left empty.
func (s Spec) withDefaults() Spec {
	s.Server = s.Server.withDefaults()
	s.Pods.Host = cmp.Or(s.Pods.Host, s.Server.Host)
	s.Pods.Port = cmp.Or(s.Pods.Port, s.Server.Port)
	if s.Pods.SSLMode == "" {
		// The authority that signed the server's certificate is not in the pods.
		s.Pods.SSLMode = "require"
		if s.Server.SSLMode == "disable" {
			s.Pods.SSLMode = "disable"
		}
	}
	return s
}

func (s Server) withDefaults() Server {
	s.Port = cmp.Or(s.Port, environment.DefaultDatabasePort)
	s.SSLMode = cmp.Or(s.SSLMode, DefaultSSLMode)
	s.AdminUser = cmp.Or(s.AdminUser, DefaultAdminUser)
	s.AdminDatabase = cmp.Or(s.AdminDatabase, DefaultAdminDatabase)
	return s
}

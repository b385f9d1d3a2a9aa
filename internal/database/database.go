// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package database makes a client's PostgreSQL database on a server that is there: an owner role for migrations, a role for the
// application, nobody else's, and the credentials of both in Secrets of the client's namespace.
package database

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/postgres"
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
	// Adopt allows to take over a database and roles that no comment assigns to anybody.
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

func (s Spec) record() (string, error) {
	text, err := json.Marshal(record{
		Server: s.Server, Pods: s.Pods, Database: s.Name, Owner: s.OwnerRole, App: s.AppRole, Extension: s.Extensions,
	})
	return string(text), err
}

// credentials are the owner's and the application's, without passwords.
func (s Spec) credentials() []*credential {
	return []*credential{
		{kind: kindOwner, secret: s.OwnerSecret, role: s.OwnerRole},
		{kind: kindApp, secret: s.AppSecret, role: s.AppRole},
	}
}

// data has the keys that the runner of migrations and most services read.
func (s Spec) data(c credential) map[string]string {
	port := strconv.FormatInt(s.Pods.Port, 10)
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(c.role, c.password), Host: net.JoinHostPort(s.Pods.Host, port), Path: "/" + s.Name,
		RawQuery: url.Values{"sslmode": {s.Pods.SSLMode}}.Encode(),
	}
	return map[string]string{
		KeyURL: u.String(), "DB_HOST": s.Pods.Host, "DB_PORT": port, "DB_NAME": s.Name, "DB_USER": c.role, keyPassword: c.password,
		"DB_SSLMODE": s.Pods.SSLMode,
	}
}

func (s Spec) secretObject(c credential, instance string) (*corev1.Secret, error) {
	about, err := s.record()
	if err != nil {
		return nil, fmt.Errorf("describing database %s: %w", s.Name, err)
	}
	object := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: c.secret, Namespace: s.Handle.Namespace,
			Labels: map[string]string{
				environment.LabelClient: s.Handle.Client, environment.LabelStage: s.Handle.Stage, labelManaged: environment.FieldManager,
				LabelDatabase: s.Name, labelRole: string(c.kind),
			},
			Annotations: map[string]string{
				environment.AnnotationInstance: instance, annotationVersion: strconv.FormatInt(s.PasswordVersion, 10), annotationRecord: about,
			},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{},
	}
	for key, value := range s.data(c) {
		object.Data[key] = []byte(value)
	}
	return object, nil
}

func (s Server) withDefaults() Server {
	s.Port = cmp.Or(s.Port, environment.DefaultDatabasePort)
	s.SSLMode = cmp.Or(s.SSLMode, DefaultSSLMode)
	s.AdminUser = cmp.Or(s.AdminUser, DefaultAdminUser)
	s.AdminDatabase = cmp.Or(s.AdminDatabase, DefaultAdminDatabase)
	return s
}

// address is for messages.
func (s Server) address() string { return net.JoinHostPort(s.Host, strconv.FormatInt(s.Port, 10)) }

// connect opens a session. Errors: *UnreachableError, *LoginError, *NoDatabaseError.
func (s Server) connect(ctx context.Context, user, password, database string) (*pgx.Conn, error) {
	s = s.withDefaults()
	config, err := pgx.ParseConfig("sslmode=" + s.SSLMode + " sslrootcert='' host=" + quoteSetting(s.Host))
	if err != nil {
		return nil, fmt.Errorf("the settings of the connection to %s: %w", s.address(), err)
	}
	port, err := strconv.ParseUint(strconv.FormatInt(s.Port, 10), 10, 16)
	if err != nil {
		return nil, fmt.Errorf("the port of the server: %w", err)
	}
	config.Port, config.User, config.Password, config.Database = uint16(port), user, password, database
	config.ConnectTimeout = connectTimeout
	config.Fallbacks = nil
	if s.CACertificate != "" && config.TLSConfig != nil {
		config.TLSConfig.RootCAs = x509.NewCertPool()
		if !config.TLSConfig.RootCAs.AppendCertsFromPEM([]byte(s.CACertificate)) {
			return nil, errors.New("ca_certificate holds no certificate in PEM")
		}
	}
	config.RuntimeParams = map[string]string{
		"application_name": applicationName,
		// What a client made in its own database must not be found by an administrator's statement there.
		"search_path":                 "pg_catalog",
		"standard_conforming_strings": "on",
		"client_encoding":             "UTF8",
		"lock_timeout":                strconv.FormatInt(lockTimeout.Milliseconds(), 10),
	}
	var conn *pgx.Conn
	effort, err := postgres.Patiently(ctx, func() (err error) {
		conn, err = pgx.ConnectConfig(ctx, config)
		return err
	})
	if err == nil {
		return conn, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("connecting to PostgreSQL at %s: %w", s.address(), context.Cause(ctx))
	}
	refused, answered := errors.AsType[*pgconn.PgError](err)
	switch {
	case answered && refused.Code == stateNoDatabase:
		return nil, &NoDatabaseError{Database: database, Address: s.address()}
	case answered && slices.Contains([]string{stateInvalidPassword, stateInvalidAuthorization, stateInsufficientPrivilege, stateNotOpen},
		refused.Code):
		return nil, &LoginError{
			User: user, Database: database, Address: s.address(), Reason: refused.Message,
			Password: refused.Code == stateInvalidPassword, Closed: refused.Code == stateNotOpen,
			Elsewhere: refused.Code == stateInvalidAuthorization && strings.Contains(refused.Message, "pg_hba.conf"),
		}
	case answered:
		return nil, &UnreachableError{Address: s.address(), Cause: errors.New(refused.Message + effort)}
	}
	return nil, &UnreachableError{Address: s.address(), Cause: fmt.Errorf("%w%s", rootCause(err), effort)}
}

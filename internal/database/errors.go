// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"errors"
	"fmt"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// UnreachableError means that the server could not be asked.
type UnreachableError struct {
	Address string
	Cause   error
}

// Explain implements the explanation that diagnostics print.
func (e *UnreachableError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("PostgreSQL at %s cannot be reached.", e.Address), fmt.Sprintf("The connection failed: %v.", e.Cause),
		"Check server.host and server.port, and that this machine may connect: databases are made from where Terraform runs. Where " +
			"the certificate is " +
			"refused, set server.ca_certificate to the authority that signed it, or server.sslmode."
}

func (e *UnreachableError) Error() string { return explain.Text(e.Explain()) }
func (e *UnreachableError) Unwrap() error { return e.Cause }

// LoginError means that the server does not let a role in.
type LoginError struct {
	User, Database, Address string
	// Reason is what the server says.
	Reason string
	// Password reports that it is the password that is not accepted, or that there is no such role: servers do not report which.
	Password bool
	// Closed reports that the database takes no connections from anybody.
	Closed bool
	// Elsewhere reports that the server does not want the role from this address.
	Elsewhere bool
}

// Explain implements the explanation that diagnostics print.
func (e *LoginError) Explain() (happened, observed, advice string) {
	advice = "Check the role's rights and the server's pg_hba.conf."
	if e.Password {
		advice = "Check server.admin_user and its password: admin_password_wo, the Secret of server.admin_password_secret, or the " +
			"variable that server.admin_password_variable names."
	}
	return fmt.Sprintf("PostgreSQL at %s does not let role %q into database %q.", e.Address, e.User, e.Database),
		"The server says: " + e.Reason + ".", advice
}

func (e *LoginError) Error() string { return explain.Text(e.Explain()) }

// NoDatabaseError means that a role was let in, and the database does not exist.
type NoDatabaseError struct{ Database, Address string }

// Explain implements the explanation that diagnostics print.
func (e *NoDatabaseError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("There is no database %q.", e.Database), fmt.Sprintf("The server at %s knows the role, and has no such database.",
			e.Address),
		"Check server.host, server.admin_database and the name."
}

func (e *NoDatabaseError) Error() string { return explain.Text(e.Explain()) }

// MissingError means that a database that was made is gone.
type MissingError struct{ Database, Address string }

// Explain implements the explanation that diagnostics print.
func (e *MissingError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Database %q is gone.", e.Database), fmt.Sprintf("The server at %s has none of that name: it was dropped or "+
			"renamed, or this is another server.", e.Address),
		"Put the right server into server, or restore the backup, and apply again. For a new, empty database: terraform state rm, and apply."
}

func (e *MissingError) Error() string { return explain.Text(e.Explain()) }

// ForeignError means that a database or role belongs to another client, or to another database of this one.
type ForeignError struct {
	What string // "database \"x\"" or "role \"x\""
	// Client, Stage and Database are of its comment; MustBe is who asked, "client/stage".
	Client, Stage, Database string
	MustBe                  string
}

// Explain implements the explanation that diagnostics print.
func (e *ForeignError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The %s does not belong to %s.", e.What, e.MustBe),
		fmt.Sprintf("Its comment says that it belongs to database %q of client %q, stage %q.", e.Database, e.Client, e.Stage),
		"Choose another name. What belongs to another client is never taken over."
}

func (e *ForeignError) Error() string { return explain.Text(e.Explain()) }

// UnclaimedError means that something exists that Slipway did not make.
type UnclaimedError struct{ What string }

// Explain implements the explanation that diagnostics print.
func (e *UnclaimedError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The %s exists already.", e.What), "It carries no comment of Slipway: another user or program made it.",
		"Choose another name, or take it over on purpose with adopt = true. What is adopted gets new passwords unless owner_secret and " +
			"app_secret hold those that it has, loses the right of everybody to connect, and is never dropped."
}

func (e *UnclaimedError) Error() string { return explain.Text(e.Explain()) }

// OwnerError means that a database belongs to another role than owner_role.
type OwnerError struct {
	Database, Owner, Want string
	Superuser             bool
}

// Explain implements the explanation that diagnostics print.
func (e *OwnerError) Explain() (happened, observed, advice string) {
	advice = fmt.Sprintf("Set owner_role = %q, or give the database and what is in it to %q: ALTER DATABASE … OWNER TO, and "+
		"REASSIGN OWNED in it.", e.Owner, e.Want)
	if e.Superuser {
		advice = "A superuser is no owner that keeps clients apart. Make a role, give it what is in the database, and the database: " +
			"ALTER DATABASE … OWNER TO. Name the role in owner_role."
	}
	return fmt.Sprintf("Database %q is owned by role %q.", e.Database, e.Owner), fmt.Sprintf("owner_role is %q.", e.Want), advice
}

func (e *OwnerError) Error() string { return explain.Text(e.Explain()) }

// InstanceError means that another resource or state manages the database.
type InstanceError struct {
	Database, Want, Got string
	// SameRun says that another resource of this run of Terraform has made it: two resources have one name.
	SameRun bool
}

// Explain implements the explanation that diagnostics print.
func (e *InstanceError) Explain() (happened, observed, advice string) {
	if e.SameRun {
		return fmt.Sprintf("Two resources of this configuration are database %s.", e.Database),
			"Another resource of this run of Terraform has just created it. Nothing was changed.",
			"Give one of them another name, or remove one of them."
	}
	return fmt.Sprintf("Database %q has another owner now.", e.Database),
		fmt.Sprintf("The comment of its owner role carries the instance id %s, and this state has %s: another Terraform state has taken it "+
			"over. Nothing was changed.", e.Got, e.Want),
		"Use the state that manages it. If this is the one, forget the resource (terraform state rm) and import it again."
}

func (e *InstanceError) Error() string { return explain.Text(e.Explain()) }

// IsolationError means that roles of other clients get into the database in a way that Slipway must not take from them.
type IsolationError struct {
	Database string
	Roles    []string
}

// Explain implements the explanation that diagnostics print.
func (e *IsolationError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Roles of other clients can connect to database %q.", e.Database),
		"They are " + strings.Join(e.Roles, ", ") + ". They have it from a role that they are members of.",
		"Take the membership from them: SELECT roleid::regrole, member::regrole FROM pg_auth_members lists all. REVOKE role FROM " +
			"member, and apply again."
}

func (e *IsolationError) Error() string { return explain.Text(e.Explain()) }

// ConnectedError means that a database is in use.
type ConnectedError struct {
	Database string
	Sessions []string
}

// Explain implements the explanation that diagnostics print.
func (e *ConnectedError) Explain() (happened, observed, advice string) {
	observed = "PostgreSQL says so, and the sessions cannot be seen."
	if len(e.Sessions) > 0 {
		observed = "Connected are:\n- " + strings.Join(e.Sessions, "\n- ")
	}
	return fmt.Sprintf("Database %q is in use.", e.Database), observed, "Nothing was dropped. End what uses it (destroy the " +
		"release first), and destroy again."
}

func (e *ConnectedError) Error() string { return explain.Text(e.Explain()) }

// ProtectedError means that deletion_protection forbids to drop the database.
type ProtectedError struct{ Database string }

// Explain implements the explanation that diagnostics print.
func (e *ProtectedError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Database %q is protected against deletion.", e.Database), "deletion_protection is true in the state.",
		"The destroy would drop the client's data. If that is meant: make a backup, set deletion_protection = false, apply, and destroy then. " +
			"To keep the database and only forget it: removed { from = …, lifecycle { destroy = false } }."
}

func (e *ProtectedError) Error() string { return explain.Text(e.Explain()) }

// RightsError means that the administrator may not do something.
type RightsError struct{ Doing, Reason string }

// Explain implements the explanation that diagnostics print.
func (e *RightsError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The administrator lacks a right for %s.", e.Doing), "The server says: " + e.Reason + ".",
		"server.admin_user needs CREATEDB and CREATEROLE, or to be a superuser; on Amazon RDS, the master user has them. What is " +
			"adopted must be its own, or it a member of the owner."
}

func (e *RightsError) Error() string { return explain.Text(e.Explain()) }

// DependentError means that a role cannot be dropped.
type DependentError struct{ Role, Detail string }

// Explain implements the explanation that diagnostics print.
func (e *DependentError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Role %q cannot be dropped.", e.Role), "Other databases depend on it:\n" + e.Detail,
		"The database itself is gone. In those databases, give away what the role owns and take its rights (REASSIGN OWNED, DROP " +
			"OWNED), and destroy again."
}

func (e *DependentError) Error() string { return explain.Text(e.Explain()) }

// IsTransient reports that the server could not be asked, so that what is known of the database stays as it is.
func IsTransient(err error) bool {
	_, unreachable := errors.AsType[*UnreachableError](err)
	_, refused := errors.AsType[*LoginError](err)
	return unreachable || refused
}

// errPowerfulRole says that a role may do more than any client's role should.
func errPowerfulRole(role string, powers []string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Role %q may do more than a client's role should.", role),
		Observed: "It has " + strings.Join(powers, ", ") + ".",
		Advice: fmt.Sprintf("Such a role gets into other clients' databases. Take that from it (ALTER ROLE %q NOSUPERUSER …), or choose "+
			"another role.", role),
	}
}

// errBusy says that another run works on the database. cause is why the wait for it ended.
func errBusy(database string, cause error) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Another run works on database %q.", database),
		Observed: fmt.Sprintf("It holds the lock, and did not end in time (%v).", cause),
		Advice:   "Apply again when it has ended.", Cause: cause,
	}
}

// errSecretForeign says that a Secret of the name was not made for this database.
func errSecretForeign(namespace, name string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Secret %s/%s is not this database's.", namespace, name),
		Observed: "Its labels do not say so: another user or program made it, or it is of another database.",
		Advice:   "Choose another name with owner_secret or app_secret, or remove the Secret if nobody needs it.",
	}
}

// errNotFound says that a namespace has no Secrets of a database.
func errNotFound(namespace, database string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Namespace %s has no database %q.", namespace, database),
		Observed: "There is no Secret with the label " + LabelDatabase + "=" + database + " and a record in it.",
		Advice: "Check the name. A database without Secrets is not imported but created: the resource takes over what carries the " +
			"client's comment, and with adopt = true also what carries none.",
	}
}

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// annotationOrigin says that a Secret was there before Slipway, with a password that programs use. It keeps its other keys, and is never
// deleted.
const annotationOrigin = "slipway.dev/origin"

// Takeover says in words, for a plan, what Ensure adopts on the server, and what that means for programs that use it now. It is empty where
// nothing is adopted.
func Takeover(ctx context.Context, c *cluster.Cluster, spec Spec, adminPassword string) (lines []string, err error) {
	spec = spec.withDefaults()
	client, err := c.Kubernetes()
	if err != nil {
		return nil, err
	}
	conn, err := spec.Server.connect(ctx, spec.Server.AdminUser, adminPassword, spec.Server.AdminDatabase)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, (&session{conn: conn}).close(ctx)) }()
	found, err := inspect(ctx, conn, spec)
	if err != nil {
		return nil, err
	}
	if found.exists && found.claim == nil {
		lines = append(lines, fmt.Sprintf("Database %q of role %q: what is in it stays.", spec.Name, found.owner))
	}
	for _, credential := range spec.credentials() {
		role := found.roles[credential.role]
		if !role.exists || role.claim != nil {
			continue
		}
		line, err := adoptsRole(ctx, client, spec, *credential, role)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	if !found.exists || found.claim != nil {
		return lines, nil
	}
	others, err := otherUsers(ctx, conn, spec)
	if err == nil && len(others) > 0 {
		lines = append(lines, "Other roles have sessions in the database, and lose the right to connect unless it was granted to them by name: "+
			strings.Join(others, ", ")+".")
	}
	return lines, err
}

func adoptsRole(ctx context.Context, client kubernetes.Interface, spec Spec, c credential, role roleFacts) (string, error) {
	line := fmt.Sprintf("Role %q", c.role)
	if !role.login {
		return line + ": it may log in from then on.", nil
	}
	secret, err := runningSecret(ctx, client, spec, &c)
	switch {
	case err != nil:
		return "", err
	case secret != nil:
		return fmt.Sprintf("%s: its password stays, and Secret %s, which holds it, is taken over.", line, secret.Name), nil
	}
	return fmt.Sprintf(
		"%s: it gets a new password. Sessions stay, and programs with the old password cannot open new ones. To keep it, put it "+
			"into Secret %s under the key %s before the apply.",
		line,
		c.secret,
		keyPassword,
	), nil
}

// otherUsers are roles with sessions in a database that are neither its owner nor its application.
func otherUsers(ctx context.Context, conn *pgx.Conn, spec Spec) ([]string, error) {
	rows, err := conn.Query(ctx, `
		SELECT DISTINCT usename::text FROM pg_stat_activity a JOIN pg_roles r ON r.rolname = a.usename
		WHERE datname = $1 AND NOT r.rolsuper AND usename <> ALL ($2) ORDER BY 1`, spec.Name, []string{spec.OwnerRole, spec.AppRole})
	if err != nil {
		return nil, fmt.Errorf("looking for sessions in database %s: %w", spec.Name, err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// runningSecret is the Secret of that name which another program made, if it holds the password that the role has now. It sets the
// password, and is nil where there is none.
func runningSecret(ctx context.Context, client kubernetes.Interface, spec Spec, c *credential) (*corev1.Secret, error) {
	live, err := client.CoreV1().Secrets(spec.Handle.Namespace).Get(ctx, c.secret, metav1.GetOptions{})
	if cluster.IsNotFound(err) || cluster.LacksRight(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading Secret %s/%s: %w", spec.Handle.Namespace, c.secret, err)
	}
	if live.Labels[LabelDatabase] != "" || live.Labels[labelManaged] == environment.FieldManager {
		return nil, nil
	}
	for _, password := range passwordsIn(live.Data) {
		conn, err := spec.Server.connect(ctx, c.role, password, spec.Name)
		if _, refused := errors.AsType[*LoginError](err); refused {
			continue
		}
		if _, missing := errors.AsType[*NoDatabaseError](err); missing {
			continue
		}
		if err != nil {
			return nil, err
		}
		c.password = password
		return live, (&session{conn: conn}).close(ctx)
	}
	return nil, nil
}

// passwordsIn are what may be a password among the values of a Secret: by the names of their keys, or in URLs.
func passwordsIn(data map[string][]byte) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(data)) {
		value := strings.TrimSpace(string(data[key]))
		if u, err := url.Parse(value); err == nil && strings.HasPrefix(u.Scheme, "postgres") && u.User != nil {
			if password, set := u.User.Password(); set {
				out = append(out, password)
			}
		} else if strings.Contains(strings.ToLower(key), "pass") {
			out = append(out, value)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// sharing gives object what a Secret has that was there before Slipway: its other keys stay, with a new password where they held the old
// one.
func sharing(object, live *corev1.Secret) *corev1.Secret {
	if live == nil || live.Annotations[annotationOrigin] != originAdopted {
		return object
	}
	out := object.DeepCopy()
	out.Type = live.Type
	was, is := string(live.Data[keyPassword]), string(object.Data[keyPassword])
	for key, value := range live.Data {
		if _, ours := out.Data[key]; ours {
			continue
		}
		if was != "" && was != is {
			value = []byte(strings.ReplaceAll(string(value), was, is))
		}
		out.Data[key] = value
	}
	keep := func(into, from map[string]string) {
		for key, value := range from {
			if _, ours := into[key]; !ours {
				into[key] = value
			}
		}
	}
	keep(out.Labels, live.Labels)
	keep(out.Annotations, live.Annotations)
	return out
}

// letGo takes what is Slipway's off a Secret that was there before it.
func letGo(live *corev1.Secret) *corev1.Secret {
	out := live.DeepCopy()
	for _, key := range []string{environment.LabelClient, environment.LabelStage, labelManaged, LabelDatabase, labelRole} {
		delete(out.Labels, key)
	}
	for _, key := range []string{environment.AnnotationInstance, annotationVersion, annotationRecord, annotationOrigin} {
		delete(out.Annotations, key)
	}
	return out
}

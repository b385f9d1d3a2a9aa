// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/database"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// clientDatabaseModel is slipway_database.
type clientDatabaseModel struct {
	ID                 types.String   `tfsdk:"id"`
	Environment        types.Object   `tfsdk:"environment"`
	Name               types.String   `tfsdk:"name"`
	Server             types.Object   `tfsdk:"server"`
	AdminPassword      types.String   `tfsdk:"admin_password_wo"`
	OwnerRole          types.String   `tfsdk:"owner_role"`
	AppRole            types.String   `tfsdk:"app_role"`
	OwnerSecret        types.String   `tfsdk:"owner_secret"`
	AppSecret          types.String   `tfsdk:"app_secret"`
	Pods               types.Object   `tfsdk:"pods"`
	ConnectionLimit    types.Int64    `tfsdk:"connection_limit"`
	Extensions         types.List     `tfsdk:"extensions"`
	PasswordVersion    types.Int64    `tfsdk:"password_version"`
	Adopt              types.Bool     `tfsdk:"adopt"`
	DeletionProtection types.Bool     `tfsdk:"deletion_protection"`
	AllowClusterMove   types.String   `tfsdk:"allow_cluster_move"`
	Timeouts           timeouts.Value `tfsdk:"timeouts"`

	ClusterUID types.String `tfsdk:"cluster_uid"`
	Drift      types.List   `tfsdk:"drift"`
}

type databaseServerModel struct {
	Host          types.String `tfsdk:"host"`
	Port          types.Int64  `tfsdk:"port"`
	SSLMode       types.String `tfsdk:"sslmode"`
	CACertificate types.String `tfsdk:"ca_certificate"`
	AdminUser     types.String `tfsdk:"admin_user"`
	AdminDatabase types.String `tfsdk:"admin_database"`
	Secret        types.Object `tfsdk:"admin_password_secret"`
	Variable      types.String `tfsdk:"admin_password_variable"`
}

type databasePodsModel struct {
	Host    types.String `tfsdk:"host"`
	Port    types.Int64  `tfsdk:"port"`
	SSLMode types.String `tfsdk:"sslmode"`
}

var (
	databaseServerTypes = map[string]attr.Type{
		"host": types.StringType, "port": types.Int64Type, "sslmode": types.StringType, "ca_certificate": types.StringType,
		"admin_user": types.StringType, "admin_database": types.StringType,
		"admin_password_secret": types.ObjectType{AttrTypes: credentialsTypes}, "admin_password_variable": types.StringType,
	}
	databasePodsTypes = map[string]attr.Type{"host": types.StringType, "port": types.Int64Type, "sslmode": types.StringType}
)

func (m clientDatabaseModel) what() string {
	if name := m.Name.ValueString(); name != "" {
		return "database " + name
	}
	return "the database"
}

func (m clientDatabaseModel) subject(ctx context.Context) (subject, diag.Diagnostics) {
	return subjectIn(ctx, m.Environment, "database", "name", m.Name, m.ClusterUID)
}

// spec is what the database is to be. known is false while a part is not known yet.
func (m clientDatabaseModel) spec(ctx context.Context) (spec database.Spec, known bool, diags diag.Diagnostics) {
	handle, known, diags := handleFrom(ctx, m.Environment)
	for _, value := range []attr.Value{
		m.Name, m.Server, m.OwnerRole, m.AppRole, m.OwnerSecret, m.AppSecret, m.Pods, m.ConnectionLimit, m.Extensions,
		m.PasswordVersion, m.Adopt,
	} {
		known = known && wholly(value)
	}
	if !known || diags.HasError() {
		return spec, false, diags
	}
	var server databaseServerModel
	diags.Append(m.Server.As(ctx, &server, basetypes.ObjectAsOptions{})...)
	spec = database.Spec{
		Handle: handle, Name: m.Name.ValueString(), OwnerRole: m.OwnerRole.ValueString(), AppRole: m.AppRole.ValueString(),
		OwnerSecret: m.OwnerSecret.ValueString(), AppSecret: m.AppSecret.ValueString(),
		Server: database.Server{
			Host: server.Host.ValueString(), Port: server.Port.ValueInt64(), SSLMode: server.SSLMode.ValueString(),
			CACertificate: server.CACertificate.ValueString(),
			AdminUser:     server.AdminUser.ValueString(), AdminDatabase: server.AdminDatabase.ValueString(),
		},
		ConnectionLimit: m.ConnectionLimit.ValueInt64(), PasswordVersion: m.PasswordVersion.ValueInt64(), Adopt: m.Adopt.ValueBool(),
	}
	if at := handle.Database; at != nil {
		if spec.Server.Host == "" {
			spec.Server.Host, spec.Server.Port = at.Host, at.Port
			if !server.Port.IsNull() {
				spec.Server.Port = server.Port.ValueInt64()
			}
		}
		spec.Pods.Host, spec.Pods.Port = at.Host, at.Port
	}
	if !m.Pods.IsNull() {
		var pods databasePodsModel
		diags.Append(m.Pods.As(ctx, &pods, basetypes.ObjectAsOptions{})...)
		spec.Pods.SSLMode = pods.SSLMode.ValueString()
		if !pods.Host.IsNull() {
			spec.Pods.Host = pods.Host.ValueString()
		}
		if !pods.Port.IsNull() {
			spec.Pods.Port = pods.Port.ValueInt64()
		}
	}
	if !m.Extensions.IsNull() {
		diags.Append(m.Extensions.ElementsAs(ctx, &spec.Extensions, false)...)
	}
	return spec, true, diags
}

// errNoAdminPassword says that the password of the administrator is not configured. On destroy, a write-only password is not known.
func errNoAdminPassword(user, variable string, destroy bool) error {
	observed := fmt.Sprintf("admin_password_wo is not set, server.admin_password_secret neither, and the environment variable %s is empty.",
		variable)
	if destroy {
		observed = fmt.Sprintf("admin_password_wo is not stored, so that a destroy does not know it; server.admin_password_secret is not set in "+
			"the state, and the environment variable %s is empty.", variable)
	}
	return &explain.Error{
		Happened: fmt.Sprintf("The password of the administrator %q is not known.", user), Observed: observed,
		Advice: fmt.Sprintf("Set it for this run: export %s=…", variable),
	}
}

// adminPassword is that of the configuration, of the Secret or of the environment, in this order. written is null where there is no
// configuration, as in a refresh. Empty without an error: it is not known. live is nil where the cluster cannot be asked.
func (m clientDatabaseModel) adminPassword(
	ctx context.Context, live *cluster.Cluster, namespace string, written types.String,
) (string, error) {
	if password := written.ValueString(); password != "" {
		return password, nil
	}
	var server databaseServerModel
	if diags := m.Server.As(ctx, &server, basetypes.ObjectAsOptions{
		UnhandledNullAsEmpty: true, UnhandledUnknownAsEmpty: true,
	}); diags.HasError() {
		return "", fmt.Errorf("reading server: %s", diags[0].Detail())
	}
	if server.Secret.IsNull() || server.Secret.IsUnknown() {
		return os.Getenv(server.variable()), nil
	}
	if live == nil {
		return "", nil
	}
	var at credentialsModel
	if diags := server.Secret.As(ctx, &at, basetypes.ObjectAsOptions{UnhandledUnknownAsEmpty: true}); diags.HasError() {
		return "", fmt.Errorf("reading server.admin_password_secret: %s", diags[0].Detail())
	}
	client, err := live.Kubernetes()
	if err != nil {
		return "", err
	}
	secret, err := client.CoreV1().Secrets(namespace).Get(ctx, at.Name.ValueString(), metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", live.Classify(fmt.Errorf("reading Secret %s/%s with the administrator's password: %w", namespace, at.Name.ValueString(), err))
	}
	return string(secret.Data[at.Key.ValueString()]), nil
}

func (m databaseServerModel) variable() string {
	if name := m.Variable.ValueString(); name != "" {
		return name
	}
	return defaultAdminVariable
}

// noPassword is the error of an operation that needs one.
func (m clientDatabaseModel) noPassword(ctx context.Context, spec database.Spec, destroy bool) error {
	user, variable := spec.Server.AdminUser, defaultAdminVariable
	var server databaseServerModel
	if diags := m.Server.As(ctx, &server, basetypes.ObjectAsOptions{}); !diags.HasError() {
		variable = server.variable()
	}
	if user == "" {
		user = database.DefaultAdminUser
	}
	return errNoAdminPassword(user, variable, destroy)
}

// derive fills in the names that are not configured, where that they depend on is known.
func (m *clientDatabaseModel) derive(ctx context.Context) diag.Diagnostics {
	handle, known, diags := handleFrom(ctx, m.Environment)
	if m.Name.IsUnknown() && known {
		m.Name = types.StringValue(handle.Workspace() + "-db")
		if handle.Database != nil {
			m.Name = types.StringValue(handle.Database.Name)
		}
		if !database.ValidName(m.Name.ValueString()) {
			diags.AddAttributeError(path.Root("name"), "Not the name of a database",
				fmt.Sprintf("%q, which follows from the environment, %s.\n\nSet name.", m.Name.ValueString(), database.NameRule))
		}
	}
	if m.Name.IsUnknown() {
		return diags
	}
	for _, name := range []struct {
		value *types.String
		text  string
	}{
		{&m.OwnerRole, m.Name.ValueString() + "-owner"},
		{&m.AppRole, m.Name.ValueString() + "-app"},
		{&m.OwnerSecret, secretNameOf(m.Name.ValueString(), "-owner")},
		{&m.AppSecret, secretNameOf(m.Name.ValueString(), "-app")},
	} {
		if name.value.IsUnknown() {
			*name.value = types.StringValue(name.text)
		}
	}
	return diags
}

// databaseFrom is the state after an import.
func databaseFrom(found *database.Found, uid string) clientDatabaseModel {
	spec := found.Spec
	return clientDatabaseModel{
		ID: types.StringValue(found.InstanceID), Environment: handleValue(spec.Handle), Name: types.StringValue(spec.Name),
		Server: types.ObjectValueMust(databaseServerTypes, map[string]attr.Value{
			"host": types.StringValue(spec.Server.Host), "port": types.Int64Value(spec.Server.Port),
			"sslmode":        types.StringValue(spec.Server.SSLMode),
			"ca_certificate": stringOrNull(spec.Server.CACertificate), "admin_user": types.StringValue(spec.Server.AdminUser),
			"admin_database": types.StringValue(spec.Server.AdminDatabase), "admin_password_secret": types.ObjectNull(credentialsTypes),
			"admin_password_variable": types.StringNull(),
		}),
		OwnerRole: types.StringValue(spec.OwnerRole), AppRole: types.StringValue(spec.AppRole), OwnerSecret: types.StringValue(spec.OwnerSecret),
		AppSecret: types.StringValue(spec.AppSecret),
		Pods: types.ObjectValueMust(databasePodsTypes, map[string]attr.Value{
			"host": types.StringValue(spec.Pods.Host), "port": types.Int64Value(spec.Pods.Port), "sslmode": types.StringValue(spec.Pods.SSLMode),
		}),
		ConnectionLimit: types.Int64Value(spec.ConnectionLimit), Extensions: stringsOrNull(spec.Extensions),
		PasswordVersion:    types.Int64Value(spec.PasswordVersion),
		DeletionProtection: types.BoolValue(true),
		Timeouts:           nullTimeouts(),
		ClusterUID:         types.StringValue(uid), Drift: types.ListNull(types.StringType),
	}
}

// nameRule validates a string by a function.
type nameRule struct {
	what  string
	valid func(string) bool
}

func (v nameRule) Description(context.Context) string             { return "must be " + v.what }
func (v nameRule) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString refuses what PostgreSQL would refuse, or read as another name.
func (v nameRule) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() || v.valid(req.ConfigValue.ValueString()) {
		return
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Not a name",
		fmt.Sprintf("%q %s. Names are made of lower-case letters, digits, hyphens and underscores; those of PostgreSQL itself are taken.",
			req.ConfigValue.ValueString(), v.Description(ctx)))
}

// certificates validates PEM.
type certificates struct{}

func (certificates) Description(context.Context) string               { return "must hold certificates in PEM" }
func (v certificates) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString refuses what would be found out in the apply only.
func (certificates) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if text := req.ConfigValue.ValueString(); text != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(text)) {
		resp.Diagnostics.AddAttributeError(req.Path, "Not a certificate",
			"The text holds no certificate in PEM (-----BEGIN CERTIFICATE-----).\n\nTo read it from a file: file(\"ca.pem\").")
	}
}

// optionalHost is a host that may be left out.
type optionalHost struct{ host }

// ValidateString refuses what is no host.
func (v optionalHost) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !req.ConfigValue.IsNull() {
		v.host.ValidateString(ctx, req, resp)
	}
}

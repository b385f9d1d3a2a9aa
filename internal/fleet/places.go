// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// place is something that only one environment may have: a namespace of a cluster, a database of a server, a host name.
type place struct {
	Stage string
	// Key identifies the place among all environments. Text shows it.
	Key, Text string
}

// Names of facts that identify a cluster for themselves. Those of an object in a file of Terraform variables have its name before a dot.
var clusterFacts = []string{
	"context", "kube_context", "cluster_context", "cluster.context", "cluster_arn", "cluster.arn", "eks_arn", "cluster.eks.arn",
	"server", "cluster_server", "cluster.server", "cluster_endpoint", "cluster.endpoint",
}

// Names of facts that identify a cluster within an account and a region.
var (
	clusterNameFacts = []string{"cluster", "cluster_name", "cluster.name", "eks_name", "eks_cluster", "cluster.eks.name"}
	accountFacts     = []string{"cluster.eks.account_id", "cluster.account_id", "account_id", "account"}
	regionFacts      = []string{"cluster.eks.region", "cluster.region", "region"}
)

// Names of facts of a database and its server, and of host names of an environment.
var (
	databaseHostFacts = []string{"database.host", "database.address", "database_host", "db_host", "db.host"}
	databasePortFacts = []string{"database.port", "database_port", "db_port", "db.port"}
	databaseNameFacts = []string{"database.name", "database.database", "database_name", "db_name", "db.name"}
	databaseURLFacts  = []string{"database_url", "database.url", "db_url"}
	hostFacts         = []string{"hostname", "host_name", "fqdn", "ingress_host", "ingress.host", "ingress.hostname"}
	hostValues        = []string{"ingress.host", "ingress.hostname", "ingress.hosts"}
)

// placesOf lists the places of an environment. r is nil if its values are not known.
func (f *Fleet) placesOf(e *Environment, r *Resolved) []place {
	var out []place
	add := func(kind, key, text string) {
		p := place{Stage: e.Stage, Key: kind + "\x00" + key, Text: text}
		if !slices.ContainsFunc(out, func(known place) bool { return known.Key == p.Key }) {
			out = append(out, p)
		}
	}
	clusters := e.clusters()
	for _, namespace := range e.all("namespace", "namespace.name") {
		for _, cluster := range clusters {
			add("namespace", cluster+"\x00"+namespace, fmt.Sprintf("namespace %s of cluster %s", namespace, shownCluster(cluster)))
		}
	}
	if f.GitOps != nil {
		cluster, err := f.expand(e, f.GitOps.Cluster)
		namespace, err2 := f.expand(e, f.GitOps.TargetNamespace)
		// What cannot be expanded is reported where environments are generated.
		if err == nil && err2 == nil && cluster != "" && namespace != "" {
			key := hostOf(cluster)
			add("namespace", key+"\x00"+namespace, fmt.Sprintf("namespace %s of cluster %s", namespace, cluster))
		}
	}
	for _, d := range e.databases() {
		add("database", d[0]+"\x00"+d[1], fmt.Sprintf("database %s of server %s", d[1], d[0]))
	}
	for _, host := range e.hosts(r) {
		add("host", host, "host name "+host)
	}
	return out
}

// all are the texts that an environment has under these names.
func (e *Environment) all(names ...string) []string {
	var out []string
	for _, name := range names {
		for _, facts := range []map[string]string{e.Facts, e.nested} {
			if text := facts[name]; text != "" && !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return out
}

func (e *Environment) first(names ...string) string {
	if found := e.all(names...); len(found) > 0 {
		return found[0]
	}
	return ""
}

// clusters are the identities of the cluster of an environment.
func (e *Environment) clusters() []string {
	var out []string
	for _, text := range e.all(clusterFacts...) {
		out = append(out, hostOf(text))
	}
	if name := e.first(clusterNameFacts...); name != "" {
		region := e.first(regionFacts...)
		if region == "" {
			region = e.Tags["region"]
		}
		out = append(out, strings.Join([]string{name, e.first(accountFacts...), region}, "\x01"))
	}
	return out
}

func shownCluster(identity string) string {
	return strings.TrimRight(strings.ReplaceAll(identity, "\x01", "/"), "/")
}

// databases are pairs of server and database.
func (e *Environment) databases() [][2]string {
	var out [][2]string
	if host, name := e.first(databaseHostFacts...), e.first(databaseNameFacts...); host != "" && name != "" {
		port := e.first(databasePortFacts...)
		if port == "" {
			port = "5432"
		}
		out = append(out, [2]string{hostOf(host) + ":" + port, name})
	}
	for _, text := range e.all(databaseURLFacts...) {
		address, err := url.Parse(text)
		if err != nil || address.Host == "" {
			continue
		}
		port := address.Port()
		if port == "" {
			port = "5432"
		}
		if name := strings.Trim(address.Path, "/"); name != "" {
			out = append(out, [2]string{hostOf(address.Hostname()) + ":" + port, name})
		}
	}
	return out
}

// hosts are the host names under which an environment answers, by its facts and by the usual values of charts.
func (e *Environment) hosts(r *Resolved) []string {
	out := e.all(hostFacts...)
	if r != nil {
		for _, path := range hostValues {
			out = append(out, hostTexts(r.Values.At(path))...)
		}
	}
	for i := range out {
		out[i] = hostOf(out[i])
	}
	return slices.DeleteFunc(out, func(host string) bool { return host == "" || host == "*" || host == "localhost" })
}

func hostTexts(n *values.Node) []string {
	switch {
	case n == nil:
		return nil
	case n.IsMap():
		var out []string
		for _, key := range []string{"host", "hostname", "name"} {
			if below := n.Child(key); below != nil && !below.IsMap() && !below.IsList() {
				out = append(out, hostTexts(below)...)
			}
		}
		return out
	case n.IsList():
		var out []string
		for _, item := range n.Items() {
			out = append(out, hostTexts(item)...)
		}
		return out
	}
	text, ok := n.Scalar().(string)
	if !ok {
		return nil
	}
	return []string{text}
}

// hostOf is the one spelling of a host name or address.
func hostOf(text string) string {
	return strings.TrimRight(strings.ToLower(strings.TrimSpace(text)), "./")
}

// claims collects the places of all environments of a fleet.
type claims struct {
	dir   string
	first map[string]string // key → name of the environment
	found []Finding
}

// add compares the places of a client with those that were added before.
func (c *claims) add(client string, places []place) {
	if c.first == nil {
		c.first = map[string]string{}
	}
	for _, p := range places {
		name := client + "/" + p.Stage
		other, taken := c.first[p.Key]
		if !taken {
			c.first[p.Key] = name
			continue
		}
		if other == name {
			continue
		}
		kind, _, _ := strings.Cut(p.Key, "\x00")
		c.found = append(c.found, Finding{
			Rule: RulePlace, Severity: SeverityError, Key: kind, Origin: values.Origin{File: filepath.Join(c.dir, client, clientFileName)},
			Text: fmt.Sprintf("%s is the place of %s and of %s, and they would overwrite each other; give one of them another one",
				p.Text, other, name),
			Environments: []string{other, name},
		})
	}
}

// sharedPlaces finds environments that would overwrite each other. resolved may lack environments.
func (f *Fleet) sharedPlaces(resolved []*Resolved) []Finding {
	byName := map[string]*Resolved{}
	for _, r := range resolved {
		byName[r.Name()] = r
	}
	all := &claims{dir: f.Dir}
	for _, e := range f.Environments {
		all.add(e.Client, f.placesOf(e, byName[e.Name()]))
	}
	return all.found
}

// CheckPlaces refuses a fleet in which two environments have the same place by their facts. Error: *FindingsError.
func (f *Fleet) CheckPlaces() error {
	if found := f.sharedPlaces(nil); len(found) > 0 {
		return &FindingsError{Findings: gather(found)}
	}
	return nil
}

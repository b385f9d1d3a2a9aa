// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package gitops

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/terraform-provider-slipway/internal/fleet"
)

// recorded is the prefix of recording rules: only these series leave a client's environment.
const recorded = "fleet"

// federationJob is the hub's job that scrapes the environments' series.
const federationJob = "federate-clients"

// Prometheus generates the monitoring configuration of a fleet: path → content.
//
//	hub/prometheus.yaml            scrapes the recorded series of every environment (federation)
//	hub/rules.yaml                 aggregates over the fleet, and alerts on what only the hub can see
//	hub/remote-write.yaml          the hub where environments push instead: a receiver with the same rules
//	environment/rules.yaml         recording and alert rules of one environment, the same for all
//	environment/prometheusrule.yaml the same for the Prometheus operator
//	<client>/<stage>/prometheus.yaml the labels of an environment, and remote write with the same list of series
//
// Errors: *fleet.DescriptionError, *fleet.MissingError.
func Prometheus(f *fleet.Fleet) (map[string][]byte, error) {
	if f.Prometheus == nil {
		return nil, &fleet.DescriptionError{
			File:   filepath.Join(f.Dir, fleet.FileName),
			Reason: "prometheus is missing: where the environments' Prometheus servers are",
		}
	}
	out := map[string][]byte{}
	add := func(name string, content any) error {
		text, err := yaml.Marshal(content)
		if err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		out[name] = append([]byte(strings.Replace(header, "applicationset", "prometheus", 1)), text...)
		return nil
	}
	federation, err := federationConfig(f)
	if err != nil {
		return nil, err
	}
	rules := environmentRules(f.Service)
	files := map[string]any{
		"hub/prometheus.yaml":    federation,
		"hub/rules.yaml":         hubRules(f, true),
		"environment/rules.yaml": rules,
		"environment/prometheusrule.yaml": object{
			"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule",
			// The operator takes only rules that its ruleSelector matches.
			"metadata": object{"name": f.Service + "-fleet", "labels": labelsOf(f.Prometheus.RuleLabels)},
			"spec":     rules,
		},
	}
	if f.Prometheus.RemoteWrite != "" {
		// Started with --web.enable-remote-write-receiver.
		files["hub/remote-write.yaml"] = object{"global": object{"evaluation_interval": "15s"}, "rule_files": []any{"remote-write-rules.yaml"}}
		files["hub/remote-write-rules.yaml"] = hubRules(f, false)
	}
	for _, e := range f.Environments {
		files[path.Join(e.Client, e.Stage, "prometheus.yaml")] = environmentConfig(f, e)
	}
	for name, content := range files {
		if err := add(name, content); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func labelsOf(m map[string]string) object {
	out := object{}
	for key, value := range m {
		out[key] = value
	}
	return out
}

// federationConfig scrapes only the recorded series of each environment's server: raw series of a fleet would be too many, and must
// not leave the environment.
func federationConfig(f *fleet.Fleet) (object, error) {
	var groups []any
	for _, e := range f.Environments {
		target, err := f.Expand(e, f.Prometheus.Target)
		if err != nil {
			return nil, err
		}
		groups = append(groups, object{"targets": []any{target}, "labels": labelsOf(environmentLabels(e))})
	}
	return object{
		"global":     object{"scrape_interval": "15s", "evaluation_interval": "15s"},
		"rule_files": []any{"rules.yaml"},
		"scrape_configs": []any{object{
			"job_name":        federationJob,
			"scrape_interval": "15s",
			"scrape_timeout":  "10s",
			"honor_labels":    true,
			"metrics_path":    "/federate",
			"scheme":          f.Prometheus.Scheme,
			// A server with more series than this is configured wrongly.
			"sample_limit":   5000,
			"params":         object{"match[]": []any{fmt.Sprintf(`{__name__=~"%s:.+"}`, recorded)}},
			"static_configs": groups,
		}},
	}, nil
}

// environmentLabels identify an environment in all places that its series are sent to.
func environmentLabels(e *fleet.Environment) map[string]string {
	out := map[string]string{"client": e.Client, "stage": e.Stage, "wave": e.WaveName}
	for _, tag := range []string{"region", "tier"} {
		if value, ok := e.Tags[tag]; ok {
			out[tag] = value
		}
	}
	return out
}

// environmentConfig is added to the configuration of an environment's server.
func environmentConfig(f *fleet.Fleet, e *fleet.Environment) object {
	out := object{
		"global":     object{"external_labels": labelsOf(environmentLabels(e))},
		"rule_files": []any{"rules.yaml"},
	}
	if f.Prometheus.RemoteWrite != "" {
		out["remote_write"] = []any{object{
			"url":  f.Prometheus.RemoteWrite,
			"name": "fleet",
			// The same series that federation would fetch.
			"write_relabel_configs": []any{object{"source_labels": []any{"__name__"}, "regex": recorded + ":.+", "action": "keep"}},
		}}
	}
	return out
}

// environmentRules are recorded and watched in each environment, so that alerts fire there while the hub cannot be reached.
func environmentRules(service string) object {
	job := fmt.Sprintf(`job=~"%s.*"`, service)
	record := func(name, expression string) any { return object{"record": recorded + ":" + name, "expr": expression} }
	return object{"groups": []any{
		object{"name": service + "-recorded", "interval": "15s", "rules": []any{
			record("heartbeat:time", "time()"),
			record("pods_up:sum", fmt.Sprintf(`sum(up{%s}) or vector(0)`, job)),
			record("requests:rate2m", fmt.Sprintf(`sum by (version) (rate(http_requests_total{%s}[2m]))`, job)),
			record("errors:rate2m", fmt.Sprintf(`sum by (version) (rate(http_requests_total{%s,code=~"5.."}[2m])) or 0 * sum by `+
				`(version) (rate(http_requests_total{%s}[2m]))`, job, job)),
			record("error_share:ratio2m", fmt.Sprintf("%s:errors:rate2m / (%s:requests:rate2m > 0)", recorded, recorded)),
			record("latency:p99_2m", fmt.Sprintf(`histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{%s}[2m])))`, job)),
			record("version:count", fmt.Sprintf(`count by (version) (data_collection_build_info{%s})`, job)),
		}},
		object{"name": service + "-alerts", "rules": []any{
			alert("ErrorShareHigh", recorded+":error_share:ratio2m > 0.05", "2m", "critical",
				"More than 5% of requests fail", "{{ $value | humanizePercentage }} of the requests to version {{ $labels.version }} fail, "+
					"for 2 minutes."),
			alert("NoPodsUp", recorded+":pods_up:sum == 0", "2m", "critical", "No pod answers",
				"No pod of the service has been scraped for 2 minutes."),
			alert("LatencyHigh", recorded+":latency:p99_2m > 1", "5m", "warning", "Requests are slow",
				"The slowest 1% of requests take {{ $value | humanizeDuration }}."),
		}},
	}}
}

func alert(name, expression, wait, severity, summary, description string) any {
	return object{
		"alert": name, "expr": expression, "for": wait, "labels": object{"severity": severity},
		"annotations": object{"summary": summary, "description": description},
	}
}

// hubRules cover the fleet as a whole, and environments that are disconnected and cannot report themselves.
func hubRules(f *fleet.Fleet, federated bool) object {
	stages := strings.Join(slices.Sorted(maps.Keys(stagesOf(f))), "|")
	record := func(name, expression string) any { return object{"record": "hub:" + name, "expr": expression} }
	watch := []any{
		alert("ClientSilent", fmt.Sprintf("time() - max by (client, stage) (%s:heartbeat:time) > 120", recorded), "1m", "critical",
			"An environment has fallen silent", "The last heartbeat of {{ $labels.client }}/{{ $labels.stage }} is {{ $value | "+
				"humanizeDuration }} old."),
	}
	if federated {
		watch = append(watch, alert("FederationDown", fmt.Sprintf(`up{job=%q} == 0`, federationJob), "2m", "critical",
			"The Prometheus of an environment cannot be reached", "{{ $labels.client }}/{{ $labels.stage }} has not answered for 2 "+
				"minutes. Its own alerts continue."))
	}
	// A series that never existed, or is missing for longer than the hub's retention, has no age: each environment is looked up by name.
	for _, e := range f.Environments {
		watch = append(watch, object{
			"alert": "ClientAbsent", "for": "10m",
			"expr":   fmt.Sprintf(`absent(%s:heartbeat:time{client=%q,stage=%q})`, recorded, e.Client, e.Stage),
			"labels": object{"severity": "critical"},
			"annotations": object{
				"summary":     "An environment reports nothing",
				"description": fmt.Sprintf("There has been no heartbeat of %s for 10 minutes.", e.Name()),
			},
		})
	}
	return object{"groups": []any{
		object{"name": f.Service + "-fleet", "interval": "15s", "rules": []any{
			record("requests:rate2m", fmt.Sprintf(`sum by (stage) (%s:requests:rate2m{stage=~%q})`, recorded, stages)),
			record("errors:rate2m", fmt.Sprintf(`sum by (stage) (%s:errors:rate2m{stage=~%q})`, recorded, stages)),
			record("error_share:ratio2m", "hub:errors:rate2m / (hub:requests:rate2m > 0)"),
			record("environments_reporting:count", fmt.Sprintf(`count by (stage) (%s:heartbeat:time{stage=~%q})`, recorded, stages)),
			record("environments_by_version:count", fmt.Sprintf(`count by (stage, version) (%s:version:count)`, recorded)),
		}},
		object{"name": f.Service + "-fleet-alerts", "rules": append([]any{
			alert("FleetErrorShareHigh", "hub:error_share:ratio2m > 0.05", "2m", "critical", "More than 5% of requests fail over a stage",
				"{{ $value | humanizePercentage }} of all requests in stage {{ $labels.stage }} fail."),
		}, watch...)},
	}}
}

func stagesOf(f *fleet.Fleet) map[string]bool {
	out := map[string]bool{}
	for _, e := range f.Environments {
		out[e.Stage] = true
	}
	return out
}

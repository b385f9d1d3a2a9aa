// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// words describes the edits of one object in the words of Kubernetes users.
type words struct {
	kind string
	// pod is the path of the pod template (or of the Pod itself), nil if the kind has none.
	pod []string
	// oneContainer is true if the pod has only one container.
	oneContainer bool
}

var podTemplates = map[string][]string{
	"Deployment":            {"spec", "template"},
	"StatefulSet":           {"spec", "template"},
	"DaemonSet":             {"spec", "template"},
	"ReplicaSet":            {"spec", "template"},
	"ReplicationController": {"spec", "template"},
	"Job":                   {"spec", "template"},
	"CronJob":               {"spec", "jobTemplate", "spec", "template"},
	"Pod":                   {},
}

func newWords(before, after map[string]any) words {
	w := words{}
	w.kind, _ = after["kind"].(string)
	pod, ok := podTemplates[w.kind]
	if !ok {
		return w
	}
	w.pod = pod
	w.oneContainer = containers(before, pod) == 1 && containers(after, pod) == 1
	return w
}

func containers(o map[string]any, pod []string) int {
	for _, name := range append(slices.Clip(pod), "spec") {
		o, _ = o[name].(map[string]any)
	}
	list, _ := o["containers"].([]any)
	return len(list)
}

// inPod returns the part of a path below the pod template.
func (w words) inPod(path treePath) (treePath, bool) {
	if w.pod == nil || w.kind == "Pod" || len(path) <= len(w.pod) {
		return path, w.kind == "Pod"
	}
	for i, name := range w.pod {
		if path[i].element || path[i].name != name {
			return nil, false
		}
	}
	return path[len(w.pod):], true
}

// inContainer splits the path of a container's part into the container and the rest.
func (w words) inContainer(path treePath) (list, name string, rest treePath, ok bool) {
	below, ok := w.inPod(path)
	if !ok || len(below) < 3 || below[0].name != "spec" || !below[2].element {
		return "", "", nil, false
	}
	switch below[1].name {
	case "containers", "initContainers", "ephemeralContainers":
		return below[1].name, below[2].name, below[3:], true
	}
	return "", "", nil, false
}

// isWhole keeps an env entry together: its value may move into a reference.
func (w words) isWhole(path treePath) bool {
	_, _, rest, ok := w.inContainer(path)
	return ok && len(rest) == 2 && rest[0].name == "env" && rest[1].element
}

// weight orders changes that affect how a service runs before others.
func (w words) weight(e edit) int {
	_, _, rest, inContainer := w.inContainer(e.path)
	switch {
	case inContainer && len(rest) == 1 && rest[0].name == "image":
		return 0
	case len(e.path) == 2 && (e.path[1].name == "replicas" || e.path[1].name == "minReplicas" || e.path[1].name == "maxReplicas"):
		return 1
	case inContainer && len(rest) > 1 && rest[0].name == "resources":
		return 1
	case e.path[0].name == "metadata":
		return 3
	}
	if below, ok := w.inPod(e.path); ok && w.kind != "Pod" && len(below) == 3 && below[1].name == "labels" {
		return 3
	}
	return 2
}

// describe returns path and values of a change.
func (w words) describe(e edit) string {
	if list, name, rest, ok := w.inContainer(e.path); ok {
		return w.tellContainer(list, name, rest, e)
	}
	if below, ok := w.inPod(e.path); ok && w.kind != "Pod" {
		return w.tellPod(below, e)
	}
	at := e.path
	if len(at) == 3 && at[0].name == "metadata" {
		switch at[1].name {
		case "labels":
			return "label " + at[2].name + changeOf(e)
		case "annotations":
			return "annotation " + at[2].name + changeOf(e)
		}
	}
	if at[0].name == "spec" && len(at) > 1 {
		at = at[1:]
	}
	if len(at) == 2 && at[0].name == "ports" && at[1].element {
		return "port " + at[1].name + afterName(nil, e)
	}
	return place(at) + changeOf(e)
}

func (w words) tellPod(below treePath, e edit) string {
	if len(below) == 3 && below[0].name == "metadata" {
		key := below[2].name
		switch {
		case below[1].name == "labels":
			return "pod label " + key + changeOf(e)
		case below[1].name == "annotations" && isChecksum(key, e):
			return "pods restart: " + checksumSubject(key) + " changed"
		case below[1].name == "annotations":
			return "pod annotation " + key + changeOf(e)
		}
	}
	if len(below) >= 3 && below[0].name == "spec" && below[1].name == "volumes" && below[2].element {
		return "volume " + below[2].name + afterName(below[3:], e)
	}
	if len(below) > 1 && below[0].name == "spec" {
		below = below[1:]
	}
	return "pod " + place(below) + changeOf(e)
}

func (w words) tellContainer(list, name string, rest treePath, e edit) string {
	prefix := "container " + name
	switch list {
	case "initContainers":
		prefix = "init " + prefix
	case "ephemeralContainers":
		prefix = "ephemeral " + prefix
	default:
		if w.oneContainer && len(rest) > 0 {
			return containerPart(rest, e)
		}
	}
	if len(rest) == 0 {
		return prefix + comeOrGo(e, func(v any) string {
			container, _ := v.(map[string]any)
			image, _ := container["image"].(string)
			return image
		})
	}
	return prefix + ": " + containerPart(rest, e)
}

// containerPart describes a change inside one container.
func containerPart(rest treePath, e edit) string {
	if len(rest) == 1 && rest[0].name == "image" {
		return "image" + imageChange(e)
	}
	if len(rest) >= 2 && rest[1].element {
		switch rest[0].name {
		case "env":
			return "env " + rest[1].name + envChange(e)
		case "ports":
			return "port " + rest[1].name + afterName(rest[2:], e)
		case "volumeMounts":
			return "mount " + rest[1].name + afterName(rest[2:], e)
		}
	}
	return place(rest) + changeOf(e)
}

// afterName is the text after the name of a list element: ": field a → b", " added (…)" or " removed".
func afterName(rest treePath, e edit) string {
	if len(rest) > 0 {
		return ": " + place(rest) + changeOf(e)
	}
	return comeOrGo(e, func(v any) string {
		element, _ := v.(map[string]any)
		for _, name := range []string{"containerPort", "port", "mountPath"} {
			if value, ok := element[name]; ok {
				return show(value)
			}
		}
		return ""
	})
}

// place is a path in words; ports, as the most common named list, read like words.
func place(at treePath) string {
	if len(at) > 2 && at[0].name == "ports" && at[1].element {
		return "port " + at[1].name + ": " + at[2:].String()
	}
	return at.String()
}

func comeOrGo(e edit, detail func(any) string) string {
	switch {
	case e.after == (absent{}):
		return " removed"
	case e.before == (absent{}):
		if text := detail(e.after); text != "" {
			return " added (" + text + ")"
		}
		return " added"
	}
	return changeOf(e)
}

func envChange(e edit) string {
	switch {
	case e.after == (absent{}):
		return " removed"
	case e.before == (absent{}):
		return " added: " + envValue(e.after)
	}
	before, after := envValue(e.before), envValue(e.after)
	if before == after {
		return " changed"
	}
	return " " + before + " → " + after
}

// envValue describes the source of an env entry's value.
func envValue(v any) string {
	entry, _ := v.(map[string]any)
	from, ok := entry["valueFrom"].(map[string]any)
	if !ok {
		if value, ok := entry["value"]; ok {
			return show(value)
		}
		return `""`
	}
	for kind, name := range map[string]string{"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"} {
		if reference, ok := from[kind].(map[string]any); ok {
			return fmt.Sprintf("from %s %v key %v", name, reference["name"], reference["key"])
		}
	}
	if reference, ok := from["fieldRef"].(map[string]any); ok {
		return fmt.Sprintf("from field %v", reference["fieldPath"])
	}
	return "from " + show(from)
}

var (
	checksumKey   = regexp.MustCompile(`(?i)(checksum|sha1|sha256|sha512|md5|hash|digest)`)
	checksumValue = regexp.MustCompile(`^[0-9a-fA-F]{16,128}$|^[A-Za-z0-9+/_-]{27,}={0,2}$`)
)

// isChecksum recognizes annotations whose purpose is to restart pods. Their values mean nothing to people.
func isChecksum(key string, e edit) bool {
	if !checksumKey.MatchString(key) {
		return false
	}
	for _, v := range []any{e.before, e.after} {
		text, isText := v.(string)
		if v != (absent{}) && (!isText || text != MaskSecret && text != MaskRevision && !checksumValue.MatchString(text)) {
			return false
		}
	}
	return true
}

// checksumSubject is what a checksum is of: "config" of "checksum/config" and of "config-hash".
func checksumSubject(key string) string {
	subject := key
	if before, after, ok := strings.Cut(key, "/"); ok {
		subject = after
		if checksumKey.MatchString(after) && !checksumKey.MatchString(before) {
			subject = after
		}
	}
	subject = strings.Trim(checksumKey.ReplaceAllString(subject, ""), "-_./")
	if subject == "" {
		return "config"
	}
	return subject
}

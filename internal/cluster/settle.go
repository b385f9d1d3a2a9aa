// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// clockTolerance is how much the clocks of API servers may differ, and times that are cut to seconds.
const clockTolerance = 3 * time.Second

// settle decides what the refusal of a repeated write means. Where the attempt whose answer was lost had been carried out, it returns
// the answer to that; else nil, and the refusal counts.
func (t *trial) settle(refusal *http.Response) *http.Response {
	switch t.write.verb {
	case deletes:
		return t.settleDelete(refusal)
	case creates, updates, patches:
	default:
		return nil
	}
	if t.write.part != "" {
		return nil // A subresource has another form than what is sent to it.
	}
	live, raw := t.live()
	if live == nil {
		return nil
	}
	switch {
	case t.write.verb == creates:
		if !t.made(live, refusal.Header.Get("Date")) {
			return nil
		}
	case t.write.operations != nil:
		if !applied(t.write.operations, live) {
			return nil
		}
	case t.write.content == nil || !t.written(live, refusal.Header.Get("Date")):
		return nil
	}
	status := http.StatusOK
	if t.write.verb == creates {
		status = http.StatusCreated
	}
	return t.answer(refusal, status, raw)
}

// made reports that a live object is the one that the lost attempt has created: it is as young as that, of the same field manager, and
// has what was sent. An object that is created under a held Lease has no other maker of that name and those labels; its fields may
// differ then, since admission and the API server change them.
func (t *trial) made(live map[string]any, date string) bool {
	created, err := time.Parse(time.RFC3339, stringAt(live, "metadata", "creationTimestamp"))
	if err != nil || created.Before(t.serverTime(date, t.doubted).Add(-clockTolerance)) {
		return false
	}
	if !managedBy(live, t.manager()) {
		return false
	}
	sent := lasting(t.write.content)
	if pass := passOf(t.request.Context()); pass != nil && pass.lease != nil {
		sent = map[string]any{"metadata": sent["metadata"]}
	}
	return contains(sent, live, false)
}

// written reports that a live object is as the lost attempt has left it. An update also takes fields away: either nothing else is left, or
// its field manager has written the object since.
func (t *trial) written(live map[string]any, date string) bool {
	sent := lasting(t.write.content)
	if t.write.verb == patches {
		return contains(sent, live, !t.write.strategic)
	}
	if !contains(sent, live, true) {
		return false
	}
	rest := lasting(live)
	if metadata, ok := rest["metadata"].(map[string]any); ok {
		delete(metadata, "uid")
	}
	return contains(rest, sent, true) || t.wroteSince(live, t.serverTime(date, t.doubted).Add(-clockTolerance))
}

// wroteSince reports that the field manager of the request has written an object since a time.
func (t *trial) wroteSince(live map[string]any, since time.Time) bool {
	metadata, _ := live["metadata"].(map[string]any)
	entries, _ := metadata["managedFields"].([]any)
	return slices.ContainsFunc(entries, func(entry any) bool {
		fields, _ := entry.(map[string]any)
		at, err := time.Parse(time.RFC3339, stringAt(fields, "time"))
		return err == nil && fields["manager"] == t.manager() && !at.Before(since)
	})
}

// serverTime is a time of this process by the clock of the server, whose Date came just now.
func (t *trial) serverTime(date string, at time.Time) time.Time {
	now, err := http.ParseTime(date)
	if err != nil {
		return at
	}
	return now.Add(-time.Since(at))
}

// manager is the field manager of the request, as the API server names it.
func (t *trial) manager() string {
	if manager := t.request.URL.Query().Get("fieldManager"); manager != "" {
		return manager
	}
	agent, _, _ := strings.Cut(cmp.Or(t.request.Header.Get("User-Agent"), t.agent), "/")
	return agent
}

// managedBy reports that a manager has written an object. An object without an entry for anybody says nothing.
func managedBy(live map[string]any, manager string) bool {
	metadata, _ := live["metadata"].(map[string]any)
	entries, _ := metadata["managedFields"].([]any)
	return len(entries) == 0 || slices.ContainsFunc(entries, func(entry any) bool {
		fields, _ := entry.(map[string]any)
		return fields["manager"] == manager
	})
}

// alreadyDone looks, before a deletion is repeated, whether the lost attempt was carried out. An object of the same name that was
// created since then is another one, and stays: the repetition names the object that it deletes by its UID.
func (t *trial) alreadyDone() *http.Response {
	if t.write.verb != deletes || t.doubted.IsZero() || t.write.options.Preconditions != nil {
		return nil
	}
	response, live, raw := t.read()
	switch {
	case response == nil:
		return nil
	case response.StatusCode == http.StatusNotFound && isStatus(raw):
		return t.deleted(response)
	case live == nil:
		return nil
	case stringAt(live, "metadata", "deletionTimestamp") != "":
		return t.answer(response, http.StatusOK, raw)
	}
	created, err := time.Parse(time.RFC3339, stringAt(live, "metadata", "creationTimestamp"))
	if err == nil && created.After(t.serverTime(response.Header.Get("Date"), t.doubted).Add(clockTolerance)) {
		return t.deleted(response)
	}
	uid := types.UID(stringAt(live, "metadata", "uid"))
	t.write.options.Preconditions = &metav1.Preconditions{UID: &uid}
	t.edited = true
	return nil
}

// settleDelete decides about the refusal of a repeated deletion: what does not exist any more was deleted by the lost attempt, and what
// another object stands for, too.
func (t *trial) settleDelete(refusal *http.Response) *http.Response {
	switch refusal.StatusCode {
	case http.StatusNotFound:
		body, err := io.ReadAll(refusal.Body)
		refusal.Body = io.NopCloser(strings.NewReader(string(body)))
		if err != nil || !isStatus(body) {
			return nil
		}
		return t.deleted(refusal)
	case http.StatusConflict:
		response, live, raw := t.read()
		switch required := t.write.options.Preconditions; {
		case response == nil || required == nil || required.UID == nil:
			return nil
		case response.StatusCode == http.StatusNotFound && isStatus(raw),
			live != nil && stringAt(live, "metadata", "uid") != string(*required.UID):
			return t.deleted(refusal)
		case live != nil && stringAt(live, "metadata", "deletionTimestamp") != "":
			return t.answer(refusal, http.StatusOK, raw)
		}
	}
	return nil
}

// deleted is the answer to a deletion that was carried out.
func (t *trial) deleted(from *http.Response) *http.Response {
	answerWith(from, http.StatusOK, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess,
		Details: &metav1.StatusDetails{Name: t.write.name},
	})
	return from
}

// answer is the live object as the answer to the write.
func (t *trial) answer(from *http.Response, status int, live []byte) *http.Response {
	answerWith(from, status, json.RawMessage(live))
	return from
}

// live reads the object that was written; nil where it does not exist or cannot be read.
func (t *trial) live() (map[string]any, []byte) {
	_, live, raw := t.read()
	return live, raw
}

// read reads the object that was written, with repetitions of its own. The response is nil where there was no answer, and the object
// nil where the answer is none.
func (t *trial) read() (*http.Response, map[string]any, []byte) {
	request := t.request.Clone(t.request.Context())
	request.Method, request.Body, request.GetBody, request.ContentLength = http.MethodGet, nil, nil, 0
	request.URL.Path, request.URL.RawPath, request.URL.RawQuery = t.write.path, "", ""
	request.Header.Set("Accept", "application/json")
	request.Header.Del("Content-Type")
	response, err := t.RoundTrip(request)
	if err != nil {
		return nil, nil, nil
	}
	raw, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // It is in memory.
	if err != nil {
		return nil, nil, nil
	}
	if response.StatusCode != http.StatusOK {
		return response, nil, raw
	}
	return response, contentOf(raw), raw
}

// isStatus reports that the API server itself has answered, and not a proxy in front of it.
func isStatus(body []byte) bool {
	return stringAt(contentOf(body), "kind") == "Status"
}

// lasting is what was sent without what the API server sets itself.
func lasting(sent map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range sent {
		if key != "status" {
			out[key] = value
		}
	}
	if metadata, ok := sent["metadata"].(map[string]any); ok {
		kept := map[string]any{}
		for key, value := range metadata {
			if !slices.Contains([]string{"resourceVersion", "generation", "managedFields", "creationTimestamp", "selfLink"}, key) {
				kept[key] = value
			}
		}
		out["metadata"] = kept
	}
	if plain, ok := sent["stringData"].(map[string]any); ok {
		delete(out, "stringData")
		data := map[string]any{}
		if encoded, ok := sent["data"].(map[string]any); ok {
			for key, value := range encoded {
				data[key] = value
			}
		}
		for key, value := range plain {
			if text, ok := value.(string); ok {
				data[key] = base64.StdEncoding.EncodeToString([]byte(text))
			}
		}
		out["data"] = data
	}
	return out
}

// contains reports that live has everything of sent. What is empty in sent may be missing in live, which is also how a merge patch
// removes a field. Unless whole is set, the members of a list may have other neighbors.
func contains(sent, live any, whole bool) bool {
	switch sent := sent.(type) {
	case map[string]any:
		fields, ok := live.(map[string]any)
		for key, value := range sent {
			if strings.HasPrefix(key, "$") {
				continue // a directive of a strategic merge patch
			}
			if value == nil && fields[key] != nil {
				return false
			}
			if !contains(value, fields[key], whole) {
				return false
			}
		}
		return ok || live == nil
	case []any:
		members, ok := live.([]any)
		if whole && len(members) != len(sent) {
			return false
		}
		for _, member := range sent {
			if !slices.ContainsFunc(members, func(other any) bool { return contains(member, other, whole) }) {
				return false
			}
		}
		return ok || live == nil
	case nil:
		return true
	}
	return sent == live || live == nil && (sent == "" || sent == false || sent == float64(0))
}

// applied reports that an object is as the operations of a JSON patch leave it.
func applied(operations []patchOperation, live map[string]any) bool {
	for _, operation := range operations {
		value, found := valueAt(live, operation.Path)
		switch operation.Op {
		case "test":
		case "add", "replace":
			if !found || !contains(operation.Value, value, true) {
				return false
			}
		case "remove":
			if found {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// valueAt follows a JSON pointer. The place after the last member of a list is its last member, once it was added.
func valueAt(object any, pointer string) (any, bool) {
	value := object
	for _, key := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		key = strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
		switch fields := value.(type) {
		case map[string]any:
			found := false
			if value, found = fields[key]; !found {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(key)
			if key == "-" {
				i, err = len(fields)-1, nil
			}
			if err != nil || i < 0 || i >= len(fields) {
				return nil, false
			}
			value = fields[i]
		default:
			return nil, false
		}
	}
	return value, true
}

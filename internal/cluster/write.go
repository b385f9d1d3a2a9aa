// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
)

// place is what the path of a request names.
type place struct {
	resource, name, subresource string
}

// placeOf takes the path of a request apart: /api/v1/namespaces/a/pods/web/log. An API server may have a path of its own in front.
func placeOf(path string) place {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch i := slices.IndexFunc(parts, func(part string) bool { return part == "api" || part == "apis" }); {
	case i < 0:
		return place{}
	case parts[i] == "api":
		parts = parts[min(i+2, len(parts)):]
	default:
		parts = parts[min(i+3, len(parts)):]
	}
	// The subresources of a namespace are not objects in it.
	if len(parts) > 2 && parts[0] == "namespaces" && parts[2] != "status" && parts[2] != "finalize" {
		parts = parts[2:]
	}
	var p place
	if len(parts) > 0 {
		p.resource = parts[0]
	}
	if len(parts) > 1 {
		p.name = parts[1]
	}
	if len(parts) > 2 {
		p.subresource = parts[2]
	}
	return p
}

// isForwarded reports a request that the API server passes on, to a service, a pod or a node. Its answer is theirs, and is not waited for
// to its end.
func isForwarded(request *http.Request) bool {
	return slices.Contains([]string{"proxy", "log", "exec", "attach", "portforward"}, placeOf(request.URL.Path).subresource)
}

// isWatch reports a read whose answer has no end.
func isWatch(request *http.Request) bool {
	watch := request.URL.Query().Get("watch")
	return request.Method == http.MethodGet &&
		(watch != "" && watch != "false" && watch != "0" || strings.Contains(request.URL.Path, "/watch/"))
}

// isGroup reports the question which resources one API group has.
func isGroup(path string) bool {
	_, group, found := strings.Cut(strings.TrimSuffix(path, "/"), "/apis/")
	return found && strings.Count(group, "/") <= 1
}

// verb is what a write does to an object.
type verb string

const (
	creates verb = "create"
	updates verb = "update"
	patches verb = "patch"
	deletes verb = "delete"
)

// write is a request that changes an object.
type write struct {
	// verb is empty for a request without an effect that could be repeated: a read, a dry run, an access review.
	verb verb
	// name and path are those of the object, part is that of its subresource.
	name, path, part string
	// content is the object or the patch that is sent, as JSON; nil for a deletion, and for a list of patch operations.
	content map[string]any
	// operations are those of a JSON patch.
	operations []patchOperation
	// strategic says that content names only some members of a list, as strategic merge patches and applied configurations do.
	strategic bool
	options   metav1.DeleteOptions
	// repeatable says that it may be sent again although the server may have carried it out.
	repeatable bool
}

type patchOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// newWrite reads what a request is about to do. What it cannot read is not repeatable.
func newWrite(request *http.Request) (*write, error) {
	if !mutates(request) {
		return &write{repeatable: true}, nil
	}
	body, again, err := bodyOf(request)
	if err != nil {
		return nil, err
	}
	at := placeOf(request.URL.Path)
	w := &write{name: at.name, path: request.URL.Path, part: at.subresource}
	if !again || at.resource == "" {
		return w, nil
	}
	switch request.Method {
	case http.MethodPost:
		w.create(at, body)
	case http.MethodPut:
		w.verb, w.content = updates, contentOf(body)
		w.repeatable = at.name != "" && w.content != nil
	case http.MethodPatch:
		w.patch(request.Header.Get("Content-Type"), body)
	case http.MethodDelete:
		w.remove(at, body)
	}
	return w, nil
}

// create is repeatable where the object has a name: the second one of that name is refused. A POST to a subresource (an eviction, a
// binding) is an action, and a generated name is another one each time.
func (w *write) create(at place, body []byte) {
	w.verb, w.content = creates, contentOf(body)
	w.name = stringAt(w.content, "metadata", "name")
	w.path = strings.TrimSuffix(w.path, "/") + "/" + w.name
	w.repeatable = at.name == "" && w.name != ""
}

// patch is repeatable where the same patch has the same result, or is refused the second time: a JSON patch may add to a list, unless
// it tests the state that it starts from.
func (w *write) patch(contentType string, body []byte) {
	w.verb = patches
	media, _, _ := mime.ParseMediaType(contentType) // A type that cannot be read is none of these.
	switch types.PatchType(media) {
	case types.ApplyPatchType:
		w.content, w.strategic, w.repeatable = contentOf(body), true, true
	case types.MergePatchType, types.StrategicMergePatchType:
		w.content, w.strategic = contentOf(body), media == string(types.StrategicMergePatchType)
		w.repeatable = w.content != nil
	case types.JSONPatchType:
		if json.Unmarshal(body, &w.operations) == nil {
			w.repeatable = slices.ContainsFunc(w.operations, func(o patchOperation) bool { return o.Op == "test" })
		}
	}
}

// remove is repeatable where it names an object. A collection may have new members.
func (w *write) remove(at place, body []byte) {
	w.verb = deletes
	if len(body) > 0 {
		// Clients write the group and version of the object, which need not be one that is known here.
		if json.Unmarshal(body, &w.options) != nil {
			decoded, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
			options, ok := decoded.(*metav1.DeleteOptions)
			if err != nil || !ok {
				return
			}
			w.options = *options
		}
	}
	w.options.TypeMeta = metav1.TypeMeta{Kind: "DeleteOptions", APIVersion: "v1"}
	w.repeatable = at.name != "" && at.subresource == ""
}

// bodyOf reads a copy of the body of a request; false where it cannot be read twice.
func bodyOf(request *http.Request) (body []byte, again bool, err error) {
	if request.Body == nil || request.Body == http.NoBody {
		return nil, true, nil
	}
	if request.GetBody == nil {
		return nil, false, nil
	}
	reader, err := request.GetBody()
	if err != nil {
		return nil, false, fmt.Errorf("reading the body of a request: %w", err)
	}
	body, err = io.ReadAll(reader)
	_ = reader.Close() // It is in memory.
	return body, err == nil, err
}

// contentOf is an object in JSON or protobuf; nil where it is neither.
func contentOf(body []byte) map[string]any {
	var out map[string]any
	if json.Unmarshal(body, &out) == nil {
		return out
	}
	decoded, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return nil
	}
	text, err := json.Marshal(decoded)
	if err != nil || json.Unmarshal(text, &out) != nil {
		return nil
	}
	return out
}

// stringAt is a string in an object, empty where there is none.
func stringAt(object map[string]any, path ...string) string {
	var value any = object
	for _, key := range path {
		fields, _ := value.(map[string]any)
		value = fields[key]
	}
	text, _ := value.(string)
	return text
}

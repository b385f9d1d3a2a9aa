// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"encoding/json"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// mark says whose a database or role is. It is a comment on the object. One on a role cannot be changed by the role itself, so
// that no client can take its mark off or forge one; that on the database is for people.
type mark struct {
	Client   string `json:"client"`
	Stage    string `json:"stage"`
	Database string `json:"database"`
	Instance string `json:"instance"`
	Origin   string `json:"origin"`
}

const (
	markPrefix    = "Managed by Slipway: "
	originCreated = "created"
	originAdopted = "adopted"
)

func (m mark) comment() (string, error) {
	text, err := json.Marshal(m)
	return markPrefix + string(text), err
}

// parseMark returns nil for a comment that is none of ours. One of ours that cannot be read is somebody else's mark: it belongs
// to nobody that asks.
func parseMark(comment string) *mark {
	text, ours := strings.CutPrefix(comment, markPrefix)
	if !ours {
		return nil
	}
	var m mark
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return &mark{Client: "(unreadable)", Stage: "(unreadable)"}
	}
	return &m
}

func (m *mark) of(h environment.Handle) bool { return m.Client == h.Client && m.Stage == h.Stage }

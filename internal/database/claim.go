// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"encoding/json"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// claim says whose a database or role is. It is a comment on the object. One on a role cannot be changed by the role itself, so
// that no client can remove it or forge one; that on the database is for people.
type claim struct {
	Client   string `json:"client"`
	Stage    string `json:"stage"`
	Database string `json:"database"`
	Instance string `json:"instance"`
	Origin   string `json:"origin"`
	// DatabaseOrigin is the origin of the database, in the comment on the owner role. It decides whether the database is dropped: its owner
	// may change the comment on the database.
	DatabaseOrigin string `json:"database_origin,omitempty"`
}

const (
	claimPrefix   = "Managed by Slipway: "
	originCreated = "created"
	originAdopted = "adopted"
)

func (m claim) comment() (string, error) {
	text, err := json.Marshal(m)
	return claimPrefix + string(text), err
}

// parseClaim returns nil for a comment that is none of ours. One of ours that cannot be read is another owner's claim: it belongs
// to nobody that asks.
func parseClaim(comment string) *claim {
	text, ours := strings.CutPrefix(comment, claimPrefix)
	if !ours {
		return nil
	}
	var m claim
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return &claim{Client: "(unreadable)", Stage: "(unreadable)"}
	}
	return &m
}

func (m *claim) of(h environment.Handle) bool { return m.Client == h.Client && m.Stage == h.Stage }

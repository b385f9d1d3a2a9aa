// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package sql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/pgtest"
)

func TestRun_StopsAtTheFirstFailingCheck(t *testing.T) {
	server := pgtest.Start(t)
	for _, test := range []struct {
		args       []string
		wants, err string
	}{
		{[]string{"CREATE TABLE t (id int)", "INSERT INTO t VALUES (1), (2) RETURNING id, 'x'"}, "1 x\n2 x\n", ""},
		{[]string{"SELECT missing FROM t", "DROP TABLE t"}, "", "SQLSTATE 42703"},
		{[]string{"expect", "SELECT count(*) = 2 FROM t"}, "true\n", ""},
		{[]string{"expect", "SELECT count(*) = 3 FROM t"}, "", "want true"},
		{[]string{"expect", "SELECT true FROM t"}, "", "want true"},
		{[]string{"expect", "SELECT true WHERE false"}, "", "want true"},
	} {
		var out strings.Builder
		err := Run(t.Context(), server.URL("postgres"), test.args, &out)
		if out.String() != test.wants || !strings.Contains(fmt.Sprint(err), test.err) || test.err == "" && err != nil {
			t.Errorf("%v: %q, %v", test.args, out.String(), err)
		}
	}
}

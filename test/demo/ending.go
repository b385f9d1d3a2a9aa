// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/test/cluster"
)

// tellWhatIsThere ends the demo with what can be done now.
func tellWhatIsThere(s *screen, d *deployments, p place) error {
	path, down := "", "make demo-down"
	if !p.local {
		down = fmt.Sprintf("DEMO_IMAGE=%s make demo-down # with the same KUBECONFIG and DEMO_DATABASE", p.repository)
	} else {
		local, err := cluster.Open(clusterName)
		if err != nil {
			return err
		}
		path = " PATH=" + strings.Join(local.Programs(), ":") + ":$PATH"
	}
	s.heading("Done, in %s minutes. What you can do now", s.elapsed())
	fmt.Printf(`Look around:

    export KUBECONFIG=%s%s
    kubectl get pods --all-namespaces --selector app.kubernetes.io/name=%s

Continue to deploy from the vendor's repository (the next demo puts the files back):

    cd %s
    export TF_CLI_CONFIG_FILE=$PWD/terraformrc %s
    %s

Take everything down, from this checkout:

    %s
`, p.kubeconfig, path, serviceName, d.dir, exports(append(p.shownEnv(), secretEnv...)),
		d.terraform(append([]string{"plan"}, d.varArgs(clientA)...)...), down)
	return nil
}

// exports are assignments as a shell needs them.
func exports(env []string) string {
	words := make([]string, len(env))
	for i, assignment := range env {
		name, value, _ := strings.Cut(assignment, "=")
		words[i] = name + "=" + shellWord(value)
	}
	return strings.Join(words, " ")
}

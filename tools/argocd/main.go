// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command argocd expands ApplicationSets as Argo CD's controller does, with the controller's own code, against a folder that stands for
// the repository. It reads ApplicationSets as a stream of YAML documents and prints the Applications as a JSON list.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/argoproj/argo-cd/v3/applicationset/controllers/template"
	"github.com/argoproj/argo-cd/v3/applicationset/generators"
	"github.com/argoproj/argo-cd/v3/applicationset/utils"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/bmatcuk/doublestar/v4"
	log "github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: argocd <folder of the repository> <applicationsets.yaml")
		os.Exit(2)
	}
	if err := expand(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "argocd:", err)
		os.Exit(1)
	}
}

func expand(root string, in io.Reader, out io.Writer) error {
	log.SetOutput(os.Stderr)
	log.SetLevel(log.WarnLevel)
	decoder := yaml.NewYAMLOrJSONDecoder(in, 4096)
	applications := []v1alpha1.Application{}
	for {
		var set v1alpha1.ApplicationSet
		err := decoder.Decode(&set)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the ApplicationSets: %w", err)
		}
		if set.Kind == "" {
			continue
		}
		all := map[string]generators.Generator{"Git": generators.NewGitGenerator(folder(root), set.Namespace)}
		made, _, err := template.GenerateApplications(log.NewEntry(log.StandardLogger()), set, all, &utils.Render{}, projects{})
		if err != nil {
			return fmt.Errorf("expanding ApplicationSet %s: %w", set.Name, err)
		}
		applications = append(applications, made...)
	}
	return json.NewEncoder(out).Encode(applications)
}

// projects is a cluster in which every project exists and demands no signatures. The generator asks it for nothing else.
type projects struct{ client.Client }

func (projects) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	if _, ok := into.(*v1alpha1.AppProject); !ok {
		return fmt.Errorf("only projects can be asked for, not a %T", into)
	}
	return nil
}

// folder is a repository that lies in a folder, whatever its address and revision.
type folder string

func (f folder) GetFiles(_ context.Context, _, _, _, pattern string, _, _ bool) (map[string][]byte, error) {
	root := os.DirFS(string(f))
	names, err := doublestar.Glob(root, pattern)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte, len(names))
	for _, name := range names {
		if out[filepath.ToSlash(name)], err = fs.ReadFile(root, name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (f folder) GetDirectories(context.Context, string, string, string, bool, bool) ([]string, error) {
	return nil, errors.New("only files are generated from")
}

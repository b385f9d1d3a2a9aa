// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command image makes container images from what is in this repository, and writes them to archives.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/slipway-dev/terraform-provider-slipway/test/image"
)

const usage = `usage: go run ./test/image/cmd/image data-collection --version VERSION... [--out FILE]

Makes the image registry.company.com/data-collection:VERSION of the sample service, for each --version, and prints the
paths of the archives, one a line. With --out, all versions are written to FILE.

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "image: %v\n\n%s", err, usage)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// errUsage says that the arguments are wrong.
var errUsage = errors.New("wrong arguments")

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {} // main prints it
	var versions []string
	flags.Func("version", "version of the service, for example v1.1.1; may be given several times", func(v string) error {
		versions = append(versions, v)
		return nil
	})
	out := flags.String("out", "", "archive to write; by default, one for each version in the cache")

	if len(args) == 0 || args[0] != "data-collection" {
		return fmt.Errorf("%w: the only image there is is data-collection", errUsage)
	}
	if err := flags.Parse(args[1:]); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if len(versions) == 0 || flags.NArg() > 0 {
		return fmt.Errorf("%w: --version is needed, and nothing but options is taken", errUsage)
	}

	if *out != "" {
		if err := image.DataCollectionImages(ctx, *out, versions...); err != nil {
			return err
		}
		_, err := fmt.Fprintln(stdout, *out)
		return err
	}
	for _, version := range versions {
		archive, err := image.DataCollection(ctx, version)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(stdout, archive); err != nil {
			return err
		}
	}
	return nil
}

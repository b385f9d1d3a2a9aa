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

const usage = `usage: go run ./test/image/cmd/image data-collection --version VERSION[:FAULT=VALUE,...]... [--out FILE]
       go run ./test/image/cmd/image slipway-migrate --version VERSION --out FILE
       go run ./test/image/cmd/image prometheus --out FILE
       go run ./test/image/cmd/image istiod --program FILE --out FILE

data-collection makes the image registry.company.com/data-collection:VERSION of the sample service, for each --version,
and prints the paths of the archives, one a line. With --out, all versions are written to FILE. Faults are the service's
switches for tests, for example v1.2.1:ERROR_SHARE=0.2.

slipway-migrate makes the image ghcr.io/slipway-dev/slipway-migrate:VERSION of the migration runner.

prometheus makes the image slipway.local/prometheus:debian of the distribution's Prometheus.

istiod makes the image slipway.local/istiod:built of Istio's control plane, the program pilot-discovery.

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

// errUsage means that the arguments are wrong.
var errUsage = errors.New("wrong arguments")

func run(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: which image?", errUsage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {} // main prints it
	out := flags.String("out", "", "archive to write")
	program := flags.String("program", "", "program to put into the image")
	var versions []image.Version
	flags.Func("version", "version of the service, may be given several times", func(text string) error {
		version, err := image.ParseVersion(text)
		versions = append(versions, version)
		return err
	})
	if err := flags.Parse(args[1:]); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%w: nothing but options is taken after the name of the image", errUsage)
	}

	switch {
	case args[0] == "data-collection" && len(versions) > 0:
		return dataCollection(ctx, stdout, *out, versions)
	case args[0] == "data-collection":
		return fmt.Errorf("%w: data-collection needs --version", errUsage)
	case args[0] == "slipway-migrate" && *out != "" && len(versions) == 1 && len(versions[0].Faults) == 0:
		if err := image.SlipwayMigrate(ctx, *out, versions[0].Tag); err != nil {
			return err
		}
		_, err := fmt.Fprintln(stdout, *out)
		return err
	case args[0] == "slipway-migrate":
		return fmt.Errorf("%w: slipway-migrate needs one --version, and --out", errUsage)
	case args[0] == "prometheus" && *out != "" && len(versions) == 0:
		if err := image.Prometheus(ctx, *out); err != nil {
			return err
		}
		_, err := fmt.Fprintln(stdout, *out)
		return err
	case args[0] == "prometheus":
		return fmt.Errorf("%w: prometheus needs --out, and takes nothing else", errUsage)
	case args[0] == "istiod" && *out != "" && *program != "" && len(versions) == 0:
		if err := image.Istiod(ctx, *out, *program); err != nil {
			return err
		}
		_, err := fmt.Fprintln(stdout, *out)
		return err
	case args[0] == "istiod":
		return fmt.Errorf("%w: istiod needs --program and --out, and takes nothing else", errUsage)
	}
	return fmt.Errorf("%w: there is no image %s", errUsage, args[0])
}

func dataCollection(ctx context.Context, stdout io.Writer, out string, versions []image.Version) error {
	if out != "" {
		if err := image.DataCollectionImages(ctx, out, versions...); err != nil {
			return err
		}
		_, err := fmt.Fprintln(stdout, out)
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

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package apiv1 is the gRPC interface of the service, generated from datacollection.proto.
//
// To generate it again: protoc 3.21 (Debian: protobuf-compiler and libprotobuf-dev), protoc-gen-go and protoc-gen-go-grpc on the PATH, then
// go generate ./api/v1.
package apiv1

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative datacollection.proto

// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package service

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	apiv1 "github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/api/v1"
	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/faults"
)

// dial serves s on a loopback port and connects to it.
func dial(t *testing.T, s *Service) *grpc.ClientConn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := s.GRPC(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return connection
}

func payload(t *testing.T, fields map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(fields)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGRPC_StoresRecordsThatHTTPLists(t *testing.T) {
	s := newService(t, nil)
	client := apiv1.NewDataCollectionClient(dial(t, s))
	answer, err := client.Collect(t.Context(), &apiv1.CollectRequest{Source: "sensor-1", Payload: payload(t, map[string]any{"t": 21.5})})
	if err != nil {
		t.Fatal(err)
	}
	if answer.GetId() != 1 || time.Since(answer.GetReceivedAt().AsTime()) > time.Minute {
		t.Errorf("got %v", answer)
	}
	if _, body := do(t, s, "GET", "/records", ""); !strings.Contains(body, `"source":"sensor-1","payload":{"t":21.5}`) {
		t.Errorf("HTTP lists %s", body)
	}

	version, err := client.Version(t.Context(), &apiv1.VersionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if version.GetVersion() != "v1.1.1" || version.GetClient() != "client-a" || version.GetStage() != "prod" ||
		version.GetStore() != "memory" {
		t.Errorf("got %v", version)
	}
}

func TestGRPC_AnswersBadCallsWithTheReason(t *testing.T) {
	client := apiv1.NewDataCollectionClient(dial(t, newService(t, func(o *Options) { o.Token = "token-1" })))
	withToken := func(token string) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), "authorization", token)
	}
	good := &apiv1.CollectRequest{Source: "a", Payload: payload(t, nil)}
	for name, test := range map[string]struct {
		ctx     context.Context
		request *apiv1.CollectRequest
		code    codes.Code
		want    string
	}{
		"no token":    {t.Context(), good, codes.Unauthenticated, "API token"},
		"other token": {withToken("Bearer token-2"), good, codes.Unauthenticated, "API token"},
		"no source":   {withToken("Bearer token-1"), &apiv1.CollectRequest{Payload: payload(t, nil)}, codes.InvalidArgument, "source is empty"},
		"no payload":  {withToken("Bearer token-1"), &apiv1.CollectRequest{Source: "a"}, codes.InvalidArgument, "payload is missing"},
		"too large": {withToken("Bearer token-1"),
			&apiv1.CollectRequest{Source: "a", Payload: payload(t, map[string]any{"x": strings.Repeat("x", 2000)})},
			codes.ResourceExhausted, "larger than max"},
		"good": {withToken("Bearer token-1"), good, codes.OK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.Collect(test.ctx, test.request)
			if status.Code(err) != test.code || !strings.Contains(status.Convert(err).Message(), test.want) {
				t.Errorf("got %v, want %v with %q", err, test.code, test.want)
			}
		})
	}
}

func TestGRPC_CountsCallsAndFailsTheShareOfThem(t *testing.T) {
	s := newService(t, func(o *Options) { o.Faults = faults.NewInjector(faults.Faults{ErrorShare: 0.5}) })
	connection := dial(t, s)
	client := apiv1.NewDataCollectionClient(connection)
	for range 10 {
		_, err := client.Version(t.Context(), &apiv1.VersionRequest{})
		if code := status.Code(err); code != codes.OK && code != codes.Internal {
			t.Errorf("got %v", err)
		}
		if _, err := healthpb.NewHealthClient(connection).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
			t.Errorf("a health check fails: %v", err)
		}
	}
	_, body := do(t, s, "GET", "/metrics", "")
	for _, line := range []string{
		`grpc_requests_total{code="OK",method="Version",version="v1.1.1"} 5`,
		`grpc_requests_total{code="Internal",method="Version",version="v1.1.1"} 5`,
		`grpc_request_duration_seconds_count{method="Version",version="v1.1.1"} 10`,
	} {
		if !strings.Contains(body, line) {
			t.Errorf("%s is missing", line)
		}
	}
	if strings.Contains(body, `method="Check"`) {
		t.Error("health checks are counted")
	}
}

func TestGRPC_HealthFollowsReadiness(t *testing.T) {
	s := newService(t, nil)
	client := healthpb.NewHealthClient(dial(t, s))
	wait := func(want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			answer, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "datacollection.v1.DataCollection"})
			if err == nil && answer.GetStatus() == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("got %v, %v; want %v", answer, err, want)
			}
		}
	}
	wait(healthpb.HealthCheckResponse_SERVING)
	s.Stop()
	wait(healthpb.HealthCheckResponse_NOT_SERVING)
}

func TestGRPC_DescribesItselfByReflection(t *testing.T) {
	stream, err := reflectionpb.NewServerReflectionClient(dial(t, newService(t, nil))).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	request := &reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range answer.GetListServicesResponse().GetService() {
		if service.GetName() == "datacollection.v1.DataCollection" {
			return
		}
	}
	t.Errorf("the service is not listed: %v", answer)
}

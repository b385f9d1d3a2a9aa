// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package service

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	apiv1 "github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/api/v1"
	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/record"
)

// healthInterval is how often the gRPC health service learns whether the service is ready.
const healthInterval = time.Second

// GRPC makes the gRPC server: the service itself, health and reflection. Until ctx ends the health service follows
// Ready.
func (s *Service) GRPC(ctx context.Context) *grpc.Server {
	server := grpc.NewServer(
		grpc.UnaryInterceptor(s.counting),
		grpc.MaxRecvMsgSize(int(s.MaxRecordBytes)+record.MaxSourceLength+64),
	)
	apiv1.RegisterDataCollectionServer(server, &grpcService{service: s})
	reflection.Register(server)

	checks := health.NewServer()
	healthpb.RegisterHealthServer(server, checks)
	checks.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	checks.SetServingStatus(apiv1.DataCollection_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_NOT_SERVING)
	go s.followReadiness(ctx, checks)
	return server
}

func (s *Service) followReadiness(ctx context.Context, checks *health.Server) {
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	for {
		state := healthpb.HealthCheckResponse_SERVING
		if s.Ready(ctx) != nil {
			state = healthpb.HealthCheckResponse_NOT_SERVING
		}
		checks.SetServingStatus("", state)
		checks.SetServingStatus(apiv1.DataCollection_ServiceDesc.ServiceName, state)
		select {
		case <-ctx.Done():
			checks.Shutdown()
			return
		case <-ticker.C:
		}
	}
}

// counting injects the requested faults and counts the calls of the service itself.
func (s *Service) counting(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	name, ours := strings.CutPrefix(info.FullMethod, "/"+apiv1.DataCollection_ServiceDesc.ServiceName+"/")
	if !ours {
		return next(ctx, request)
	}
	started := time.Now()
	var (
		answer any
		err    error
	)
	if s.Faults.Request(ctx) {
		err = status.Error(codes.Internal, "this request fails because ERROR_SHARE is set")
	} else {
		answer, err = next(ctx, request)
	}
	s.metrics.countGRPC(status.Code(err).String(), name, time.Since(started))
	return answer, err
}

type grpcService struct {
	apiv1.UnimplementedDataCollectionServer
	service *Service
}

// Collect stores one record.
func (g *grpcService) Collect(ctx context.Context, request *apiv1.CollectRequest) (*apiv1.CollectResponse, error) {
	incoming, _ := metadata.FromIncomingContext(ctx)
	if !g.service.allows(strings.Join(incoming.Get("authorization"), "")) {
		return nil, status.Error(codes.Unauthenticated, "the metadata \"authorization: Bearer …\" with the API token is needed")
	}
	rec := record.Record{Source: request.GetSource()}
	if request.GetPayload() != nil {
		payload, err := protojson.Marshal(request.GetPayload())
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "payload is not valid: %v", err)
		}
		rec.Payload = payload
	}

	err := record.Validate(rec)
	if err == nil {
		rec, err = g.service.Store.Add(ctx, rec)
	}
	var invalid *record.InvalidError
	switch {
	case errors.As(err, &invalid):
		return nil, status.Error(codes.InvalidArgument, invalid.Reason)
	case err != nil && ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	case err != nil:
		g.service.Log.ErrorContext(ctx, "the record was not stored", "error", err.Error())
		return nil, status.Error(codes.Internal, "the record was not stored; the service's log says why")
	}
	return &apiv1.CollectResponse{Id: rec.ID, ReceivedAt: timestamppb.New(rec.ReceivedAt)}, nil
}

// Version returns the running version.
func (g *grpcService) Version(context.Context, *apiv1.VersionRequest) (*apiv1.VersionResponse, error) {
	info := g.service.Info
	return &apiv1.VersionResponse{
		Service: info.Service,
		Version: info.Version,
		Commit:  info.Commit,
		Client:  info.Client,
		Stage:   info.Stage,
		Store:   info.Store,
	}, nil
}

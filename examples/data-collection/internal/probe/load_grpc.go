// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package probe

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	_ "google.golang.org/grpc/xds" // for xds:///, with the bootstrap in GRPC_XDS_BOOTSTRAP or GRPC_XDS_BOOTSTRAP_CONFIG

	apiv1 "github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/api/v1"
)

type grpcServer struct {
	connection *grpc.ClientConn
	client     apiv1.DataCollectionClient
	headers    metadata.MD
	timeout    time.Duration
}

func dialGRPC(o LoadOptions) (server, error) {
	connection, err := grpc.NewClient(o.URL, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return &grpcServer{
		connection: connection, client: apiv1.NewDataCollectionClient(connection), headers: metadata.New(o.Headers), timeout: o.Timeout,
	}, nil
}

func (s *grpcServer) Close() error { return s.connection.Close() }

// unknownCluster is the error of grpc-go for a call that took a new route before the balancer knew its target: it puts new
// routes in effect first, and then the balancer (updateResolverStateAndUnlock in its clientconn.go). The call was never sent.
const unknownCluster = "unknown cluster selected for RPC"

// reselectAfter is how long a call waits before it chooses its route again, until its time is up.
const reselectAfter = time.Millisecond

func (s *grpcServer) ask(ctx context.Context) (answer, error) {
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(ctx, s.headers), s.timeout)
	defer cancel()
	for again := 0; ; again++ {
		response, err := s.client.Version(ctx, &apiv1.VersionRequest{})
		switch code := status.Code(err); {
		case code == codes.OK:
			return answer{code: code.String(), good: true, version: response.GetVersion(), reselected: again}, nil
		case strings.Contains(status.Convert(err).Message(), unknownCluster) && ctx.Err() == nil:
			time.Sleep(reselectAfter)
		case code == codes.Unavailable, code == codes.DeadlineExceeded: // gRPC's codes for no answer
			return answer{reselected: again}, err
		default:
			return answer{code: code.String(), reselected: again}, nil
		}
	}
}

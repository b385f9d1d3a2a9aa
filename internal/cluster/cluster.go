// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// Cluster is one API server with everything that is shared between the operations on it: transport, typed, dynamic and
// metadata clients, discovery and REST mapper, each built on first use. Safe for concurrent use.
type Cluster struct {
	coordinate Coordinate
	config     *rest.Config

	kubernetes once[kubernetes.Interface]
	dynamic    once[dynamic.Interface]
	metadata   once[metadata.Interface]
	discovery  once[discovery.CachedDiscoveryInterface]
	mapper     once[meta.ResettableRESTMapper]

	requests singleflight.Group // UID and capabilities

	mu           sync.Mutex
	uid          string
	silent       error     // why the cluster did not answer the last request for its UID
	silentAt     time.Time // when that was
	capabilities *Capabilities

	leaseMu sync.Mutex
	leases  map[string]*sharedLease
	timing  timing
	holder  string // who holds our Leases; empty: processHolder
}

// Coordinate is the coordinate that this cluster was opened with.
func (c *Cluster) Coordinate() Coordinate { return c.coordinate }

// Host is the address of the API server, for messages.
func (c *Cluster) Host() string { return c.config.Host }

// silence is how long a cluster that did not answer is taken for still silent: one round of reads, not the next operation.
const silence = 15 * time.Second

// UID is the UID of namespace kube-system, which identifies a cluster independently of its address. It is read once per
// process. A cluster that did not answer is not contacted again for 15 s: otherwise a plan of many resources would wait for a
// timeout for each of them. Errors as from Classify.
func (c *Cluster) UID(ctx context.Context) (string, error) {
	c.mu.Lock()
	uid, silent := c.uid, c.silent
	if time.Since(c.silentAt) > silence {
		silent = nil
	}
	c.mu.Unlock()
	if uid != "" {
		return uid, nil
	}
	if silent != nil {
		return "", silent
	}
	answer, err := c.ask(ctx, "uid", func(ctx context.Context) (any, error) {
		client, err := c.Metadata()
		if err != nil {
			return "", err
		}
		namespace, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).
			Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
		if err != nil {
			err = c.Classify(fmt.Errorf("reading the cluster's identity: %w", err))
			if _, unreachable := errors.AsType[*UnreachableError](err); unreachable {
				c.mu.Lock()
				c.silent, c.silentAt = err, time.Now()
				c.mu.Unlock()
			}
			return "", err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.uid = string(namespace.UID)
		return c.uid, nil
	})
	if err != nil {
		return "", err
	}
	uid, _ = answer.(string)
	return uid, nil
}

// RequireUID compares the cluster with the recorded one. An empty want is no requirement. Errors: *MismatchError, others as
// from UID.
func (c *Cluster) RequireUID(ctx context.Context, want string) error {
	if want == "" {
		return nil
	}
	got, err := c.UID(ctx)
	if err != nil {
		return err
	}
	if got != want {
		return &MismatchError{Context: c.coordinate.Context, Want: want, Got: got}
	}
	return nil
}

// ask lets concurrent callers share one request. The request does not end when one of the callers gives up; it ends by the
// transport's own limits.
func (c *Cluster) ask(ctx context.Context, key string, question func(context.Context) (any, error)) (any, error) {
	answer := c.requests.DoChan(key, func() (any, error) { return question(context.WithoutCancel(ctx)) })
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-answer:
		return result.Val, result.Err
	}
}

// Classify is the package's Classify, which also adds the host where the error names none.
func (c *Cluster) Classify(err error) error {
	switch typed := Classify(err).(type) {
	case *UnreachableError:
		typed.Host = firstOf(typed.Host, c.config.Host)
		return typed
	case *UnauthorizedError:
		typed.Host = firstOf(typed.Host, c.config.Host)
		return typed
	default:
		return typed
	}
}

// RESTConfig is a copy that holds no credentials: its Transport is the shared, authenticated one, so that a caller may wrap
// it (see Gate).
func (c *Cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.config) }

// Kubernetes is the typed client. It uses protobuf.
func (c *Cluster) Kubernetes() (kubernetes.Interface, error) {
	return c.kubernetes.get(func() (kubernetes.Interface, error) { return NewKubernetes(c.RESTConfig()) })
}

// NewKubernetes makes a typed client that uses protobuf from a (wrapped) copy of RESTConfig.
func NewKubernetes(config *rest.Config) (kubernetes.Interface, error) {
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return kubernetes.NewForConfigAndClient(config, httpClient(config))
}

// Dynamic is the client for objects of any kind.
func (c *Cluster) Dynamic() (dynamic.Interface, error) {
	return c.dynamic.get(func() (dynamic.Interface, error) {
		config := c.RESTConfig()
		return dynamic.NewForConfigAndClient(config, httpClient(config))
	})
}

// Metadata is the client that reads only metadata.
func (c *Cluster) Metadata() (metadata.Interface, error) {
	return c.metadata.get(func() (metadata.Interface, error) {
		config := c.RESTConfig()
		return metadata.NewForConfigAndClient(config, httpClient(config))
	})
}

// Discovery is cached for the process; Invalidate drops what it knows (after CRDs were made).
func (c *Cluster) Discovery() (discovery.CachedDiscoveryInterface, error) {
	return c.discovery.get(func() (discovery.CachedDiscoveryInterface, error) {
		config := c.RESTConfig()
		client, err := discovery.NewDiscoveryClientForConfigAndClient(config, httpClient(config))
		if err != nil {
			return nil, err
		}
		return memory.NewMemCacheClient(client), nil
	})
}

// RESTMapper is cached like Discovery, which it is based on.
func (c *Cluster) RESTMapper() (meta.ResettableRESTMapper, error) {
	return c.mapper.get(func() (meta.ResettableRESTMapper, error) {
		client, err := c.Discovery()
		if err != nil {
			return nil, err
		}
		return restmapper.NewDeferredDiscoveryRESTMapper(client), nil
	})
}

// Capabilities are what charts can query about a cluster, cached for the process. A group whose own API server does not
// answer is left out, as Helm does. Errors as from Classify.
func (c *Cluster) Capabilities(ctx context.Context) (Capabilities, error) {
	c.mu.Lock()
	known := c.capabilities
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	answer, err := c.ask(ctx, "capabilities", func(context.Context) (any, error) {
		found, err := discoverCapabilities(c)
		if err != nil {
			return nil, c.Classify(fmt.Errorf("reading the API resources of the cluster: %w", err))
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.capabilities = found
		return found, nil
	})
	if err != nil {
		return Capabilities{}, err
	}
	found, ok := answer.(*Capabilities)
	if !ok {
		return Capabilities{}, fmt.Errorf("capabilities of %s: unexpected %T", c.config.Host, answer)
	}
	return *found, nil
}

// Invalidate drops what discovery, REST mapper and Capabilities know.
func (c *Cluster) Invalidate() {
	if mapper, made := c.mapper.made(); made {
		mapper.Reset()
	}
	if client, made := c.discovery.made(); made {
		client.Invalidate()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.capabilities = nil
}

// Hold takes the Lease of a namespace or joins it where this process holds it already, waiting for another holder until
// ctx ends. A Lease is taken over only after it was seen unchanged for 30 s on our own clock, so no clocks are compared.
// It is renewed every 10 s until the last user has released it. waiting may be nil; it is called, at most every 10 s,
// with the holder that is waited for. Errors: *HeldError when ctx ends first, others as from Classify.
func (c *Cluster) Hold(ctx context.Context, namespace string, waiting func(holder string)) (*Lease, error) {
	shared := c.sharedLease(namespace)
	if err := shared.lock(ctx); err != nil {
		return nil, err
	}
	defer shared.unlock()

	// A session whose renewals fail cannot be joined; its users find out by Valid. A new one takes the Lease again.
	if current := shared.current; current != nil && current.valid() == nil {
		current.users++
		return &Lease{session: current}, nil
	}
	client, err := c.Kubernetes()
	if err != nil {
		return nil, err
	}
	lock := leaseLock{
		leases:    client.CoordinationV1().Leases(namespace),
		namespace: namespace,
		holder:    c.holderName(),
		user:      newUser(),
		timing:    c.timing,
		classify:  c.Classify,
	}
	sent, err := lock.take(ctx, waiting)
	if err != nil {
		return nil, err
	}
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	made := &session{lock: lock, shared: shared, users: 1, stop: stop, stopped: make(chan struct{}), renewed: sent}
	shared.current = made
	go made.renew(renewing)
	return &Lease{session: made}, nil
}

func (c *Cluster) sharedLease(namespace string) *sharedLease {
	c.leaseMu.Lock()
	defer c.leaseMu.Unlock()
	shared, ok := c.leases[namespace]
	if !ok {
		shared = &sharedLease{turn: make(chan struct{}, 1)}
		c.leases[namespace] = shared
	}
	return shared
}

func (c *Cluster) holderName() string {
	if c.holder != "" {
		return c.holder
	}
	return processHolder()
}

// httpClient uses the transport of config as it is, with what a caller wrapped around it. The clients' default would add
// a second layer of user agent and bookkeeping per client.
func httpClient(config *rest.Config) *http.Client {
	next := config.Transport
	if config.WrapTransport != nil {
		next = config.WrapTransport(next)
	}
	return &http.Client{Transport: next}
}

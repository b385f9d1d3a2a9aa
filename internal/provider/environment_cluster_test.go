// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestEnvironment_StateIsKeptWhileTheClusterCannotBeAsked(t *testing.T) {
	client, namespace := testClient(t)
	api := newTestAPI(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "https://" + listener.Addr().String()
	_ = listener.Close()
	block := environmentBlock(client, "proxied", fmt.Sprintf("{ name = %q }", namespace), unprotected)
	changed := environmentBlock(client, "proxied", fmt.Sprintf("{ name = %q, labels = { a = \"b\" } }", namespace), unprotected)
	kept := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	resource.ParallelTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{
			{Config: api.provider(client+"-prod") + block},
			{Config: connectedProvider(client+"-prod", closed) + block, ConfigPlanChecks: kept},
			{Config: connectedProvider(client+"-prod", closed) + changed, ExpectError: errorText("connection refused")},
			{PreConfig: func() { api.expired.Store(true) }, Config: api.provider(client+"-prod") + block, ConfigPlanChecks: kept},
			{Config: api.provider(client+"-prod") + changed, ExpectError: errorText("does not accept the credentials")},
			{Config: testProvider(t, client+"-prod") + block, ConfigPlanChecks: kept}, // the connection is gone from the configuration
			{PreConfig: func() { api.expired.Store(false) }, Config: api.provider(client+"-prod") + changed},
			// Another way to the same cluster touches nothing but the state.
			{
				Config: testProvider(t, client+"-prod") + environmentBlock(client, testContext(t),
					fmt.Sprintf("{ name = %q, labels = { a = \"b\" } }", namespace), unprotected),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(environmentName, plancheck.ResourceActionUpdate)},
				},
			},
		},
	})
}

func TestEnvironment_AnotherClusterIsRefusedUnlessTheMoveIsAllowed(t *testing.T) {
	client, namespace := testClient(t)
	api := newTestAPI(t)
	config := func(extra string) string {
		return api.provider(client+"-prod") + environmentBlock(client, "proxied", fmt.Sprintf("{ name = %q }", namespace), unprotected+extra)
	}
	resource.ParallelTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{
			{Config: config("")},
			{
				PreConfig:   func() { api.another.Store(true) },
				Config:      config(""),
				ExpectError: errorText("leads to another cluster than the one that this was created in"),
			},
			{Config: config(""), Destroy: true, ExpectError: errorText("leads to another cluster")},
			{Config: config(`allow_cluster_move = "11111111-1111-1111-1111-111111111111"`), ExpectError: errorText(fakeUID)},
			{
				Config: config(fmt.Sprintf("allow_cluster_move = %q", fakeUID)),
				Check:  resource.TestCheckResourceAttr(environmentName, "cluster_uid", fakeUID),
			},
		},
	})
}

func TestEnvironment_WaitsForAnotherRunUntilItIsDead(t *testing.T) {
	client, namespace := testClient(t)
	leases := testKubernetes(t).CoordinationV1().Leases(namespace)
	holder := "terraform process 4711 on another-machine"
	renew := func(ctx context.Context) error {
		lease, err := leases.Get(ctx, "slipway", metav1.GetOptions{})
		if err != nil {
			return err
		}
		now := metav1.NowMicro()
		lease.Spec = coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &now}
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
		return err
	}
	alive, die := context.WithCancel(t.Context())
	dead := make(chan error, 1)
	changed := unprotected + `timeouts = { update = "1s" }`
	resource.ParallelTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{
			{Config: environmentConfig(t, client, namespace, unprotected)},
			{
				PreConfig: func() {
					if err := renew(t.Context()); err != nil {
						t.Fatal(err)
					}
					go func() {
						for alive.Err() == nil {
							if err := renew(t.Context()); err != nil {
								dead <- err
								return
							}
							time.Sleep(time.Second)
						}
						dead <- nil
					}()
				},
				Config:      environmentConfig(t, client, namespace, changed),
				ExpectError: errorText(holder),
			},
			{
				PreConfig: func() {
					die()
					if err := <-dead; err != nil {
						t.Fatal(err)
					}
				},
				Config: environmentConfig(t, client, namespace, unprotected+`timeouts = { update = "5m" }`),
			},
		},
	})
}

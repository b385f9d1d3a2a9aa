// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// maxSelectorTries is how often a write is repeated because of changes that leave the label as it was.
const maxSelectorTries = 5

// liveService is the Service that clients call, with what says which color is live: its selector, or a route to it.
type liveService struct {
	object *corev1.Service
	// color is the live one; has says that there is one at all.
	color string
	has   bool
	// common is the selector without the color's label: what the pods of both colors have.
	common map[string]string
	// route is switched instead of the selector; nil where the selector is.
	route route.Router
}

// readService reads the live Service. With Target.Route, it also reads the route, through client. Errors:
// *pods.ServiceMissingError, those of route.Router.Read, others as from cluster.Classify.
func readService(ctx context.Context, reads kubernetes.Interface, client dynamic.Interface, target Target) (*liveService, error) {
	found, err := reads.CoreV1().Services(target.Handle.Namespace).Get(ctx, target.Service, metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return nil, &pods.ServiceMissingError{Service: target.Service, Namespace: target.Handle.Namespace}
	}
	if err != nil {
		return nil, target.Cluster.Classify(fmt.Errorf("reading Service %s: %w", target.Service, err))
	}
	s, err := selectedBy(found, target)
	if err != nil || target.Route == nil {
		return s, err
	}
	if s.has {
		return nil, errSelectsOneColor(target.Service, target.Label, s.color)
	}
	return s, s.readRoute(ctx, client, target)
}

// selectedBy is the live Service as its selector says.
func selectedBy(found *corev1.Service, target Target) (*liveService, error) {
	s := &liveService{object: found, common: maps.Clone(found.Spec.Selector)}
	value, has := found.Spec.Selector[target.Label]
	s.color, s.has = target.color(value), has
	delete(s.common, target.Label)
	if len(s.common) == 0 {
		return nil, errNoCommonLabels(target.Service, target.Label)
	}
	return s, nil
}

// readRoute reads which color the route sends requests to, and lets client write from now on. The Service has the pods of both colors.
func (s *liveService) readRoute(ctx context.Context, client dynamic.Interface, target Target) error {
	router, err := target.Route(client)
	if err != nil {
		return err
	}
	seen, err := router.Read(ctx)
	if err != nil {
		return err
	}
	s.route, s.color, s.has = router, "", false
	if !seen.Exists || !seen.Managed {
		return nil
	}
	s.has = true
	switch seen.Split.Weight {
	case 0:
		s.color = Blue
	case 100:
		s.color = Green
	default:
		s.color = fmt.Sprintf("%d%% green", seen.Split.Weight)
	}
	return nil
}

// describe is the live color in words.
func (s *liveService) describe() string {
	if !s.has {
		return "no color"
	}
	return s.color
}

// previous is what comes back when a switch to a color fails, nil where nothing was live.
func (s *liveService) previous(to string) *string {
	color := s.color
	if s.route != nil {
		color = Opposite(to) // whatever share it had
	} else if !s.has {
		return nil
	}
	return &color
}

// set makes a color live; nil takes the color out of the selector. If another user has changed the color meanwhile, it fails with a
// *route.ConflictError.
func (s *liveService) set(ctx context.Context, client kubernetes.Interface, target Target, color *string) error {
	if s.route == nil {
		return s.setSelector(ctx, client, target, color)
	}
	split := route.Split{}
	if *color == Green {
		split.Weight = 100
	}
	if err := s.route.Set(ctx, split); err != nil {
		return err
	}
	s.color, s.has = *color, true
	return nil
}

// setSelector writes the label in the selector, and nothing else.
func (s *liveService) setSelector(ctx context.Context, client kubernetes.Interface, target Target, color *string) error {
	var value *string
	if color != nil {
		text := target.value(*color)
		value = &text
	}
	all := client.CoreV1().Services(target.Handle.Namespace)
	for try := 1; ; try++ {
		patch, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"resourceVersion": s.object.ResourceVersion},
			"spec":     map[string]any{"selector": map[string]any{target.Label: value}},
		})
		if err != nil {
			return fmt.Errorf("writing the patch of Service %s: %w", target.Service, err)
		}
		written, err := all.Patch(ctx, target.Service, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: cluster.FieldManager})
		if err == nil {
			now, err := selectedBy(written, target)
			if err == nil {
				*s = *now
			}
			return err
		}
		if !apierrors.IsConflict(err) {
			return target.Cluster.Classify(fmt.Errorf("writing the selector of Service %s: %w", target.Service, err))
		}
		now, readErr := readService(ctx, client, nil, target)
		if readErr != nil {
			return readErr
		}
		before := *s
		*s = *now
		if now.color != before.color || now.has != before.has || now.object.UID != before.object.UID || try == maxSelectorTries {
			return &route.ConflictError{Object: "Service " + target.Service, Cause: err}
		}
	}
}

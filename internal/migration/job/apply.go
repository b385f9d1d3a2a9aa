// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/runner"
	"github.com/slipway-dev/terraform-provider-slipway/internal/task"
)

const (
	// LabelMigration is on everything that belongs to a migration, with its name as value. A release reads it, see the marks of
	// irreversible migrations there.
	LabelMigration = "slipway.dev/migration"

	annotationSince     = "slipway.dev/irreversible-since"
	annotationSafeAfter = "slipway.dev/irreversible-safe-after"
	annotationReason    = "slipway.dev/irreversible-reason"
	annotationInstance  = environment.AnnotationInstance
	labelManagedBy      = "app.kubernetes.io/managed-by"
	mirrorKey           = "mirror"
	// afterwardsTimeout bounds what is still written after an interrupt.
	afterwardsTimeout = 20 * time.Second
)

func mirrorName(migration string) string { return "slipway-migration-" + migration }

// Options steer Apply.
type Options struct {
	InstanceID string
	// Create takes over what carries another instance id, but for what MadeInThisRun knows.
	Create        bool
	MadeInThisRun func(id string) bool
	ClusterUID    string // empty: not compared
	// Image of the runner, slipway-migrate.
	Image       string
	PullSecrets []string
	// DatabaseURL goes into a Secret that lives as long as the Job. Otherwise Credentials names one of the namespace.
	DatabaseURL string
	Credentials *SecretKey
	// Baseline is the number up to which files count as applied where nothing is recorded in the database. 0: none.
	Baseline int64
	// Direct runs the files from this process instead of a Job. The database must be reachable from here.
	Direct bool
	// LockTimeout is how long a statement waits for a lock before it is tried again, StatementTimeout limits each statement.
	// 0: the runner's defaults, 3 s and no limit.
	LockTimeout, StatementTimeout time.Duration
	// Gate is nil for an expand migration.
	Gate *Gate
	// Recorded is what was applied as far as the caller remembers. It takes the place of a contract migration's record that is lost: without
	// one a rollback could go back behind it, and a closed gate keeps the database from being asked.
	Recorded map[string]string
	// Timeout limits the Job. Default 15 min.
	Timeout  time.Duration
	Progress func(string)
}

// SecretKey is a key of a Secret.
type SecretKey = task.SecretKey

// DefaultTimeout of a migration.
const DefaultTimeout = 15 * time.Minute

// Result is what is applied after Apply. It may be there beside an error.
type Result struct {
	Applied    map[string]string
	ClusterUID string
	// Progress is of commands.
	Progress Progress
	// Blocked says why a contract migration was not run.
	Blocked []string
	// Validated is the ValidateDigest of what was validated last.
	Validated string
}

// Apply runs what is pending of a directory and mirrors it. It holds the environment's Lease meanwhile. Where a gate is closed,
// nothing is run and Result.Blocked says why. Errors: *RunError, *OwnerError, *EditedError, *LateError, *MirrorError, those of packages
// environment and cluster.
func Apply(ctx context.Context, target Target, dir *Directory, options Options) (*Result, error) {
	return apply(ctx, target, options, func(a *application) error { return a.run(dir) })
}

func apply(ctx context.Context, target Target, options Options, work func(*application) error) (_ *Result, err error) {
	if options.Timeout <= 0 {
		options.Timeout = DefaultTimeout
	}
	if err := target.Cluster.RequireUID(ctx, options.ClusterUID); err != nil {
		return nil, err
	}
	uid, err := target.Cluster.UID(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := environment.Check(ctx, target.Cluster, target.Handle); err != nil {
		return nil, err
	}
	a := &application{target: target, options: options, caller: ctx, result: &Result{ClusterUID: uid}}
	finish, err := a.begin()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, finish()) }()
	return a.result, work(a)
}

// application is one Apply while it runs.
type application struct {
	target  Target
	options Options
	caller  context.Context
	ctx     context.Context
	result  *Result
	reads   kubernetes.Interface
	// gated is refused mutations once ctx has ended or the Lease is lost; durable only for the latter.
	gated, durable kubernetes.Interface

	// secretKeys are those whose values the program could print, beside the database's URL.
	secretKeys []SecretKey

	found  *corev1.ConfigMap // the mirror as it stands, nil where there is none
	mirror mirror
	dir    *Directory // nil for commands
}

func (a *application) say(sentence string) {
	if a.options.Progress != nil {
		a.options.Progress(sentence)
	}
}

// begin takes the Lease. Waiting for another run does not eat the time of the migration.
func (a *application) begin() (finish func() error, err error) {
	c, namespace := a.target.Cluster, a.target.Handle.Namespace
	if a.reads, err = c.Kubernetes(); err != nil {
		return nil, err
	}
	holding, stop := context.WithTimeout(a.caller, cluster.HoldTimeout(a.options.Timeout))
	defer stop()
	lease, err := c.Hold(holding, namespace,
		func(holder string) { a.say("waiting for " + holder + ", which works on namespace " + namespace) })
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(a.caller, a.options.Timeout)
	a.ctx = ctx
	finish = func() error {
		cancel()
		after, stop := a.afterwards()
		defer stop()
		if err := lease.Release(after); err != nil {
			return fmt.Errorf("giving back the Lease of namespace %s: %w", namespace, err)
		}
		return nil
	}
	clients := [2]kubernetes.Interface{}
	for i, gate := range []context.Context{ctx, context.WithoutCancel(ctx)} {
		config := c.RESTConfig()
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return cluster.Gate(gate, lease, next) })
		if clients[i], err = cluster.NewKubernetes(config); err != nil {
			return nil, errors.Join(fmt.Errorf("making a client: %w", err), finish())
		}
	}
	a.gated, a.durable = clients[0], clients[1]
	return finish, nil
}

func (a *application) afterwards() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(a.caller), afterwardsTimeout)
}

// take reads the mirror, and refuses one of somebody else.
func (a *application) take() (err error) {
	if a.found, a.mirror, err = readMirror(a.ctx, a.reads, a.target); err != nil || a.found == nil {
		return err
	}
	owner := a.found.Annotations[annotationInstance]
	sameRun := a.options.MadeInThisRun != nil && a.options.MadeInThisRun(owner)
	if owner != a.options.InstanceID && (!a.options.Create || sameRun) {
		return &OwnerError{Name: a.target.Name, Namespace: a.target.Handle.Namespace, SameRun: sameRun}
	}
	return nil
}

func (a *application) run(dir *Directory) error {
	a.dir = dir
	if err := a.take(); err != nil {
		return err
	}
	a.result.Validated = a.mirror.Validated
	if a.found == nil && a.options.Gate != nil && len(a.options.Recorded) > 0 {
		a.mirror.Applied = maps.Clone(a.options.Recorded)
		a.mark(strings.Join(slices.Sorted(maps.Keys(a.mirror.Applied)), ", "))
	}
	a.result.Applied = maps.Clone(a.mirror.Applied)
	pending, err := Pending(dir.Files, a.mirror.Applied)
	if err != nil {
		return err
	}
	if a.found == nil {
		pending = dir.Files // the database knows which of them are applied
	}
	left, err := a.jobs()
	if err != nil {
		return err
	}
	if len(pending) == 0 && !a.validationPending() {
		if err := a.removeJobs(left); err != nil {
			return err
		}
		return a.save(false)
	}
	if a.options.Gate != nil && len(left) == 0 && len(pending) > 0 { // what has begun is finished
		if a.result.Blocked, err = Blocked(a.ctx, a.target, *a.options.Gate, time.Now()); err != nil {
			return err
		}
		if len(a.result.Blocked) > 0 {
			return a.save(false)
		}
	}
	if a.options.Gate != nil && len(pending) > 0 {
		// Before the first statement, or a killed run would leave no mark.
		var names []string
		for _, file := range pending {
			names = append(names, file.Name)
		}
		a.mark(strings.Join(names, ", "))
	}
	if err := a.save(false); err != nil {
		return err
	}
	known, err := a.known(dir)
	if err != nil {
		return err
	}
	if a.options.Direct {
		if err = a.finishJobs(left); err == nil {
			err = a.runDirect(pending, known)
		}
	} else {
		err = a.runJob(left, pending, known)
	}
	a.result.Applied, a.result.Validated = maps.Clone(a.mirror.Applied), a.mirror.Validated
	return err
}

// known are files that are not sent and that the database may have: those of the other kind, and those that were applied before.
func (a *application) known(dir *Directory) (map[string]string, error) {
	out := Checksums(append(slices.Clone(dir.Others), dir.Files...))
	list, err := a.reads.CoreV1().ConfigMaps(a.target.Handle.Namespace).List(a.ctx, metav1.ListOptions{LabelSelector: LabelMigration})
	if err != nil {
		return nil, a.target.Cluster.Classify(fmt.Errorf("listing the records of migrations: %w", err))
	}
	for i := range list.Items {
		object := &list.Items[i]
		if object.Name != mirrorName(object.Labels[LabelMigration]) {
			continue
		}
		m, err := decodeMirror(object.Name, object.Data[mirrorKey], a.target.Handle)
		if err != nil {
			return nil, err
		}
		maps.Copy(out, m.Applied)
	}
	return out, nil
}

// record puts into the mirror what a report says, and returns what is new.
func (a *application) record(pending []*File, report *runner.Report) []string {
	if report == nil {
		return nil
	}
	all := report.Outcome == runner.Done && report.Left == 0 || report.Phase == runner.PhaseValidate
	var added []string
	for _, file := range pending {
		listed := slices.Contains(report.Applied, file.Name)
		if all || listed {
			if _, had := a.mirror.Applied[file.Name]; !had {
				added = append(added, file.Name)
			}
			a.mirror.Applied[file.Name] = file.Checksum
		}
	}
	return added
}

// mark says to rollbacks of releases that there is no way back behind this.
func (a *application) mark(reason string) {
	if a.found == nil {
		a.found = &corev1.ConfigMap{}
	}
	if a.found.Annotations == nil {
		a.found.Annotations = map[string]string{}
	}
	a.found.Annotations[annotationSince] = time.Now().UTC().Format(time.RFC3339)
	a.found.Annotations[annotationSafeAfter] = a.options.Gate.SafeAfter
	a.found.Annotations[annotationReason] = reason
}

// readMirror returns nil where there is none.
func readMirror(ctx context.Context, client kubernetes.Interface, target Target) (*corev1.ConfigMap, mirror, error) {
	empty := mirror{Applied: map[string]string{}}
	found, err := client.CoreV1().ConfigMaps(target.Handle.Namespace).Get(ctx, mirrorName(target.Name), metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return nil, empty, nil
	}
	if err != nil {
		return nil, empty, target.Cluster.Classify(fmt.Errorf("reading ConfigMap %s: %w", mirrorName(target.Name), err))
	}
	if found.Labels[LabelMigration] != target.Name || found.Labels[labelManagedBy] != environment.FieldManager {
		return nil, empty, &MirrorError{Name: found.Name, Reason: "it was not made by Slipway"}
	}
	m, err := decodeMirror(found.Name, found.Data[mirrorKey], target.Handle)
	if m.Applied == nil {
		m.Applied = map[string]string{}
	}
	return found, m, err
}

// save writes the mirror. although the operation was interrupted where a Job's result would be lost otherwise.
func (a *application) save(although bool) error {
	handle := a.target.Handle
	a.mirror.Schema, a.mirror.Client, a.mirror.Stage, a.mirror.Updated = mirrorSchema, handle.Client, handle.Stage, time.Now().UTC()
	text, err := json.Marshal(a.mirror)
	if err != nil {
		return fmt.Errorf("writing the record of migration %s: %w", a.target.Name, err)
	}
	object := &corev1.ConfigMap{ObjectMeta: a.meta(mirrorName(a.target.Name)), Data: map[string]string{mirrorKey: string(text)}}
	object.Annotations = map[string]string{}
	if a.found != nil {
		maps.Copy(object.Annotations, a.found.Annotations)
		object.ResourceVersion = a.found.ResourceVersion
	}
	object.Annotations[annotationInstance] = a.options.InstanceID
	ctx, client := a.ctx, a.gated
	if although {
		after, stop := a.afterwards()
		defer stop()
		ctx, client = after, a.durable
	}
	all := client.CoreV1().ConfigMaps(handle.Namespace)
	if object.ResourceVersion == "" {
		a.found, err = all.Create(ctx, object, metav1.CreateOptions{FieldManager: environment.FieldManager})
	} else {
		a.found, err = all.Update(ctx, object, metav1.UpdateOptions{FieldManager: environment.FieldManager})
	}
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return fmt.Errorf("the ConfigMap %s was changed by somebody else meanwhile: apply again: %w", object.Name, err)
	case err != nil:
		return a.target.Cluster.Classify(fmt.Errorf("writing ConfigMap %s: %w", object.Name, err))
	}
	return nil
}

// meta is what all objects of a migration have.
func (a *application) meta(name string) metav1.ObjectMeta {
	handle := a.target.Handle
	return metav1.ObjectMeta{Name: name, Namespace: handle.Namespace, Labels: map[string]string{
		environment.LabelClient: handle.Client, environment.LabelStage: handle.Stage,
		labelManagedBy: environment.FieldManager, LabelMigration: a.target.Name,
	}}
}

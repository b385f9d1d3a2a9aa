// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	// kubeconfig is the cluster that the tests use.
	kubeconfig = os.Getenv("SLIPWAY_TEST_KUBECONFIG")
	// cli is the path of terraform or tofu.
	cli string
	// providerDir holds the provider binary that was built for this run.
	providerDir string
	// repository is the root of the checkout.
	repository string
)

func TestMain(m *testing.M) {
	if kubeconfig == "" {
		fmt.Fprintln(os.Stderr, "skipped: SLIPWAY_TEST_KUBECONFIG names no cluster")
		os.Exit(0)
	}
	code, err := setUpAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func setUpAndRun(m *testing.M) (int, error) {
	var err error
	if repository, err = filepath.Abs("../.."); err != nil {
		return 1, err
	}
	if cli = os.Getenv("TF_ACC_TERRAFORM_PATH"); cli == "" {
		if cli, err = exec.LookPath("terraform"); err != nil {
			return 1, fmt.Errorf("neither TF_ACC_TERRAFORM_PATH nor terraform on PATH: %w", err)
		}
	}
	if providerDir, err = os.MkdirTemp("", "slipway-provider-"); err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(providerDir) }()
	build := exec.Command("go", "build", "-o", filepath.Join(providerDir, "terraform-provider-slipway"), ".")
	build.Dir = repository
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("building the provider: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// sameWithEveryProgram skips a test in short mode, in which test/acceptance.sh runs every program but the first: what the
// test shows is the provider's and the cluster's doing, whichever program asks for it.
func sameWithEveryProgram(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("short mode: the program makes no difference to this")
	}
}

// workspace is a directory with a configuration and a state, as one client and stage has it.
type workspace struct {
	t   *testing.T
	dir string
	env []string
}

// newWorkspace writes a configuration and a CLI configuration that takes the provider from this build.
func newWorkspace(t *testing.T, files map[string]string) *workspace {
	t.Helper()
	w := &workspace{t: t, dir: t.TempDir()}
	w.write("cli.tfrc",
		fmt.Sprintf("provider_installation {\n  dev_overrides { \"slipway-dev/slipway\" = %q }\n  direct {}\n}\n", providerDir))
	for name, content := range files {
		w.write(name, content)
	}
	w.env = append(
		environ(),
		"TF_CLI_CONFIG_FILE="+filepath.Join(w.dir, "cli.tfrc"),
		"CHECKPOINT_DISABLE=1",
		"TF_IN_AUTOMATION=1",
		"TF_VAR_kubeconfig="+kubeconfig,
	)
	return w
}

// environ is this process's environment without what would steer Terraform or name a cluster.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "TF_") || strings.HasPrefix(kv, "KUBECONFIG=")
	})
}

func (w *workspace) write(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// result is what a command printed and how it ended.
type result struct {
	text string
	code int
}

// run runs a command to its end.
func (w *workspace) run(args ...string) result {
	w.t.Helper()
	p := w.start(args...)
	return p.wait()
}

// must runs a command that has to succeed.
func (w *workspace) must(args ...string) string {
	w.t.Helper()
	r := w.run(args...)
	if r.code != 0 {
		w.t.Fatalf("%s %s ended with %d:\n%s", filepath.Base(cli), strings.Join(args, " "), r.code, r.text)
	}
	return r.text
}

// apply applies without asking.
func (w *workspace) apply(args ...string) string {
	w.t.Helper()
	return w.must(append([]string{"apply", "-auto-approve", "-no-color", "-input=false"}, args...)...)
}

// refused runs a command that has to fail and returns its text on one line, so that wrapped messages can be searched.
func (w *workspace) refused(args ...string) string {
	w.t.Helper()
	r := w.run(args...)
	if r.code == 0 {
		w.t.Fatalf("%s succeeded, but it had to be refused:\n%s", strings.Join(args, " "), r.text)
	}
	return unwrap(r.text)
}

// noChanges plans and demands an empty plan, and that a refresh finds nothing that changed outside of Terraform either.
func (w *workspace) noChanges(args ...string) {
	w.t.Helper()
	w.noRefresh(args...)
	r := w.run(append([]string{"plan", "-no-color", "-input=false", "-detailed-exitcode"}, args...)...)
	if r.code != 0 {
		w.t.Fatalf("a second plan has to be empty, got exit code %d:\n%s", r.code, r.text)
	}
}

// noRefresh demands that a refresh finds nothing that changed outside of Terraform. It reads the text: Terraform 1.11 compares numbers
// by their precision in memory, too, and so its exit code is 2 for any resource with a number (hashicorp/terraform#36403).
func (w *workspace) noRefresh(args ...string) {
	w.t.Helper()
	text := w.must(append([]string{"plan", "-refresh-only", "-no-color", "-input=false"}, args...)...)
	if !strings.Contains(unwrap(text), "still matches the configuration") {
		w.t.Fatalf("a refresh after an apply has to find no changes:\n%s", text)
	}
}

// plan plans and returns the text that a reviewer reads; the exit code is 2 when there are changes.
func (w *workspace) plan(args ...string) string {
	w.t.Helper()
	r := w.run(append([]string{"plan", "-no-color", "-input=false", "-detailed-exitcode"}, args...)...)
	if r.code != 2 {
		w.t.Fatalf("the plan has to show changes, got exit code %d:\n%s", r.code, r.text)
	}
	return r.text
}

// attribute reads one attribute of a resource from the state.
func (w *workspace) attribute(address, name string) any {
	w.t.Helper()
	var state struct {
		Values struct {
			RootModule struct {
				Resources []struct {
					Address string         `json:"address"`
					Values  map[string]any `json:"values"`
				} `json:"resources"`
			} `json:"root_module"`
		} `json:"values"`
	}
	text := w.must("show", "-json")
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		w.t.Fatalf("decoding the state: %v", err)
	}
	for _, r := range state.Values.RootModule.Resources {
		if r.Address == address {
			return r.Values[name]
		}
	}
	return nil
}

// process is a running command.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}

	mu  sync.Mutex
	out bytes.Buffer
}

// start starts a command in a process group of its own, so that a test can signal it as a terminal does.
func (w *workspace) start(args ...string) *process {
	w.t.Helper()
	p := &process{t: w.t, done: make(chan struct{})}
	p.cmd = exec.Command(cli, args...)
	p.cmd.Dir, p.cmd.Env = w.dir, w.env
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	w.t.Cleanup(func() {
		select {
		case <-p.done:
		default:
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
			<-p.done
		}
	})
	return p
}

// Write collects output.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// wait waits for the end of the process, for longer than any takes even on a busy machine.
func (p *process) wait() result {
	p.t.Helper()
	const limit = 15 * time.Minute
	select {
	case <-p.done:
	case <-time.After(limit):
		p.t.Fatalf("%s still runs after %s:\n%s", p.cmd.Args, limit, p.text())
	}
	return result{text: p.text(), code: p.cmd.ProcessState.ExitCode()}
}

// providers returns the pids of provider processes that this command started.
func (p *process) providers() []int {
	var pids []int
	entries, err := os.ReadDir("/proc")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		exe, _ := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if len(fields) > 1 && fields[1] == strconv.Itoa(p.cmd.Process.Pid) && strings.HasPrefix(exe, providerDir) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killProvider kills the provider of a running command as the kernel's OOM killer would.
func (p *process) killProvider() {
	p.t.Helper()
	pids := p.providers()
	if len(pids) == 0 {
		p.t.Fatalf("no provider process to kill:\n%s", p.text())
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			p.t.Fatal(err)
		}
	}
}

// unwrap joins the lines of a boxed Terraform message.
func unwrap(text string) string {
	text = strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(text)
	return strings.Join(strings.Fields(text), " ")
}

// copyTree copies a directory, so that a test may change it.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

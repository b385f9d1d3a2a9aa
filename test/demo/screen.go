// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// screen is what the user sees: headings with the time since the start, commands, and what they print.
type screen struct {
	start time.Time
	color bool
}

func newScreen() *screen {
	info, err := os.Stdout.Stat()
	return &screen{start: time.Now(), color: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (s *screen) heading(format string, args ...any) {
	fmt.Printf("\n%s %s\n", s.style("1;34", "["+s.elapsed()+"]"), s.style("1", fmt.Sprintf(format, args...)))
}

// elapsed is the time since the start, as minutes and seconds.
func (s *screen) elapsed() string {
	seconds := int(time.Since(s.start).Seconds())
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

func (s *screen) say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func (s *screen) style(code, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// command is one program to run.
type command struct {
	program string // name or path
	args    []string
	dir     string   // default: the working directory
	env     []string // default: this process's
	show    showing
}

// showing is how much of a command's output is shown.
type showing int

const (
	everything   showing = iota
	withoutPlan          // all but the body of a plan
	splitAlone           // of the body of a plan only what becomes of slipway_canary
	onlyIfFailed         // nothing, unless the command fails
)

// String is the command as a user would type it.
func (c command) String() string {
	words := []string{shellWord(c.program[strings.LastIndex(c.program, "/")+1:])}
	if strings.HasPrefix(c.program, "test/") {
		words[0] = c.program
	}
	for _, a := range c.args {
		words = append(words, shellWord(a))
	}
	return strings.Join(words, " ")
}

func shellWord(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\"'{}$&|;<>()*?") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// outcome is how a command ended.
type outcome struct {
	exitCode int
	output   string
}

// run shows a command, runs it and shows what it prints. An exit code other than 0 is in the outcome and is no error; being
// unable to run the command, or being interrupted meanwhile, is.
func (s *screen) run(ctx context.Context, c command) (outcome, error) {
	cmd := exec.CommandContext(ctx, c.program, c.args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	var output bytes.Buffer
	var shown io.Writer = os.Stdout
	switch c.show {
	case withoutPlan:
		shown = &planFolder{to: os.Stdout}
	case splitAlone:
		shown = &planFolder{to: os.Stdout, keep: ".slipway_canary."}
	case onlyIfFailed:
		shown = io.Discard
	}
	cmd.Stdout = io.MultiWriter(shown, &output)
	cmd.Stderr = cmd.Stdout
	// Terraform stops cleanly at the first interrupt and at once at the second. In a process group of its own it gets
	// only the one sent here, not the terminal's as well.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }

	fmt.Println(s.style("32", "$ "+c.String()))
	err := cmd.Run()
	if ctx.Err() != nil {
		return outcome{}, fmt.Errorf("interrupted during: %s", c)
	}
	if err != nil && c.show == onlyIfFailed {
		s.say("%s", output.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return outcome{}, fmt.Errorf("running %s: %w", c, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), output.String()}, nil
}

// must is run for a command that has to succeed.
func (s *screen) must(ctx context.Context, c command) error {
	o, err := s.run(ctx, c)
	if err == nil && o.exitCode != 0 {
		err = fmt.Errorf("%s: exit code %d", c, o.exitCode)
	}
	return err
}

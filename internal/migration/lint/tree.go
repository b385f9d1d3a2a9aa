// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/wasilibs/go-pgquery/parser"
)

// node is a node of PostgreSQL's parse tree, as libpg_query encodes it in JSON. Missing fields have their zero value.
type node map[string]any

// syntaxError is a syntax error of PostgreSQL.
type syntaxError struct {
	message string
	offset  int // in bytes; -1 if unknown
}

func (e *syntaxError) Error() string { return e.message }

// parse returns the only statement of sql: its kind, such as "AlterTableStmt", and its node. The first call compiles the
// parser, which takes about a second and, for the life of the process, some memory.
func parse(sql string) (string, node, error) {
	if err := tooMuch(sql); err != nil {
		return "", nil, err
	}
	text, err := parseWith(parser.ParseToJSON, sql)
	if err != nil {
		failed := &syntaxError{message: err.Error(), offset: -1}
		var reported *parser.Error
		var known *syntaxError
		if errors.As(err, &known) {
			return "", nil, known
		}
		if errors.As(err, &reported) {
			failed.message = reported.Message
			failed.offset = reported.Cursorpos - 1
		}
		return "", nil, failed
	}
	var tree struct {
		Stmts []struct {
			Stmt map[string]node `json:"stmt"`
		} `json:"stmts"`
	}
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		return "", nil, fmt.Errorf("reading PostgreSQL's parse tree: %w", err)
	}
	if len(tree.Stmts) != 1 {
		return "", nil, &syntaxError{message: fmt.Sprintf("%d statements where one is expected", len(tree.Stmts)), offset: -1}
	}
	for kind, body := range tree.Stmts[0].Stmt {
		return kind, body, nil
	}
	return "", nil, &syntaxError{message: "empty statement", offset: -1}
}

func (n node) text(key string) string {
	value, _ := n[key].(string)
	return value
}

func (n node) flag(key string) bool {
	value, _ := n[key].(bool)
	return value
}

func (n node) number(key string) int {
	value, _ := n[key].(float64)
	return int(value)
}

// location is the byte offset in the statement, which libpg_query omits if it is 0.
func (n node) location() int { return n.number("location") }

// child is a field of a fixed type, such as relation.
func (n node) child(key string) node {
	value, _ := n[key].(map[string]any)
	return value
}

// any is a field that may have several types: the type and the node.
func (n node) any(key string) (string, node) { return unwrap(n[key]) }

// each iterates over a list of nodes.
func (n node) each(key string) []wrapped {
	values, _ := n[key].([]any)
	list := make([]wrapped, 0, len(values))
	for _, value := range values {
		kind, body := unwrap(value)
		list = append(list, wrapped{kind, body})
	}
	return list
}

// names are the strings of a list.
func (n node) names(key string) []string {
	var names []string
	for _, item := range n.each(key) {
		if item.kind == "String" {
			names = append(names, item.node.text("sval"))
		}
	}
	return names
}

type wrapped struct {
	kind string
	node node
}

func unwrap(value any) (string, node) {
	object, ok := value.(map[string]any)
	if !ok || len(object) != 1 {
		return "", nil
	}
	for kind, body := range object {
		inner, _ := body.(map[string]any)
		return kind, inner
	}
	return "", nil
}

// walk visits every node below value, from the outside in. A visit that returns false skips the nodes below.
func walk(value any, visit func(kind string, n node) bool) {
	switch value := value.(type) {
	case node:
		walk(map[string]any(value), visit)
	case map[string]any:
		for key, below := range value {
			if inner, ok := below.(map[string]any); ok && !visit(key, inner) {
				continue
			}
			walk(below, visit)
		}
	case []any:
		for _, below := range value {
			walk(below, visit)
		}
	}
}

// contains reports whether a node of a kind is below value.
func contains(value any, kinds ...string) bool {
	found := false
	walk(value, func(kind string, _ node) bool {
		for _, wanted := range kinds {
			found = found || kind == wanted
		}
		return !found
	})
	return found
}

// relationName is the name of a table as a key: without the schema public.
func relationName(n node) string { return qualified(n.text("schemaname"), n.text("relname")) }

func qualified(schema, name string) string {
	if schema == "" || schema == "public" {
		return name
	}
	return schema + "." + name
}

// joined is a name that is given as a list of strings.
func joined(names []string) string {
	if len(names) > 0 && (names[0] == "public" && len(names) > 1) {
		names = names[1:]
	}
	return strings.Join(names, ".")
}

// objectName is the name of an object of a DROP, COMMENT or similar statement.
func objectName(item wrapped) string {
	switch item.kind {
	case "String":
		return item.node.text("sval")
	case "List":
		return joined(item.node.names("items"))
	case "TypeName":
		return joined(item.node.names("names"))
	case "ObjectWithArgs":
		return joined(item.node.names("objname"))
	}
	return ""
}

// lastName is the name without its schema.
func lastName(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

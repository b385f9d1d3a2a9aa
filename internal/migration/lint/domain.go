// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

// createDomain records a domain with its type and its constraints.
func (l *linter) createDomain(n node) {
	names := n.names("domainname")
	domain := &userType{kind: "domain", new: true, base: typeOf(n.child("typeName")), constraints: map[string]bool{}}
	for _, item := range n.each("constraints") {
		domain.constrain(joined(names), item.node)
	}
	l.schema.types[joined(names)] = domain
}

// constrain adds a constraint. A default is none.
func (d *userType) constrain(domain string, def node) {
	name := def.text("conname")
	switch def.text("contype") {
	case "CONSTR_CHECK":
		if name == "" {
			name = lastName(domain) + "_check"
		}
		d.constraints[name] = true
	case "CONSTR_NOTNULL":
		d.constraints["NOT NULL"] = true
	}
}

// resolve is the type below a domain, and whether a value must meet constraints to be of the domain.
func (s *schema) resolve(t columnType) (base columnType, constrained bool) {
	if integer, is := serialTypes[t.name]; is {
		t.name = integer
	}
	for range 20 { // domains of domains
		domain := s.types[t.name]
		if domain == nil || domain.kind != "domain" || domain.base.name == "" {
			return t, constrained || domain != nil && len(domain.constraints) > 0
		}
		constrained = constrained || len(domain.constraints) > 0
		array := t.array
		t = domain.base
		t.array = t.array || array
	}
	return t, constrained
}

func (l *linter) alterDomain(n node) {
	name := joined(n.names("typeName"))
	known := l.schema.types[name]
	if known == nil {
		known = &userType{kind: "domain", constraints: map[string]bool{}}
		l.schema.types[name] = known
	}
	_, def := n.any("def")
	switch n.text("subtype") {
	case "C":
		known.constrain(name, def)
		if !known.new && !def.flag("skip_validation") {
			l.report(def.location(), "domain-scans", name, "Every table with a column of the domain is read under a lock, one after the other.",
				"ALTER DOMAIN … ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in a later transaction.")
		}
	case "O":
		known.constraints["NOT NULL"] = true
		if !known.new {
			l.report(0, "domain-scans", name, "Every table with a column of the domain is read under a lock, and NOT NULL of a domain "+
				"cannot be added NOT VALID.", "ALTER DOMAIN … ADD CONSTRAINT … CHECK (VALUE IS NOT NULL) NOT VALID, and VALIDATE CONSTRAINT "+
				"in a later transaction.")
		}
	case "N":
		delete(known.constraints, "NOT NULL")
	case "X":
		delete(known.constraints, n.text("name"))
	}
}

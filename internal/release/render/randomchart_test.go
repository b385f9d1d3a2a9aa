// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// randomChart writes charts that do with secrets what templates can do, and secrets of all kinds for them.
type randomChart struct {
	d       *dice
	secrets map[string]any
	public  map[string]any
	// texts are the secrets that are looked for, and paths the expressions that read one.
	texts   []string
	paths   []string
	helpers strings.Builder
	depth   int
}

func newRandomChart(seed int) (files map[string]string, c *randomChart) {
	c = &randomChart{d: newDice(seed, "chart"), secrets: map[string]any{}, public: map[string]any{"plain": "jasper", "count": int64(3)}}
	for i := range 1 + c.d.upTo(3) {
		c.addSecret(fmt.Sprintf("s%d", i))
	}
	if c.one(3) {
		c.addMap()
	}
	files = map[string]string{}
	for i := range 1 + c.d.upTo(3) {
		files[fmt.Sprintf("templates/file%d.yaml", i)] = c.file(i)
	}
	if c.one(3) {
		files["templates/NOTES.txt"] = "Notes\n{{ " + c.text() + " }}\n" + c.statement("", "") + "\n"
	}
	files["templates/_helpers.tpl"] = c.helpers.String()
	return files, c
}

// one is true in one of n cases.
func (c *randomChart) one(n int) bool { return c.d.upTo(n) == 0 }

func (c *randomChart) pick(choice ...string) string { return choice[c.d.upTo(len(choice))] }

// random has none of the letters of hexadecimal digits, so that a digest never holds a part of it by chance.
func (c *randomChart) random(n int) string {
	const letters = "ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ0123456789"
	out := make([]byte, n)
	for i := range out {
		out[i] = letters[c.d.upTo(len(letters))]
	}
	return string(out)
}

func (c *randomChart) addSecret(name string) {
	var secret any
	switch c.d.upTo(14) {
	case 0:
		secret = c.pick("sk_live_", "ghp_", "xoxb-", "AKIA") + c.random(16)
	case 1:
		secret = int64(10000000 + c.d.upTo(89999999))
	case 2:
		secret = fmt.Sprintf("postgres://u%s:%s@h%s:5432/q%s", c.random(6), c.random(10), strings.ToLower(c.random(6)), c.random(5))
	case 3:
		secret = fmt.Sprintf(`{"k%s":"%s","port":%d,"user":"%s"}`, c.random(6), c.random(9), 10000+c.d.upTo(9999), c.random(7))
	case 4:
		secret = "-----BEGIN PRIVATE KEY-----\n" + c.random(40) + "\n" + c.random(20) + "\n-----END PRIVATE KEY-----\n"
	case 5:
		secret = `-----BEGIN PRIVATE KEY-----\n` + c.random(40) + `\n-----END PRIVATE KEY-----\n`
	case 6:
		secret = "пароль" + c.runes("жзийклмнопрстуфхцчшщ", 8) + c.runes("ÄÖÜẞßéèø", 4)
	case 7:
		secret = c.runes("!@#$%^&*()-_=+[]{};:,.<>?/|~", 14)
	case 8:
		secret = base64.StdEncoding.EncodeToString([]byte(`{"user":"` + c.random(8) + `"}`))
	case 9:
		secret = "k" + c.random(6) + ": " + c.random(8) + "\nlist:\n- " + c.random(9) + "\n"
	case 10:
		secret = c.random(8) + c.runes("!@#$%&*", 3) + c.random(6)
	case 11:
		secret = c.random(10) + " " + c.random(8)
	case 12:
		secret = float64(1000+c.d.upTo(9000)) + 0.25
	default:
		secret = c.random(24)
	}
	if c.one(3) {
		c.secrets["db"+name] = map[string]any{"password": secret}
		c.paths = append(c.paths, "$.Values.db"+name+".password", fmt.Sprintf(`(index $.Values "db%s" "password")`, name))
	} else {
		c.secrets[name] = secret
		c.paths = append(c.paths, "$.Values."+name, fmt.Sprintf(`(get $.Values %q)`, name))
	}
	c.texts = append(c.texts, textOf(secret))
}

func (c *randomChart) runes(choice string, n int) string {
	all := []rune(choice)
	var b strings.Builder
	for range n {
		b.WriteRune(all[c.d.upTo(len(all))])
	}
	return b.String()
}

// addMap adds a map of which the keys are secret too.
func (c *randomChart) addMap() {
	m := map[string]any{}
	for range 1 + c.d.upTo(2) {
		key, secret := "acct-"+c.random(8), c.random(12)
		m[key] = secret
		c.texts = append(c.texts, key, secret)
	}
	c.secrets["tokens"] = m
	c.paths = append(
		c.paths,
		`(keys $.Values.tokens | sortAlpha | join ",")`,
		`(toJson $.Values.tokens)`,
		`(values $.Values.tokens | sortAlpha | first)`,
	)
}

// text is an expression for a text that is made of a secret.
func (c *randomChart) text() string {
	e := "(" + c.pick(c.paths...) + " | toString)"
	if c.depth > 4 {
		return e
	}
	c.depth++
	defer func() { c.depth-- }()
	if c.one(8) {
		name := fmt.Sprintf("h%d", c.d.upTo(1<<30))
		body := strings.ReplaceAll(c.text(), "$.Values", ".Values")
		if strings.Contains(body, "$") {
			return e
		}
		fmt.Fprintf(&c.helpers, "{{ define %q }}{{ %s }}{{ end }}\n", name, body)
		return fmt.Sprintf("(include %q $)", name)
	}
	for range 1 + c.d.upTo(3) {
		e = c.function(e)
	}
	return e
}

func (c *randomChart) function(e string) string {
	n, m := c.d.upTo(4), 4+c.d.upTo(12)
	switch c.d.upTo(12) {
	case 0:
		return "(" + e + " | " + c.pick(
			"upper",
			"lower",
			"title",
			"untitle",
			"swapcase",
			"camelcase",
			"snakecase",
			"kebabcase",
			"nospace",
			"initials",
		) + ")"
	case 1:
		return "(" + e + " | " + c.pick(fmt.Sprintf("trunc %d", m), fmt.Sprintf("trunc -%d", m), fmt.Sprintf("substr %d %d", n, n+m),
			fmt.Sprintf("abbrev %d", m+4)) + ")"
	case 2:
		return "(" + e + " | " + c.pick(
			"b64enc",
			"b32enc",
			"b64dec",
			"sha1sum",
			"sha256sum",
			"adler32sum",
			"sha256sum | trunc 8",
			"sha1sum | substr 3 9",
		) + ")"
	case 3:
		return fmt.Sprintf(
			"(splitList %q %s | %s)",
			c.pick("_", "-", ":", "/", "@", "\n", " ", "."),
			e,
			c.pick("first", "last", `join "+"`, "reverse | first", "toJson"),
		)
	case 4:
		return fmt.Sprintf("(splitList \"\" %s | reverse | join %q)", e, c.pick("", "", "x"))
	case 5:
		return fmt.Sprintf(
			"(printf %q %s %s)",
			c.pick("%s-%s", "%q/%s", "%x%.4s", "%10s|%s", "%.6s%.7s"),
			e,
			c.pick(e, "(.Values.plain | toString)", `"lit"`),
		)
	case 6:
		return "(" + e + " | " + c.pick(
			"quote",
			"squote",
			"repeat 2",
			`trimPrefix "sk_live_"`,
			`trimSuffix "="`,
			`trimAll "-"`,
			`replace "-" "."`,
			`regexReplaceAll "[0-9]" "" `,
			`regexFind "[A-Za-z]{4,}"`,
			`regexReplaceAll "[A-Za-z]+" "z"`,
			"toJson",
			"toYaml",
			"trim",
			"wrap 20",
		) + ")"
	case 7:
		return "(" + c.pick("fromJson", "fromYaml") + " " + e + " | " + c.pick("toJson", "toYaml", "keys | sortAlpha | join \",\"") + ")"
	case 8:
		number := "(int64 " + c.pick(c.paths...) + ")"
		return fmt.Sprintf("(%s | toString)", c.pick("add 7 "+number, "div "+number+" 1000", "mod "+number+" 100003", "mul "+number+" 3",
			"sub "+number+" (int64 "+c.pick(c.paths...)+")", "len "+e))
	case 9:
		return fmt.Sprintf("(ternary %s %s %s)", e, c.pick(`"no"`, e), c.condition(e))
	case 10:
		return fmt.Sprintf(
			"(%s)",
			c.pick("default \"x\" "+e, "coalesce \"\" "+e, "list "+e+" .Values.plain | join \"/\"", "dict \"k\" "+e+" | toJson",
				"merge (dict \"a\" "+e+") (dict \"b\" 1) | toJson", "pick (dict \"a\" "+e+" \"b\" 1) \"a\" | toJson", "get (dict \"a\" "+e+") \"a\"",
				"tpl \"{{ . }}\" "+e, "urlJoin (dict \"scheme\" \"http\" \"host\" (lower "+e+") \"path\" \"/\")"),
		)
	}
	return e
}

func (c *randomChart) condition(e string) string {
	return "(" + c.pick(
		"eq "+e+" \"x\"",
		"ne "+e+" \"x\"",
		"hasPrefix \"sk_\" "+e,
		"contains \"5\" "+e,
		"regexMatch \"^[a-z]\" "+e,
		"gt (len "+e+") 9",
		"lt (len "+e+") 12",
		"empty "+e,
		"eq "+e+" "+c.paths[0]+"",
	) + ")"
}

// statement is text with an action in it, as a leaf below indent.
func (c *randomChart) statement(indent, name string) string {
	leaf := func(e string) string { return fmt.Sprintf("%s%s: {{ %s | toString | quote }}\n", indent, name, e) }
	switch c.d.upTo(8) {
	case 0:
		return "{{ if " + c.condition(c.text()) + " }}\n" + leaf(c.text()) + "{{ else }}\n" + leaf(`"other"`) + "{{ end }}\n"
	case 1:
		return fmt.Sprintf("%s%s: \"{{ range splitList \"\" %s }}{{ . | b64enc | trimAll \"=\" }}.{{ end }}\"\n", indent, name, c.text())
	case 2:
		return "{{ with " + c.text() + " }}\n" + leaf(".") + "{{ end }}\n"
	case 3:
		return fmt.Sprintf("{{ $x := %s }}\n", c.text()) + leaf("$x")
	case 4:
		return leaf(".Values.plain | upper")
	}
	return leaf(c.text())
}

// validation makes the chart refuse other secrets, mostly without refusing this one.
func (c *randomChart) validation() string {
	path := c.pick(c.paths...)
	return c.pick(
		`{{ if not (hasPrefix "sk_" (toString `+path+`)) }}{{ if hasPrefix "sk_" (toString `+path+`) }}{{ fail "no" }}{{ end }}{{ end }}`,
		`{{ if not (regexMatch "^(sk_live_|ghp_|xoxb-|AKIA|-----BEGIN|postgres://|\\{)|^[^sgxA{-]" (toString `+path+`)) }}{{ fail "bad form" }}{{ end }}`,
		`{{ if lt (len (toString `+path+`)) 3 }}{{ fail "too short" }}{{ end }}`,
		fmt.Sprintf(`{{ if ne (toString %s | sha256sum | trunc 2) %q }}{{ fail "other" }}{{ end }}`, path, c.digestOf(path)),
		fmt.Sprintf(`{{ $_ := required "is needed" (ternary "x" "" (eq (toString %s | trunc 3 | sha1sum) %q)) }}`, path, c.digestOf(path+"3")),
		`{{ if contains "postgres" (toString `+path+`) }}{{ $_ := required "host" (urlParse `+path+`).host }}{{ end }}`,
		`{{ if hasPrefix "{" (toString `+path+`) }}{{ $_ := required "user" (fromJson `+path+`).user }}{{ end }}`,
	)
}

// digestOf is filled in once the chart is there, see fillDigests.
func (c *randomChart) digestOf(path string) string { return "@@" + path + "@@" }

func (c *randomChart) file(i int) string {
	var b strings.Builder
	if c.one(2) {
		b.WriteString(c.validation() + "\n")
	}
	if c.one(12) {
		b.WriteString("{{ fail (print \"it is \" " + c.text() + ") }}\n")
	}
	object := func(name, metadata string) {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: %s\nmetadata:\n  name: %s\n%s", c.pick("ConfigMap", "ConfigMap", "Secret"), name, metadata)
		b.WriteString("data:\n  fixed: literal\n")
		for j := range c.d.upTo(4) {
			b.WriteString(c.statement("  ", fmt.Sprintf("leaf%d", j)))
		}
		if c.one(5) {
			b.WriteString("  {{ " + c.text() + " | toString | quote }}: value\n")
		}
		if c.one(6) {
			b.WriteString("{{ range $k, $v := " + c.pick("$.Values", ".Values") + " }}\n  {{ printf \"r-%s\" $k | quote }}: {{ $v | toString | " +
				c.pick("upper", "quote", "trunc 9") + " | quote }}\n{{ end }}\n")
		}
	}
	object(fmt.Sprintf("fixed%d", i), "")
	if c.one(4) {
		object("n-{{ "+c.text()+" | toString | quote | trimAll \"\\\"\" | b64enc | trimAll \"=\" }}", "")
	}
	if c.one(4) {
		b.WriteString("---\n{{ if " + c.condition(c.text()) + " }}\n")
		object(
			c.pick(
				fmt.Sprintf("if%d", i),
				fmt.Sprintf("\"i%d-{{ %s | toString | lower | regexReplaceAll \"[^a-z]\" \"\" }}\"", i, c.pick(c.paths...)),
			),
			"",
		)
		b.WriteString("{{ end }}\n")
	}
	if c.one(6) {
		object(fmt.Sprintf("hook%d", i), "  annotations:\n    helm.sh/hook: pre-install\n    x: {{ "+c.text()+" | toString | quote }}\n")
	}
	return b.String()
}

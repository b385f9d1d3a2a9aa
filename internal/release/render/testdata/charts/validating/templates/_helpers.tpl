{{ define "validating.check" }}{{ if not (hasPrefix "sk_live_" .Values.key) }}{{ fail "key must begin with sk_live_" }}{{ end }}{{ end }}

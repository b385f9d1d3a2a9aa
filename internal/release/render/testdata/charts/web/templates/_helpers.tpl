{{ define "web.name" }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{ define "web.labels" }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{ end }}
{{ define "web.secretName" }}{{ .Values.existingSecret | default (include "web.name" .) }}{{ end }}

{{/* Name of the application: of what all its tracks share, and the value of the label that the Service selects by. */}}
{{- define "app" -}}
{{- if .Values.slipway.app -}}
{{- .Values.slipway.app -}}
{{- else if eq .Values.slipway.role "all" -}}
{{- .Release.Name -}}
{{- else -}}
{{- fail (printf "slipway.role is %q, so slipway.app is needed: the name that all tracks of the application share" .Values.slipway.role) -}}
{{- end -}}
{{- end -}}

{{- define "hasShared" -}}
{{- if has .Values.slipway.role (list "all" "shared") }}true{{ end -}}
{{- end -}}

{{- define "hasTrack" -}}
{{- if has .Values.slipway.role (list "all" "track") }}true{{ end -}}
{{- end -}}

{{- define "serviceAccountName" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "app" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- define "version" -}}
{{- .Values.image.tag | default .Chart.AppVersion -}}
{{- end -}}

{{- define "image" -}}
{{- with .Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest -}}
@{{ .Values.image.digest }}
{{- else -}}
:{{ include "version" . }}
{{- end -}}
{{- end -}}

{{/* What Deployments select by. It cannot be changed once a Deployment exists, so it is the least that tells one release from another. */}}
{{- define "selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Of the Deployment and its pods. */}}
{{- define "versionLabel" -}}
app.kubernetes.io/version: {{ include "version" . | trunc 63 | trimAll "-_." | quote }}
{{- end -}}

{{/* Labels of every object. The version is not among them: a new one would then change every object of the release. */}}
{{- define "labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "selectorLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
slipway.dev/app: {{ include "app" . }}
{{- end -}}

{{/* Labels of every object that belongs to one track. */}}
{{- define "trackLabels" -}}
{{ include "labels" . }}
slipway.dev/track: {{ .Values.slipway.track }}
{{- end -}}

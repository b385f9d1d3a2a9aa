{{/* Public settings. */}}
{{- define "config" -}}
{{- $c := dict -}}
{{- $_ := set $c "CLIENT" .Values.environment -}}
{{- $_ := set $c "STAGE" .Values.stage -}}
{{- $_ := set $c "SHUTDOWN_TIMEOUT" (printf "%ds" (max 1 (sub (sub .Values.terminationGracePeriodSeconds .Values.preStopSleepSeconds) 2))) -}}
{{- with .Values.database -}}
{{- if .host -}}
{{- $_ := set $c "DB_HOST" .host -}}
{{- $_ := set $c "DB_PORT" (toString .port) -}}
{{- $_ := set $c "DB_NAME" .name -}}
{{- $_ := set $c "DB_SSLMODE" .sslMode -}}
{{- with .user }}{{ $_ := set $c "DB_USER" . }}{{ end -}}
{{- end -}}
{{- if .createTable }}{{ $_ := set $c "DB_CREATE_TABLE" "true" }}{{ end -}}
{{- end -}}
{{- with .Values.faults -}}
{{- with .readinessDelay }}{{ $_ := set $c "READINESS_DELAY" . }}{{ end -}}
{{- with .failReadinessAfter }}{{ $_ := set $c "FAIL_READINESS_AFTER" . }}{{ end -}}
{{- with .errorShare }}{{ $_ := set $c "ERROR_SHARE" (toString .) }}{{ end -}}
{{- with .errorAfter }}{{ $_ := set $c "ERROR_AFTER" . }}{{ end -}}
{{- with .latency }}{{ $_ := set $c "LATENCY" . }}{{ end -}}
{{- with .crashAfter }}{{ $_ := set $c "CRASH_AFTER" . }}{{ end -}}
{{- with .reportVersion }}{{ $_ := set $c "REPORT_VERSION" . }}{{ end -}}
{{- if .crashOnStart }}{{ $_ := set $c "CRASH_ON_START" "true" }}{{ end -}}
{{- end -}}
{{- range $name, $value := .Values.config -}}
{{- $_ := set $c $name (toString $value) -}}
{{- end -}}
{{- range $name, $value := $c }}
{{ $name }}: {{ toJson $value }}
{{- end -}}
{{- end -}}

{{/* Secret settings, not encoded. */}}
{{- define "secrets" -}}
{{- with .Values.apiToken }}
apiToken: {{ toJson . }}
{{- end -}}
{{- with .Values.database.url }}
databaseURL: {{ toJson . }}
{{- end -}}
{{- with .Values.database.password }}
databasePassword: {{ toJson . }}
{{- end -}}
{{- end -}}

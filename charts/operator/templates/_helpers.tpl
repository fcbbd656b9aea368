{{/* Prefix of the names of all objects: the release's name. */}}
{{- define "shieldx.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels by which the controllers' pods are selected; they never change. */}}
{{- define "shieldx.selector" -}}
app.kubernetes.io/name: shieldx
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end -}}

{{/* Labels of all objects. */}}
{{- define "shieldx.labels" -}}
{{ include "shieldx.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image that must be named. */}}
{{- define "shieldx.image" -}}
{{- required (printf "%s.reference is required: build the images with 'make images', or name those that you pushed to your registry" .field) .reference -}}
{{- end -}}

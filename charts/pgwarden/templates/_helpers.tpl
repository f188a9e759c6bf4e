{{- define "pgwarden.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimAll "-" -}}
{{- end -}}

{{/* At most 40 characters: the longest name made of it ends in `-controller-selftest` or so and must stay below 63. */}}
{{- define "pgwarden.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimAll "-" -}}
{{- else if contains (include "pgwarden.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimAll "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "pgwarden.name" .) | trunc 40 | trimAll "-" -}}
{{- end -}}
{{- end -}}

{{- define "pgwarden.tlsSecret" -}}{{ include "pgwarden.fullname" . }}-webhook-tls{{- end -}}
{{- define "pgwarden.lease" -}}{{ include "pgwarden.fullname" . }}-controller{{- end -}}

{{/* All of our kinds. pgwarden/api/registry.py is the register; a test compares the two. */}}
{{- define "pgwarden.kinds" -}}
repositories, backups, backupschedules, restores, restoredrills, restoredrillschedules, postgresclusters
{{- end -}}
{{- define "pgwarden.subresource" -}}
{{- $of := list }}{{ range splitList ", " (include "pgwarden.kinds" .) }}{{ $of = append $of (printf "%s/%s" . $.subresource) }}{{ end }}
{{- join ", " $of }}
{{- end -}}

{{/* What selects a component's pods. No value changes it: a Deployment's selector is immutable. */}}
{{- define "pgwarden.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of objects. Pods take fewer (pgwarden.podLabels): a chart version alone must not restart them. */}}
{{- define "pgwarden.labels" -}}
{{ include "pgwarden.podLabels" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{- define "pgwarden.podLabels" -}}
{{ include "pgwarden.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: pgwarden
{{- end -}}

{{- define "pgwarden.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The image of PostgresClusters that name none. A digest takes the place of tag and digest; a port's colon has a slash after it. */}}
{{- define "pgwarden.postgresImage" -}}
{{- $image := .Values.postgresImage | default (printf "%s-patroni:17" .Values.image.repository) -}}
{{- with .Values.postgresImages.digest -}}
{{ regexReplaceAll "(:[^/@]+)?(@.+)?$" $image "" }}@{{ . }}
{{- else -}}
{{ $image }}
{{- end -}}
{{- end -}}

{{/* The restricted Pod Security Standard, and a read-only root file system. */}}
{{- define "pgwarden.podSecurityContext" -}}
runAsNonRoot: true
{{- if not (kindIs "invalid" .Values.runAsUser) }}
runAsUser: {{ .Values.runAsUser | int64 }}
runAsGroup: {{ .Values.runAsUser | int64 }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "pgwarden.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "pgwarden.scheduling" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "pgwarden.env" -}}
{{- $name := include "pgwarden.fullname" . -}}
# The image itself: for sidecars, repository hosts and Jobs.
- name: PGWARDEN_IMAGE
  value: {{ include "pgwarden.image" . | quote }}
- name: PGWARDEN_IMAGE_PULL_POLICY
  value: {{ .Values.image.pullPolicy }}
- name: PGWARDEN_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: PGWARDEN_POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: PGWARDEN_TLS_SECRET
  value: {{ include "pgwarden.tlsSecret" . }}
- name: PGWARDEN_WEBHOOK_SERVICE
  value: {{ $name }}-webhook
- name: PGWARDEN_MUTATING_WEBHOOK
  value: {{ $name }}
- name: PGWARDEN_VALIDATING_WEBHOOK
  value: {{ $name }}
- name: PGWARDEN_LEASE
  value: {{ include "pgwarden.lease" . }}
- name: PGWARDEN_S3_BUCKET
  value: {{ .Values.s3.bucket | quote }}
- name: PGWARDEN_S3_ENDPOINT
  value: {{ .Values.s3.endpoint | quote }}
- name: PGWARDEN_S3_REGION
  value: {{ .Values.s3.region | quote }}
- name: PGWARDEN_CLUSTER_DOMAIN
  value: {{ .Values.clusterDomain | quote }}
- name: PGWARDEN_WATCH_NAMESPACES
  value: {{ join "," .Values.watchNamespaces | quote }}
- name: PGWARDEN_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- end -}}

{{/* Alive and ready are two questions: a webhook that has no certificate yet is alive, and must not be killed for it.
     One without CPU is alive, too: killed, it would need far more of it to start, and all of them would end in a crash loop. */}}
{{- define "pgwarden.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 300
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 15
  timeoutSeconds: 10
  failureThreshold: 12
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

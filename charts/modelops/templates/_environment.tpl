{{/* Variables that have a value of their own, and its name. */}}
{{- define "modelops.ownVariables" -}}
HUGGINGFACE_HUB_TOKEN: hub.existingSecret
HUGGINGFACE_JOBS_ENABLED: hub.jobsEnabled
MODELOPS_HUB_ORG: hub.organisation
MODELOPS_DEFAULT_BASE_MODEL: hub.defaultBaseModel
HF_ENDPOINT: hub.endpoint
MODELOPS_ENDPOINTS_URL: hub.endpointsURL
LANGSMITH_ENDPOINT: langsmith.endpoint
LANGSMITH_API_KEY: langsmith.existingSecret
OPENROUTER_BASE_URL: openrouter.baseURL
OPENROUTER_API_KEY: openrouter.existingSecret
MODELOPS_MODEL_HOSTS: modelHosts
MODELOPS_PROMETHEUS_URL: prometheus.url
MODELOPS_PROMETHEUS_TOKEN: prometheus.existingSecret
MODELOPS_NOTIFICATION_URL: notifications.existingSecret
MODELOPS_NOTIFICATION_KEY: notifications.existingKey
MODELOPS_NOTIFICATION_TYPE: notifications.type
MODELOPS_NOTIFICATION_SEVERITY: notifications.minSeverity
MODELOPS_NOTIFICATION_HOSTS: notifications.hosts
MODELOPS_TRAINING_IMAGE: training.image
MODELOPS_TRAINING_DEFAULTS: training.existingDefaults
MODELOPS_TRAINING_SECURITY_CONTEXT: podSecurityContext
MODELOPS_NAMESPACE: the release's namespace
MODELOPS_WATCH_NAMESPACES: watchNamespaces
MODELOPS_STATE_DIR: state
MODELOPS_PROGRAM_JOBS: programs
MODELOPS_CODE_TESTS: programs.codeTests
MODELOPS_REPORT_PORT: reports.port
MODELOPS_REPORT_TOKEN: reports.existingSecret
MODELOPS_METRICS_PORT: metrics.port
MODELOPS_POLL_SECONDS: tuning.pollSeconds
MODELOPS_PROGRESS_SECONDS: tuning.progressSeconds
MODELOPS_SETTLE_SECONDS: tuning.settleSeconds
MODELOPS_RETRY_SECONDS: tuning.retrySeconds
MODELOPS_SCHEDULING_SECONDS: tuning.schedulingSeconds
MODELOPS_APPROVAL_SECONDS: tuning.approvalSeconds
MODELOPS_RESYNC_SECONDS: tuning.resyncSeconds
MODELOPS_WORKERS: tuning.workers
MODELOPS_TOUCH_PODS: touchPods
MODELOPS_LEASE_SECONDS: tuning.leaseSeconds
MODELOPS_LOG_LEVEL: logLevel
HOME: state
HF_HOME: state
TMPDIR: state
{{- with .Values.proxy }}
{{- if .http }}
HTTP_PROXY: proxy.http
{{- end }}
{{- if .https }}
HTTPS_PROXY: proxy.https
{{- end }}
{{- end }}
NO_PROXY: proxy.noProxy
{{- if or .Values.privateCA.configMap .Values.privateCA.secret }}
SSL_CERT_FILE: privateCA
REQUESTS_CA_BUNDLE: privateCA
{{- end }}
{{- end -}}

{{/* A variable from a Secret, if one is named: {name, from}. */}}
{{- define "modelops.fromSecret" -}}
{{- if .from.name }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .from.name }}
      key: {{ .from.key }}
{{- end }}
{{- end -}}

{{/* A number as the operator reads it, and as Helm does not write it by itself: 31536000, not 3.1536e+07. */}}
{{- define "modelops.number" -}}
{{- if eq (float64 .) (float64 (int64 .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{- define "modelops.environment" -}}
{{- $values := .Values -}}
- name: MODELOPS_HUB_ORG
  value: {{ default "" $values.hub.organisation | quote }}
{{- with $values.hub.defaultBaseModel }}
- name: MODELOPS_DEFAULT_BASE_MODEL
  value: {{ . | quote }}
{{- end }}
- name: HUGGINGFACE_JOBS_ENABLED
  value: {{ $values.hub.jobsEnabled | quote }}
- name: HF_ENDPOINT
  value: {{ $values.hub.endpoint | quote }}
- name: MODELOPS_ENDPOINTS_URL
  value: {{ $values.hub.endpointsURL | quote }}
- name: LANGSMITH_ENDPOINT
  value: {{ $values.langsmith.endpoint | quote }}
- name: OPENROUTER_BASE_URL
  value: {{ $values.openrouter.baseURL | quote }}
{{- include "modelops.fromSecret" (dict "name" "HUGGINGFACE_HUB_TOKEN" "from" $values.hub.existingSecret) }}
{{- include "modelops.fromSecret" (dict "name" "LANGSMITH_API_KEY" "from" $values.langsmith.existingSecret) }}
{{- include "modelops.fromSecret" (dict "name" "OPENROUTER_API_KEY" "from" $values.openrouter.existingSecret) }}
{{- include "modelops.fromSecret" (dict "name" "MODELOPS_REPORT_TOKEN" "from" $values.reports.existingSecret) }}
{{- with $values.prometheus.url }}
- name: MODELOPS_PROMETHEUS_URL
  value: {{ . | quote }}
{{- end }}
{{- include "modelops.fromSecret" (dict "name" "MODELOPS_PROMETHEUS_TOKEN" "from" $values.prometheus.existingSecret) }}
{{- with $values.modelHosts }}
- name: MODELOPS_MODEL_HOSTS
  value: {{ join "," . | quote }}
{{- end }}
{{- include "modelops.fromSecret" (dict "name" "MODELOPS_NOTIFICATION_URL" "from" $values.notifications.existingSecret) }}
{{- include "modelops.fromSecret" (dict "name" "MODELOPS_NOTIFICATION_KEY" "from" $values.notifications.existingKey) }}
- name: MODELOPS_NOTIFICATION_TYPE
  value: {{ $values.notifications.type }}
- name: MODELOPS_NOTIFICATION_SEVERITY
  value: {{ $values.notifications.minSeverity }}
{{- with $values.notifications.hosts }}
- name: MODELOPS_NOTIFICATION_HOSTS
  value: {{ join "," . | quote }}
{{- end }}
{{- with $values.training.image }}
- name: MODELOPS_TRAINING_IMAGE
  value: {{ . | quote }}
{{- end }}
{{- if $values.training.existingDefaults.name }}
- name: MODELOPS_TRAINING_DEFAULTS
  value: /etc/modelops/training/{{ $values.training.existingDefaults.key }}
{{- end }}
{{- if $values.ownGPUs.enabled }}
- name: MODELOPS_TRAINING_SECURITY_CONTEXT
  # `$$` is one `$`.
  value: {{ $values.podSecurityContext | toJson | replace "$" "$$" | quote }}
{{- end }}
- name: MODELOPS_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- with $values.watchNamespaces }}
- name: MODELOPS_WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
- name: MODELOPS_REPORT_PORT
  value: {{ $values.reports.port | quote }}
- name: MODELOPS_METRICS_PORT
  value: {{ $values.metrics.port | quote }}
{{- range $name := list "poll" "progress" "settle" "retry" "scheduling" "approval" "resync" "lease" }}
- name: MODELOPS_{{ upper $name }}_SECONDS
  value: {{ include "modelops.number" (get $values.tuning (printf "%sSeconds" $name)) | quote }}
{{- end }}
- name: MODELOPS_WORKERS
  value: {{ $values.tuning.workers | quote }}
- name: MODELOPS_TOUCH_PODS
  value: {{ $values.touchPods | quote }}
- name: MODELOPS_LOG_LEVEL
  value: {{ $values.logLevel }}
- name: MODELOPS_CODE_TESTS
  value: {{ include "modelops.codeTests" . }}
{{- if include "modelops.programsAreJobs" . }}
- name: MODELOPS_PROGRAM_JOBS
  # `$$` is one `$`: what looks like a reference is expanded in the Pods of the programs, not here.
  value: {{ include "modelops.programPods" . | fromYaml | toJson | replace "$" "$$" | quote }}
{{- end }}
- name: MODELOPS_STATE_DIR
  value: /var/lib/modelops
- name: HOME
  value: /var/lib/modelops
- name: HF_HOME
  value: /var/lib/modelops/huggingface
- name: TMPDIR
  value: /tmp
{{- include "modelops.networkEnvironment" . }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* How the services outside are reached: the proxy, and the certificate authorities. */}}
{{- define "modelops.networkEnvironment" -}}
{{- with .Values.proxy.http }}
- name: HTTP_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.proxy.https }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
{{- end }}
- name: NO_PROXY
  value: {{ concat (list "127.0.0.1" "localhost" "$(KUBERNETES_SERVICE_HOST)" ".svc" ".cluster.local") .Values.proxy.noProxy | join "," | quote }}
{{- if or .Values.privateCA.configMap .Values.privateCA.secret }}
{{- $key := .Values.privateCA.key }}
{{- range list "SSL_CERT_FILE" "REQUESTS_CA_BUNDLE" }}
- name: {{ . }}
  value: /etc/modelops/ca/{{ $key }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The volume with the certificate authorities. */}}
{{- define "modelops.caVolume" -}}
{{- with .Values.privateCA }}
{{- if or .configMap .secret }}
- name: ca
  {{- if .configMap }}
  configMap:
    name: {{ .configMap }}
  {{- else }}
  secret:
    secretName: {{ .secret }}
  {{- end }}
    items:
      - key: {{ .key }}
        path: {{ .key }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "modelops.caMount" -}}
{{- if or .Values.privateCA.configMap .Values.privateCA.secret }}
- name: ca
  mountPath: /etc/modelops/ca
  readOnly: true
{{- end }}
{{- end -}}

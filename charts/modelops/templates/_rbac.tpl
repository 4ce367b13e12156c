{{- define "modelops.subject" -}}
- kind: ServiceAccount
  name: {{ include "modelops.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* A Role with the rules of a template, and its binding to the operator: chart, name, namespace, rules. */}}
{{- define "modelops.role" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "modelops.labels" .chart | nindent 4 }}
rules:
  {{- include .rules .chart | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "modelops.labels" .chart | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
  {{- include "modelops.subject" .chart | nindent 2 }}
{{- end -}}

{{/* An installation for some namespaces leaves the others to other installations. */}}
{{- define "modelops.policyNamespaces" -}}
{{- with .Values.watchNamespaces }}
  matchResources:
    namespaceSelector:
      matchExpressions:
        - key: kubernetes.io/metadata.name
          operator: In
          values:
            {{- toYaml . | nindent 12 }}
{{- end }}
{{- end -}}

{{- define "modelops.mcp" -}}
{{- include "modelops.fullname" . }}-mcp
{{- end -}}

{{- define "modelops.mcpSelectorLabels" -}}
app.kubernetes.io/name: {{ include "modelops.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: mcp
{{- end -}}

{{- define "modelops.mcpImage" -}}
{{- $image := .Values.mcp.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "modelops.mcpSecretVolumes" -}}
{{- with .Values.mcp.key.existingSecret }}
{{- if .name }}
- name: key
  secret:
    secretName: {{ .name }}
    items:
      - key: {{ .key }}
        path: key
{{- end }}
{{- end }}
{{- with .Values.mcp.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ . }}
{{- end }}
{{- end -}}

{{/* The names by which clients reach the Service, and those of `allowedHosts`, each at every port. */}}
{{- define "modelops.mcpHosts" -}}
{{- $name := include "modelops.mcp" . -}}
{{- $place := .Release.Namespace -}}
{{- $own := list $name (printf "%s.%s" $name $place) (printf "%s.%s.svc" $name $place) -}}
{{- $own = append $own (printf "%s.%s.svc.cluster.local" $name $place) -}}
{{- range concat $own .Values.mcp.allowedHosts }}
- --allowed-host
- {{ . | quote }}
- --allowed-host
- {{ printf "%s:*" . | quote }}
{{- end }}
{{- end -}}

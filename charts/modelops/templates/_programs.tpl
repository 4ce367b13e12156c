{{/* "true" if datasets are prepared and models are evaluated in Jobs; "" if the leader has processes for it. */}}
{{- define "modelops.programsAreJobs" -}}
{{- if eq (default (ternary "job" "process" (gt (int .Values.replicas) 1)) .Values.programs.run) "job" -}}
true
{{- end -}}
{{- end -}}

{{/* What is around the code of models that scorer `tests` runs. */}}
{{- define "modelops.codeTests" -}}
{{- default (ternary "pod" "bubblewrap" (eq (include "modelops.programsAreJobs" .) "true")) .Values.programs.codeTests -}}
{{- end -}}

{{/* "true" if that code runs in Pods of its own. */}}
{{- define "modelops.codeTestsInPods" -}}
{{- if and (include "modelops.programsAreJobs" .) (eq (include "modelops.codeTests" .) "pod") -}}
true
{{- end -}}
{{- end -}}

{{/* The Pods of these Jobs, as the operator reads them (MODELOPS_PROGRAM_JOBS). */}}
{{- define "modelops.programPods" -}}
{{- $job := .Values.programs.job -}}
image: {{ include "modelops.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with $job.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $job.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $job.volume.persistent }}
volumeSize: {{ $job.volume.size | quote }}
{{- end }}
{{- with $job.volume.storageClassName }}
storageClassName: {{ . }}
{{- end }}
env:
  {{- include "modelops.networkEnvironment" . | nindent 2 }}
  {{- with $job.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with include "modelops.caVolume" . }}
volumes:
  {{- . | nindent 2 }}
{{- end }}
{{- with include "modelops.caMount" . }}
volumeMounts:
  {{- . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if include "modelops.codeTestsInPods" . }}
codeTests:
  {{- toYaml $job.codeTests | nindent 2 }}
{{- end }}
{{- with $job.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $job.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $job.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.commonLabels }}
labels:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

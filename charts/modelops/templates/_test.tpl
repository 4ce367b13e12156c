{{/* A Pod of `helm test`: chart, name, account, arguments, environment. */}}
{{- define "modelops.testPod" -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ .name }}
  namespace: {{ .chart.Release.Namespace }}
  labels:
    {{- include "modelops.labels" .chart | nindent 4 }}
    app.kubernetes.io/component: test
  annotations:
    helm.sh/hook: test
    # It stays until the next test, because `helm test --logs` reads its log after it has ended.
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  restartPolicy: Never
  activeDeadlineSeconds: 120
  serviceAccountName: {{ .account }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  {{- with .chart.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .chart.Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .chart.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .chart.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: installcheck
      image: {{ include "modelops.image" .chart }}
      imagePullPolicy: {{ .chart.Values.image.pullPolicy }}
      command: [python, -m, modelops.runtime.installcheck, {{ .check }}]
      securityContext:
        {{- include "modelops.securityContext" .chart | nindent 8 }}
      resources:
        requests:
          cpu: 10m
          memory: 64Mi
        limits:
          memory: 256Mi
      env:
        {{- .environment | nindent 8 }}
{{- end -}}

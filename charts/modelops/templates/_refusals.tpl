{{/*
Values that have a valid form each and cannot be used together. The schema refuses the others; its messages name the
value, while these say what to do.
*/}}
{{- define "modelops.refuse" -}}
{{- $values := .Values -}}
{{- if and $values.state.persistentVolumeClaim.enabled (gt (int $values.replicas) 1) -}}
{{- fail (printf "state.persistentVolumeClaim.enabled needs replicas: 1, and replicas is %d: the working folders belong to the leader. Set replicas to 1, or leave the claim out: by default each program then is a Job with a volume of its own (programs.run)" (int $values.replicas)) -}}
{{- end -}}
{{- if and $values.privateCA.configMap $values.privateCA.secret -}}
{{- fail (printf "privateCA.configMap is %q and privateCA.secret is %q: set one of them" $values.privateCA.configMap $values.privateCA.secret) -}}
{{- end -}}
{{- if and $values.metrics.port (eq (int $values.metrics.port) (int $values.reports.port)) -}}
{{- fail (printf "metrics.port and reports.port are both %d: set different ports" (int $values.metrics.port)) -}}
{{- end -}}
{{- if and $values.rbac.create (not $values.serviceAccount.create) (not $values.serviceAccount.name) -}}
{{- fail "serviceAccount.create is false and serviceAccount.name is empty: the operator's rights would go to the account default, which every Pod of the namespace has by default. Set serviceAccount.name" -}}
{{- end -}}
{{- if and (eq $values.programs.codeTests "pod") (not (and (include "modelops.programsAreJobs" .) $values.programs.job.volume.persistent)) -}}
{{- fail "programs.codeTests is pod: such a Pod reads the code from the volume of the evaluation's Job. Set programs.run to job and programs.job.volume.persistent to true, or choose another value" -}}
{{- end -}}
{{- if and $values.ownGPUs.trainJobs (not $values.ownGPUs.enabled) -}}
{{- fail "ownGPUs.trainJobs is true and ownGPUs.enabled is false: set ownGPUs.enabled" -}}
{{- end -}}
{{- if and $values.mcp.enabled (not $values.mcp.namespace) -}}
{{- fail "mcp.enabled is true and mcp.namespace is empty: name the namespace whose agents the MCP server serves" -}}
{{- end -}}
{{- if and $values.mcp.enabled (gt (int $values.mcp.replicas) 1) (not $values.mcp.key.existingSecret.name) -}}
{{- fail (printf "mcp.replicas is %d and mcp.key.existingSecret.name is empty: a question of one Pod is answered at another, which needs the same key. Name a Secret with 32 random bytes" (int $values.mcp.replicas)) -}}
{{- end -}}
{{- range $values.ownGPUs.namespaces -}}
{{- if and $values.watchNamespaces (not (has . $values.watchNamespaces)) -}}
{{- fail (printf "ownGPUs.namespaces has %q, which watchNamespaces does not have: the operator does not work there" .) -}}
{{- end -}}
{{- end -}}
{{- include "modelops.refuseEnvironment" . -}}
{{- include "modelops.refuseSecondInstallation" . -}}
{{- end -}}

{{- define "modelops.refuseEnvironment" -}}
{{- $own := include "modelops.ownVariables" . | fromYaml -}}
{{- range .Values.extraEnv -}}
{{- if hasKey $own .name -}}
{{- fail (printf "extraEnv sets %s, which has a value of its own: set %s" .name (get $own .name)) -}}
{{- end -}}
{{- end -}}
{{- range $where, $variables := dict "extraEnv" .Values.extraEnv "programs.job.extraEnv" .Values.programs.job.extraEnv -}}
{{- range $variables -}}
{{- if regexMatch "(hf_|lsv2_|sk-)[A-Za-z0-9_-]{6,}" (default "" .value) -}}
{{- fail (printf "%s sets %s to what looks like a token: put it into a Secret, and refer to it by valueFrom.secretKeyRef" $where .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Two installations in one namespace would share a Lease and an id, and two that work in the same namespaces would work on
the same objects. `helm template` cannot look, and who makes no objects of the whole cluster may not look everywhere.
*/}}
{{- define "modelops.refuseSecondInstallation" -}}
{{- $here := . -}}
{{- $values := .Values -}}
{{- $everywhere := or $values.crds.enabled $values.policies.enabled $values.rbac.create -}}
{{- range (lookup "apps/v1" "Deployment" (ternary "" .Release.Namespace $everywhere) "").items -}}
{{- $labels := default dict .metadata.labels -}}
{{- if and (eq (get $labels "app.kubernetes.io/part-of") "modelops") (eq (get $labels "app.kubernetes.io/component") "operator") -}}
{{- $release := get (default dict .metadata.annotations) "meta.helm.sh/release-name" -}}
{{- if eq .metadata.namespace $here.Release.Namespace -}}
{{- if and $release (ne $release $here.Release.Name) -}}
{{- fail (printf "namespace %s has an installation of ModelOps already, the release %s: upgrade that one, or install into another namespace with its own watchNamespaces" $here.Release.Namespace $release) -}}
{{- end -}}
{{- else -}}
{{- include "modelops.refuseCommonNamespaces" (dict "mine" $values.watchNamespaces "deployment" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* {mine: watchNamespaces of this release, deployment: of another operator}. An empty list stands for all namespaces. */}}
{{- define "modelops.refuseCommonNamespaces" -}}
{{- $mine := .mine -}}
{{- $meta := .deployment.metadata -}}
{{- $theirs := list -}}
{{- range .deployment.spec.template.spec.containers -}}
{{- range .env -}}
{{- if and (eq .name "MODELOPS_WATCH_NAMESPACES") .value -}}
{{- $theirs = splitList "," .value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $common := list -}}
{{- range $mine -}}
{{- if or (not $theirs) (has . $theirs) -}}
{{- $common = append $common . -}}
{{- end -}}
{{- end -}}
{{- if not $mine -}}
{{- $common = default (list "all namespaces") $theirs -}}
{{- end -}}
{{- if $common -}}
{{- fail (printf "Deployment %s in namespace %s is an operator of ModelOps that works in %s as well: two would work on the same objects. Set watchNamespaces of both to different namespaces, or upgrade that installation" $meta.name $meta.namespace (join ", " $common)) -}}
{{- end -}}
{{- end -}}

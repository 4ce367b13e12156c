{{/* What the operator does in the namespaces in which it works. */}}
{{- define "modelops.rules.work" -}}
- apiGroups: [modelops.code-chef.dev]
  resources: [agentmodels, trainingruns, rollouts]
  verbs: [get, list, watch, patch, update]
# The operator deletes a TrainingRun when its spec.ttlSecondsAfterFinished has passed.
- apiGroups: [modelops.code-chef.dev]
  resources: [trainingruns]
  verbs: [delete]
- apiGroups: [modelops.code-chef.dev]
  resources: [agentmodels/status, trainingruns/status, rollouts/status]
  verbs: [get, patch, update]
- apiGroups: [modelops.code-chef.dev]
  resources: [agentmodels/finalizers, trainingruns/finalizers, rollouts/finalizers]
  verbs: [update]
# The agents' files and the records.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, update]
# Only those are read that have the label modelops.code-chef.dev/managed and that an AgentModel names.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
{{- if .Values.touchPods }}
# One annotation, after a change of the agents' file. The policy `...-pods` refuses the rest.
- apiGroups: [""]
  resources: [pods]
  verbs: [patch]
{{- end }}
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- if include "modelops.programsAreJobs" . }}
# Datasets are prepared and models are evaluated in Jobs. An Event says why a Job gets no Pod.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, create, delete]
{{- if .Values.programs.job.volume.persistent }}
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, create, delete]
{{- end }}
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [list]
{{- if include "modelops.codeTestsInPods" . }}
# The Pods in which the code of models runs have no network. The policy `...-networks` refuses any other NetworkPolicy.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [create]
{{- end }}
{{- end }}
{{- end -}}

{{/* What it needs of the whole cluster in any case: it checks agents' tokens, and waits for its CRDs. */}}
{{- define "modelops.rules.cluster" -}}
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [get, list, watch]
{{- end -}}

{{/* What it needs in its own namespace: the Lease, the installation's id and the stop of all agents. A name cannot limit `create`. */}}
{{- define "modelops.rules.own" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [modelops-operator]
  verbs: [get, patch, update]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [modelops-installation]
  verbs: [get]
# The emergency stop of all agents.
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [modelops-stop-all]
  verbs: [get, list, watch]
{{- end -}}

{{- define "modelops.rules.jobs" -}}
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, create, patch, delete]
- apiGroups: [""]
  resources: [pods, pods/log]
  verbs: [get, list]
# Needed only if queueName is used.
- apiGroups: [kueue.x-k8s.io]
  resources: [localqueues, workloads]
  verbs: [get, list]
{{- end -}}

{{- define "modelops.rules.trainJobs" -}}
- apiGroups: [trainer.kubeflow.org]
  resources: [trainjobs]
  verbs: [get, list, create, patch, delete]
- apiGroups: [trainer.kubeflow.org]
  resources: [trainingruntimes]
  verbs: [get]
- apiGroups: [""]
  resources: [pods, pods/log]
  verbs: [get, list]
- apiGroups: [kueue.x-k8s.io]
  resources: [localqueues, workloads]
  verbs: [get, list]
{{- end -}}

{{/* All of the above with the namespaces where it holds, as JSON, for `helm test`; "" is every namespace. */}}
{{- define "modelops.rights" -}}
{{- $everywhere := default (list "") .Values.watchNamespaces -}}
{{- $rights := list
  (dict "namespaces" $everywhere "rules" (include "modelops.rules.work" . | fromYamlArray))
  (dict "namespaces" (list "") "rules" (include "modelops.rules.cluster" . | fromYamlArray))
  (dict "namespaces" (list .Release.Namespace) "rules" (include "modelops.rules.own" . | fromYamlArray))
-}}
{{- if .Values.ownGPUs.enabled -}}
{{- $gpus := default $everywhere .Values.ownGPUs.namespaces -}}
{{- $rights = append $rights (dict "namespaces" $gpus "rules" (include "modelops.rules.jobs" . | fromYamlArray)) -}}
{{- if .Values.ownGPUs.trainJobs -}}
{{- $rights = append $rights (dict "namespaces" $gpus "rules" (include "modelops.rules.trainJobs" . | fromYamlArray)) -}}
{{- end -}}
{{- end -}}
{{- $rights | toJson -}}
{{- end -}}

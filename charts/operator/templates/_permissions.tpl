{{/* Printed by 'make generate' from crds/kinds.ts and the watches of the controllers; do not edit. */}}
{{- define "shieldx.kinds" -}}
[shardsets, creditledgers, rollouts]
{{- end }}
{{- define "shieldx.kindsStatus" -}}
[shardsets/status, creditledgers/status, rollouts/status]
{{- end }}
{{- define "shieldx.kindsScale" -}}
[shardsets/scale]
{{- end }}
{{- define "shieldx.rules" -}}
# The kinds: read them, keep the finalizer, report in the status.
- apiGroups: [shieldx.dev]
  resources: [creditledgers, rollouts, shardsets]
  verbs: [get, list, watch, patch]
- apiGroups: [shieldx.dev]
  resources: [creditledgers/status, rollouts/status, shardsets/status]
  verbs: [patch]
# Owner references that block the owner's deletion need this where that admission check is on.
- apiGroups: [shieldx.dev]
  resources: [creditledgers/finalizers, rollouts/finalizers, shardsets/finalizers]
  verbs: [update]
# What the kinds are made of, and what their Roles grant on to pods by name.
- apiGroups: [""]
  resources: [configmaps, persistentvolumeclaims, pods, secrets, serviceaccounts, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [controllerrevisions, deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [core.openfeature.dev]
  resources: [featureflags]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  verbs: [get, list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [grpcroutes, httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [rolebindings, roles]
  verbs: [get, list, watch, create, patch, delete]
# What happened, for 'kubectl describe', and why something does not come up.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [list, create, patch]
{{- end }}
{{- define "shieldx.clusterRules" -}}
# Why something does not come up; not granted to an operator of a few namespaces.
- apiGroups: [storage.k8s.io]
  resources: [storageclasses]
  verbs: [list]
# What lies in no namespace; an operator of a few namespaces does without.
- apiGroups: [gateway.networking.k8s.io]
  resources: [gatewayclasses]
  verbs: [get, list, watch]
{{- end }}

package main

import (
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Labels by which children are watched; the same as ours.
const (
	labelKind = "shieldx.dev/kind"
	labelName = "shieldx.dev/name"
)

// child is one wanted object, and how to tell from memory that it is there.
type child struct {
	desired runtime.ApplyConfiguration
	// live is read into before isWanted is asked.
	live     client.Object
	isWanted func() bool
}

// childrenOf gives the first count children of a widget; the text of its spec is in each.
func childrenOf(widget *GoWidget, count int) []child {
	name, namespace := widget.Name, widget.Namespace
	wanted := map[string]string{labelKind: kind, labelName: name}
	owner := metav1ac.OwnerReference().
		WithAPIVersion(groupVersion.String()).WithKind(kind).WithName(name).WithUID(widget.UID).
		WithController(true).WithBlockOwnerDeletion(true)
	same := func(live client.Object) bool {
		return live.GetLabels()[labelKind] == kind && live.GetLabels()[labelName] == name && metav1.IsControlledBy(live, widget)
	}
	at := metav1.ObjectMeta{Namespace: namespace, Name: name}

	configMap := &corev1.ConfigMap{ObjectMeta: at}
	data := map[string]string{"text": widget.Spec.Text, "size": strconv.FormatInt(widget.Spec.Size, 10)}
	result := []child{{
		desired:  corev1ac.ConfigMap(name, namespace).WithLabels(wanted).WithOwnerReferences(owner).WithData(data),
		live:     configMap,
		isWanted: func() bool { return same(configMap) && maps.Equal(configMap.Data, data) },
	}}
	if count == 1 {
		return result
	}

	secret := &corev1.Secret{ObjectMeta: at}
	bytes := map[string][]byte{"text": []byte(widget.Spec.Text)}
	deployment := &appsv1.Deployment{ObjectMeta: at}
	app := map[string]string{"app": name}
	container := corev1ac.Container().WithName("main").WithImage("example/widget:1").
		WithEnv(corev1ac.EnvVar().WithName("TEXT").WithValue(widget.Spec.Text))
	return append(result,
		child{
			desired: corev1ac.Secret(name, namespace).WithLabels(wanted).WithOwnerReferences(owner).
				WithType(corev1.SecretTypeOpaque).WithData(bytes),
			live:     secret,
			isWanted: func() bool { return same(secret) && string(secret.Data["text"]) == widget.Spec.Text },
		},
		child{
			desired: appsv1ac.Deployment(name, namespace).WithLabels(wanted).WithOwnerReferences(owner).
				WithSpec(appsv1ac.DeploymentSpec().WithReplicas(0).
					WithSelector(metav1ac.LabelSelector().WithMatchLabels(app)).
					WithTemplate(corev1ac.PodTemplateSpec().WithLabels(app).
						WithSpec(corev1ac.PodSpec().WithContainers(container)))),
			live: deployment,
			isWanted: func() bool {
				containers := deployment.Spec.Template.Spec.Containers
				return same(deployment) && deployment.Spec.Replicas != nil && *deployment.Spec.Replicas == 0 &&
					len(containers) == 1 && containers[0].Image == "example/widget:1" &&
					len(containers[0].Env) == 1 && containers[0].Env[0].Value == widget.Spec.Text
			},
		},
	)
}

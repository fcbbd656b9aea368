package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const kind = "GoWidget"

var groupVersion = schema.GroupVersion{Group: "test.shieldx.dev", Version: "v1"}

// GoWidget has the shape of the Widget of testkit/widget.ts.
type GoWidget struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   GoWidgetSpec   `json:"spec,omitempty"`
	Status GoWidgetStatus `json:"status,omitempty"`
}

// GoWidgetSpec is what users write.
type GoWidgetSpec struct {
	Size int64  `json:"size,omitempty"`
	Text string `json:"text,omitempty"`
}

// GoWidgetStatus is what the controller writes.
type GoWidgetStatus struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}

// DeepCopy copies the widget and all that it refers to.
func (in *GoWidget) DeepCopy() *GoWidget {
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Status.Conditions = make([]metav1.Condition, len(in.Status.Conditions))
	for i := range in.Status.Conditions {
		in.Status.Conditions[i].DeepCopyInto(&out.Status.Conditions[i])
	}
	return &out
}

// DeepCopyObject is DeepCopy for the machinery.
func (in *GoWidget) DeepCopyObject() runtime.Object { return in.DeepCopy() }

// GoWidgetList is a page of widgets.
type GoWidgetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []GoWidget `json:"items"`
}

// DeepCopyObject copies the list and its widgets.
func (in *GoWidgetList) DeepCopyObject() runtime.Object {
	out := *in
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = make([]GoWidget, len(in.Items))
	for i := range in.Items {
		out.Items[i] = *in.Items[i].DeepCopy()
	}
	return &out
}

func addToScheme(scheme *runtime.Scheme) {
	scheme.AddKnownTypes(groupVersion, &GoWidget{}, &GoWidgetList{})
	metav1.AddToGroupVersion(scheme, groupVersion)
}

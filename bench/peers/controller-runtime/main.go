// Command controller-runtime is the peer of the operator benchmark: the widget controller of
// testkit/widget-operator.ts as a Go programmer would write it on sigs.k8s.io/controller-runtime.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const fieldOwner = client.FieldOwner("bench-controller-runtime")

var (
	server      = flag.String("server", "", "URL of the API server")
	account     = flag.String("service-account", "", "folder with token and ca.crt")
	children    = flag.Int("children", 1, "1: a ConfigMap; 3: also a Secret and a Deployment")
	concurrency = flag.Int("concurrency", 10, "widgets reconciled at once")
	listen      = flag.Int("listen", 0, "port of metrics")
	userAgent   = flag.String("user-agent", "controller-runtime", "as the server sees it")
	consistent  = flag.Bool("read-your-writes", false, "EnableReadYourWritesConsistency")
)

type reconciler struct{ client.Client }

// Reconcile applies the children that differ from memory and patches the status if it changed.
func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var widget GoWidget
	if err := r.Get(ctx, req.NamespacedName, &widget); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if widget.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	var failure error
	for _, child := range childrenOf(&widget, *children) {
		if failure = r.ensure(ctx, child); failure != nil {
			break
		}
	}

	before := widget.DeepCopy()
	widget.Status.ObservedGeneration = widget.Generation
	for _, condition := range conditionsOf(&widget, failure) {
		meta.SetStatusCondition(&widget.Status.Conditions, condition)
	}
	if equality.Semantic.DeepEqual(before.Status, widget.Status) {
		return ctrl.Result{}, failure
	}
	if err := r.Status().Patch(ctx, &widget, client.MergeFrom(before), fieldOwner); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	return ctrl.Result{}, failure
}

// conditionsOf says what our program says of a widget: the three conditions of kstatus.
func conditionsOf(widget *GoWidget, failure error) []metav1.Condition {
	ready := metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Applied", Message: fmt.Sprintf("size %d", widget.Spec.Size)}
	reconciling := metav1.Condition{Type: "Reconciling", Status: metav1.ConditionFalse, Reason: "Converged"}
	stalled := metav1.Condition{Type: "Stalled", Status: metav1.ConditionFalse, Reason: "Converged"}
	if failure != nil {
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, "Failed", failure.Error()
		reconciling.Status, reconciling.Reason, reconciling.Message = metav1.ConditionTrue, "Failed", failure.Error()
		stalled.Reason = "Failed"
	}
	conditions := []metav1.Condition{ready, reconciling, stalled}
	for i := range conditions {
		conditions[i].ObservedGeneration = widget.Generation
	}
	return conditions
}

// ensure applies one child unless memory shows it as wanted.
func (r *reconciler) ensure(ctx context.Context, child child) error {
	err := r.Get(ctx, client.ObjectKeyFromObject(child.live), child.live)
	if err == nil && child.isWanted() {
		return nil
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return r.Apply(ctx, child.desired, fieldOwner)
}

func run() error {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	addToScheme(scheme)
	config := &rest.Config{
		Host:            *server,
		BearerTokenFile: *account + "/token",
		TLSClientConfig: rest.TLSClientConfig{CAFile: *account + "/ca.crt"},
		UserAgent:       *userAgent,
		QPS:             -1, // controller-runtime's default: the server's Priority and Fairness decides
	}
	ours := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{labelKind: kind})}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject: map[client.Object]cache.ByObject{
				&corev1.ConfigMap{}: ours, &corev1.Secret{}: ours, &appsv1.Deployment{}: ours,
			},
		},
		Client:                        client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: consistent}},
		Metrics:                       metricsserver.Options{BindAddress: fmt.Sprintf("127.0.0.1:%d", *listen)},
		LeaderElection:                true,
		LeaderElectionID:              "bench-controller-runtime",
		LeaderElectionNamespace:       "default",
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(30 * time.Second),
	})
	if err != nil {
		return err
	}
	builder := ctrl.NewControllerManagedBy(manager).
		For(&GoWidget{}).
		Owns(&corev1.ConfigMap{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: *concurrency})
	if *children == 3 {
		builder = builder.Owns(&corev1.Secret{}).Owns(&appsv1.Deployment{})
	}
	if err := builder.Complete(&reconciler{manager.GetClient()}); err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func main() {
	flag.Parse()
	log.SetLogger(klog.Background())
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

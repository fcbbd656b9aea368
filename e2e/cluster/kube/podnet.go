package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/template"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

const (
	// routeProtocol marks the routes that podnet made, so that it removes its own and no others.
	routeProtocol = 0xca
	// resync is how often podnet looks again without being told of a change: something else may have flushed
	// routes or rules.
	resync = 30 * time.Second
	// apiTimeout bounds the first listing of the nodes. After it podnet exits and the kubelet starts it again.
	apiTimeout = time.Minute
)

var conflist = template.Must(template.New("conflist").Parse(`{
  "cniVersion": "1.0.0",
  "name": "podnet",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": false,
      "mtu": {{ .MTU }},
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni-ipam-state",
        "routes": [{"dst": "0.0.0.0/0"}],
        "ranges": [[{"subnet": "{{ .Subnet }}"}]]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`))

// podnet is the network of the pods on one node: a CNI configuration over the node's own range, a route to the
// range of each other node, and masquerading of what leaves the pods' subnet. It enforces no NetworkPolicy.
type podnet struct {
	node      string // the node's name
	podSubnet string // the subnet of all pods of the cluster
	confDir   string // where the container runtime looks for CNI configurations
}

func runPodnet() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	p := podnet{node: os.Getenv("NODE_NAME"), podSubnet: os.Getenv("POD_SUBNET"), confDir: os.Getenv("CNI_CONF_DIR")}
	if p.node == "" || p.podSubnet == "" || p.confDir == "" {
		klog.Error("podnet needs NODE_NAME, POD_SUBNET and CNI_CONF_DIR")
		return 2
	}
	if err := p.run(ctx); err != nil {
		klog.ErrorS(err, "podnet stops")
		return 1
	}
	return 0
}

func (p podnet) run(ctx context.Context) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	nodes := factory.Core().V1().Nodes()
	if _, err := nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(any, any) { notify() },
		DeleteFunc: func(any) { notify() },
	}); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	syncing, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	if !cache.WaitForCacheSync(syncing.Done(), nodes.Informer().HasSynced) {
		return errors.New("the API server did not list the nodes in time")
	}
	ticker := time.NewTicker(resync)
	defer ticker.Stop()
	for {
		list, err := nodes.Lister().List(labels.Everything())
		if err == nil {
			err = p.apply(ctx, list)
		}
		if err != nil {
			klog.ErrorS(err, "not all of the pod network is in place, trying again")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-ticker.C:
		}
	}
}

func (p podnet) apply(ctx context.Context, nodes []*corev1.Node) error {
	routes := map[string]net.IP{}
	var errs []error
	for _, n := range nodes {
		if n.Spec.PodCIDR == "" {
			continue
		}
		if n.Name == p.node {
			errs = append(errs, p.writeConf(n.Spec.PodCIDR))
		} else if ip := internalIP(n); ip != nil {
			routes[n.Spec.PodCIDR] = ip
		}
	}
	errs = append(errs, p.masquerade(ctx), p.holdSubnet(), applyRoutes(routes))
	return errors.Join(errs...)
}

func internalIP(n *corev1.Node) net.IP {
	for _, a := range n.Status.Addresses {
		if ip := net.ParseIP(a.Address); a.Type == corev1.NodeInternalIP && ip.To4() != nil {
			return ip
		}
	}
	return nil
}

// writeConf puts the node's CNI configuration in place in one step, and only if it differs.
func (p podnet) writeConf(subnet string) error {
	var want bytes.Buffer
	if err := conflist.Execute(&want, struct {
		MTU    int
		Subnet string
	}{mtu(), subnet}); err != nil {
		return err
	}
	file := filepath.Join(p.confDir, "10-podnet.conflist")
	if have, err := os.ReadFile(file); err == nil && bytes.Equal(have, want.Bytes()) {
		return nil
	}
	tmp := filepath.Join(p.confDir, ".10-podnet.tmp")
	if err := os.WriteFile(tmp, want.Bytes(), 0o644); err != nil {
		return err
	}
	klog.InfoS("writing the CNI configuration", "file", file, "subnet", subnet)
	return os.Rename(tmp, file)
}

// mtu is that of the link that carries the default route.
func mtu() int {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err == nil {
		for _, r := range routes {
			if r.Dst == nil || r.Dst.IP.IsUnspecified() {
				if link, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
					return link.Attrs().MTU
				}
			}
		}
	}
	return 1500
}

// masquerade lets pods reach what is outside of the cluster under the node's address.
func (p podnet) masquerade(ctx context.Context) error {
	rule := []string{"POSTROUTING", "-s", p.podSubnet, "!", "-d", p.podSubnet,
		"-m", "comment", "--comment", "podnet", "-j", "MASQUERADE"}
	if iptables(ctx, append([]string{"-C"}, rule...)) == nil {
		return nil
	}
	return iptables(ctx, append([]string{"-A"}, rule...))
}

// holdSubnet keeps traffic for pods that are gone, or not there yet, on the node: without it the default route would
// take it out of the cluster, to whoever answers there. Each pod and each node's range has a route of its own, which wins.
func (p podnet) holdSubnet() error {
	_, subnet, err := net.ParseCIDR(p.podSubnet)
	if err != nil {
		return err
	}
	return netlink.RouteReplace(&netlink.Route{Dst: subnet, Type: syscall.RTN_UNREACHABLE})
}

func iptables(ctx context.Context, args []string) error {
	out, err := exec.CommandContext(ctx, "iptables", append([]string{"-w", "5", "-t", "nat"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("iptables: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// applyRoutes makes the node's routes to other nodes' pods those of want (by pod range).
func applyRoutes(want map[string]net.IP) error {
	have, err := netlink.RouteListFiltered(netlink.FAMILY_V4,
		&netlink.Route{Protocol: routeProtocol}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range have {
		if r.Dst == nil {
			continue
		}
		if _, wanted := want[r.Dst.String()]; !wanted {
			klog.InfoS("removing a route", "to", r.Dst.String(), "via", r.Gw.String())
			errs = append(errs, netlink.RouteDel(&r))
		}
	}
	for subnet, gateway := range want {
		_, dst, err := net.ParseCIDR(subnet)
		if err == nil {
			err = netlink.RouteReplace(&netlink.Route{Dst: dst, Gw: gateway, Protocol: routeProtocol})
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

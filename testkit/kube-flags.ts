import { join } from "node:path";

/** Where the processes of a control plane listen. */
export interface ControlPlanePorts {
  readonly etcd: number;
  readonly etcdPeer: number;
  readonly api: number;
  readonly manager: number;
}

export function etcdFlags(directory: string, ports: ControlPlanePorts): string[] {
  const client = `http://127.0.0.1:${ports.etcd}`;
  const peer = `http://127.0.0.1:${ports.etcdPeer}`;
  return [
    `--data-dir=${join(directory, "etcd")}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    // Nothing here has to outlive the test.
    "--unsafe-no-fsync",
    "--log-level=warn",
  ];
}

export function apiServerFlags(directory: string, ports: ControlPlanePorts): string[] {
  return [
    `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
    "--bind-address=127.0.0.1",
    // A loopback address cannot be published as the endpoint of Service "kubernetes", and nobody here needs that.
    "--endpoint-reconciler-type=none",
    `--secure-port=${ports.api}`,
    `--cert-dir=${directory}`,
    `--token-auth-file=${join(directory, "tokens.csv")}`,
    "--authorization-mode=RBAC",
    "--service-cluster-ip-range=10.96.0.0/16",
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${join(directory, "sa.pub")}`,
    `--service-account-signing-key-file=${join(directory, "sa.key")}`,
    // No service account controller runs here, so Pods could not be created.
    "--disable-admission-plugins=ServiceAccount",
    "--allow-privileged=true",
  ];
}

/** Only the collector of garbage: everything else would change what tests look at. */
export function garbageCollectorFlags(directory: string, ports: ControlPlanePorts): string[] {
  return [
    `--kubeconfig=${join(directory, "admin.kubeconfig")}`,
    "--controllers=garbage-collector-controller",
    "--leader-elect=false",
    "--bind-address=127.0.0.1",
    `--secure-port=${ports.manager}`,
    `--cert-dir=${join(directory, "manager")}`,
    "--authentication-skip-lookup=true",
  ];
}

module shieldx.dev/e2e/gateway/crds

go 1.26.0

// Its CRDs are wanted, not its code: nothing here imports it, and "go mod tidy" would drop it.
require sigs.k8s.io/gateway-api v1.6.3

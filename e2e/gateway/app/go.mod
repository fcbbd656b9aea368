module shieldx.dev/e2e/gateway/app

go 1.26.0

#!/bin/sh
# Refuses what goes to the address of a Service before kube-proxy has rules for it. Otherwise, after a node's restart,
# such connections leave the node for whatever has that address outside, and the pods that sent them hang on it for
# half a minute. Once there are rules, the address is rewritten before it gets here.
set -eu
subnet=$(cat /kind/service-subnet)
for chain in FORWARD OUTPUT; do
  iptables -w -C "$chain" -d "$subnet" -j REJECT 2>/dev/null || iptables -w -I "$chain" -d "$subnet" -j REJECT
  iptables -w -C "$chain" -d "$subnet" -p tcp -j REJECT --reject-with tcp-reset 2>/dev/null ||
    iptables -w -I "$chain" -d "$subnet" -p tcp -j REJECT --reject-with tcp-reset
done

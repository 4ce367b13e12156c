#!/bin/sh
# A CNI plugin, last in the chain: in a Pod, ports of the loopback address lead to the machine that runs the tests.
#
# The sandbox listens on the machine's loopback only, and its guard refuses any other address. So inside the Pod's
# network namespace 127.0.0.1:PORT goes to the machine's forwarder for each of `ports`. Where no kube-proxy reaches the
# API server, `service` and `apiPort` do the same for the address of Service default/kubernetes. Nothing is changed
# outside the Pod's namespace. The nodes of kind have no Python, but sh, jq, nft and nsenter, as Debian has.
set -eu

case "$CNI_COMMAND" in
ADD) ;;
VERSION)
  echo '{"cniVersion": "1.0.0", "supportedVersions": ["0.3.1", "0.4.0", "1.0.0"]}'
  exit
  ;;
*) exit ;;
esac

config=$(cat)
rules=$(printf '%s' "$config" | jq -r '
"table ip host-loopback {
  chain output {
    type nat hook output priority -150;
    ip daddr 127.0.0.1 tcp dport { \(.ports | map(tostring) | join(", ")) } dnat to \(.machine)
    \(if .service then "ip daddr \(.service) tcp dport 443 dnat to \(.machine):\(.apiPort)" else "" end)
  }
  chain postrouting {
    type nat hook postrouting priority 100;
    ip saddr 127.0.0.1 oifname != \"lo\" masquerade
  }
}"')
printf '%s\n' "$rules" | nsenter --net="$CNI_NETNS" nft -f - >&2
nsenter --net="$CNI_NETNS" sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet' >&2
# What the CNI specification 1.0 asks of a chained plugin: the result of the one before.
printf '%s' "$config" | jq .prevResult

"""A CNI plugin, last in the chain: in a Pod, the loopback address and the API server's address are the machine's.

The sandbox and the API server listen on the machine's loopback only, and the sandbox's guard refuses any other
address. So inside the Pod's network namespace 127.0.0.1:PORT goes to the machine's forwarder for each of `ports`, and
the address of Service default/kubernetes to that of the API server. Nothing is changed outside the Pod's namespace.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

RULES = """
table ip host-loopback {{
  chain output {{
    type nat hook output priority -150;
    ip daddr 127.0.0.1 tcp dport {{ {ports} }} dnat to {machine}
    ip daddr {service} tcp dport 443 dnat to {machine}:{api_port}
  }}
  chain postrouting {{
    type nat hook postrouting priority 100;
    ip saddr 127.0.0.1 oifname != "lo" masquerade
  }}
}}
"""


def main() -> None:
    """What the CNI specification 1.0 asks of a chained plugin: ADD returns the result of the one before."""
    config = json.load(sys.stdin)
    if os.environ["CNI_COMMAND"] == "VERSION":
        print(json.dumps({"cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0"]}))
        return
    if os.environ["CNI_COMMAND"] != "ADD":
        return
    inside = ["nsenter", f"--net={os.environ['CNI_NETNS']}"]
    rules = RULES.format(
        ports=", ".join(str(port) for port in config["ports"]),
        machine=config["machine"],
        service=config["service"],
        api_port=config["apiPort"],
    )
    subprocess.run([*inside, "nft", "-f", "-"], input=rules, text=True, check=True, stdout=sys.stderr)
    allowed = "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet"
    subprocess.run([*inside, "sh", "-c", allowed], check=True, stdout=sys.stderr)
    print(json.dumps(config["prevResult"]))


if __name__ == "__main__":
    main()

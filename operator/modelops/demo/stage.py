"""What runs in the demo: a control plane, the sandbox, the operator and the agents; how they start and end."""

from __future__ import annotations

import json
import secrets
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from modelops.adapters.programs.process import end as end_program
from modelops.api.v1alpha1.names import RESOURCES
from modelops.crdgen import tree
from modelops.demo import children
from modelops.demo.children import Child
from modelops.demo.cluster_access import Identity, Kubectl, identity
from modelops.demo.folder import DemoFolder
from modelops.demo.seed import Datasets, seed
from modelops.localcluster import LocalCluster, open_cluster
from modelops.sandbox import client as sandbox_client
from modelops.sandbox.client import SandboxInfo

NAMESPACE = "code-chef"
OPERATOR_NAMESPACE = "modelops-system"
HUB_ORG = "appsmithery"
AGENTS = ("docs-1", "docs-2", "docs-3")
_READY_SECONDS = 40.0
_LEASE_SECONDS = "6"

Tell = Callable[[str], None]

"""The mount table says whether a mounted agents.yaml can change."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelops.router.mounted_file import MountedFile, is_mount_point

SUB_PATH = (
    "2871 2850 259:1 /var/lib/kubelet/pods/6a/volume-subpaths/agents/agent/0 /etc/agents/agents.yaml ro,relatime - "
    "ext4 /dev/nvme0n1p1 rw\n"
)
WHOLE_VOLUME = (
    "2872 2850 259:1 /var/lib/kubelet/pods/6a/volumes/kubernetes.io~configmap/agents /etc/agents ro,relatime - ext4 "
    "/dev/nvme0n1p1 rw\n"
)
SPACE = "2873 2850 0:52 / /etc/my\\040agents.yaml ro - tmpfs tmpfs rw\n"


@pytest.mark.parametrize(
    ("path", "table", "expected"),
    [
        pytest.param("/etc/agents/agents.yaml", SUB_PATH, True, id="subPath"),
        pytest.param("/etc/agents/agents.yaml", WHOLE_VOLUME, False, id="the whole volume"),
        pytest.param("/etc/agents/agents.yam", SUB_PATH, False, id="another file"),
        pytest.param("/etc/my agents.yaml", SPACE, True, id="a space"),
    ],
)
def test_a_file_with_a_mount_of_its_own_never_changes(path: str, table: str, expected: bool) -> None:
    assert is_mount_point(path, ["1 0 0:1 / / rw - overlay overlay rw\n", table]) is expected


def test_the_mount_table_of_this_machine_is_read() -> None:
    assert MountedFile("/proc").never_changes()
    assert not MountedFile(Path(__file__)).never_changes()

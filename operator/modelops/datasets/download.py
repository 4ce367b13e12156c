"""Downloads one version of a LangSmith dataset into the work folder, once.

The examples are in `<name>.jsonl`, one per line in the order of their ids. `<name>.json` describes the version; it is
written last, so that a program that is started again uses a complete download and repeats an incomplete one. Not all
examples of a large dataset (50,000) are in memory at the same time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.adapters.langsmith.datasets import LATEST, resolve_dataset
from modelops.adapters.langsmith.errors import LangSmithError, translated_errors
from modelops.datasets.line_file import LineFile
from modelops.datasets.stored_lines import StoredLines
from modelops.workdir import ProgramFailure, WorkDir

if TYPE_CHECKING:
    from langsmith import Client


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One example as LangSmith has it; the shapes of inputs and outputs are not yet checked.

    `source_run` is the id of the run that the example was made from; empty where there is none.
    """

    id: str
    inputs: Any
    outputs: Any
    metadata: dict[str, Any]
    source_run: str = ""


class StoredExample(Example):
    """An example that is read from the file of its dataset when it is used: in memory are its id and an offset."""

    __slots__ = ("_lines", "_offset")
    _lines: StoredLines
    _offset: int

    def __init__(self, id: str, *, lines: StoredLines, offset: int) -> None:
        for name, value in (("id", id), ("_lines", lines), ("_offset", offset)):
            object.__setattr__(self, name, value)

    @property
    def inputs(self) -> Any:
        """See Example."""
        return self._lines.read(self._offset)["inputs"]

    @property
    def outputs(self) -> Any:
        """See Example."""
        return self._lines.read(self._offset)["outputs"]

    @property
    def metadata(self) -> dict[str, Any]:
        """See Example."""
        found: dict[str, Any] = self._lines.read(self._offset)["metadata"]
        return found

    @property
    def source_run(self) -> str:
        """See Example."""
        return str(self._lines.read(self._offset)["source_run"])


@dataclass(frozen=True, kw_only=True)
class DatasetVersion:
    """One version of a dataset. `as_of` is the version's time; `licence` is from the dataset's metadata, or empty."""

    dataset_id: str
    name: str
    as_of: str
    count: int = 0
    licence: str = ""


@dataclass(frozen=True, kw_only=True)
class LoadedDataset(DatasetVersion):
    """One version of a dataset, its examples ordered by id."""

    examples: tuple[Example, ...]


@dataclass(frozen=True, kw_only=True)
class DownloadedDataset:
    """One version of a dataset on disk. Iterating over it reads its examples, ordered by id."""

    version: DatasetVersion
    path: Path

    def __iter__(self) -> Iterator[Example]:
        with self.path.open("rb") as lines:
            for line in lines:
                yield Example(**json.loads(line))


def connect_langsmith(*, seconds: float | None = None) -> Client:
    """A LangSmith client from `LANGSMITH_ENDPOINT` and `LANGSMITH_API_KEY`.

    `seconds`: the longest time of a request, with its retries; None for the connection's own.

    Raises ProgramFailure LangSmithUnauthorized where one of them is missing.
    """
    for variable in ("LANGSMITH_ENDPOINT", "LANGSMITH_API_KEY"):
        if not os.environ.get(variable):
            raise ProgramFailure(
                "LangSmithUnauthorized",
                f"{variable} is not set for this program; name a Secret in spec.secretRefs.langsmith",
            )
    connection = LangSmithConnection(
        api_url=os.environ["LANGSMITH_ENDPOINT"],
        api_key=os.environ["LANGSMITH_API_KEY"],
        web_url=os.environ.get("LANGSMITH_WEB_URL") or None,
        workspace_id=os.environ.get("LANGSMITH_WORKSPACE_ID") or None,
    )
    return (connection if seconds is None else replace(connection, call_seconds=seconds)).client()


def download_dataset(
    work: WorkDir,
    name: str,
    ref: str,
    *,
    as_of: str | None,
    splits: Sequence[str] = (),
    about: str = "",
) -> DownloadedDataset:
    """The dataset `ref`, from the work folder where it was downloaded before, else from LangSmith.

    `name` names the files. `about` is the field of the program's input that a failure is about; empty for the training
    dataset. Raises ProgramFailure with LangSmith's reason.
    """
    path = work.folder / f"{name}.jsonl"
    known = work.read(f"{name}.json")
    if known is None:
        with LineFile(work.folder / f".{name}.part") as unordered:
            version, offsets = _download(unordered, ref, as_of=as_of, splits=splits, about=about)
            with LineFile(path) as ordered:
                for _, offset in sorted(offsets):
                    ordered.append(unordered.read_line(offset))
            unordered.path.unlink()
        known = asdict(version)
        work.write(f"{name}.json", known)
    return DownloadedDataset(version=DatasetVersion(**known), path=path)


def load_dataset(
    work: WorkDir, name: str, ref: str, *, as_of: str | None, splits: Sequence[str] = ()
) -> LoadedDataset:
    """`download_dataset` as a sequence of examples, each of which is read when it is used."""
    downloaded = download_dataset(work, name, ref, as_of=as_of, splits=splits)
    return LoadedDataset(**asdict(downloaded.version), examples=tuple(_stored(downloaded.path)))


def _stored(path: Path) -> Iterator[StoredExample]:
    lines, offset = StoredLines(path), 0
    with path.open("rb") as file:
        for line in file:
            yield StoredExample(json.loads(line)["id"], lines=lines, offset=offset)
            offset += len(line)


def _download(
    into: LineFile, ref: str, *, as_of: str | None, splits: Sequence[str], about: str = ""
) -> tuple[DatasetVersion, list[tuple[str, int]]]:
    """The version, and each example's id with the offset of its line."""
    client = connect_langsmith()
    try:
        dataset = resolve_dataset(client, ref, as_of=as_of or LATEST)
        with translated_errors(doing=f"reading examples of dataset {dataset.name!r}", url=client.api_url):
            listed = client.list_examples(
                dataset_id=dataset.id, as_of=dataset.version, splits=list(splits) or None
            )
            offsets = [(str(e.id), into.append(_line(e))) for e in listed]
    except LangSmithError as error:
        raise ProgramFailure(error.reason, str(error), transient=error.transient, about=about) from error
    finally:
        client.close(timeout=0)
    version = DatasetVersion(
        dataset_id=dataset.id,
        name=dataset.name,
        as_of=dataset.version,
        count=len(offsets),
        licence=dataset.licence,
    )
    return version, offsets


def _line(example: Any) -> bytes:
    document = {
        "id": str(example.id),
        "inputs": example.inputs,
        "outputs": example.outputs,
        "metadata": example.metadata or {},
        "source_run": str(example.source_run_id or ""),
    }
    return json.dumps(document).encode() + b"\n"

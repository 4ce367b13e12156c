"""The routes of examples: list them at any version; add them one by one, in bulk, or as a multipart upload."""

from __future__ import annotations

import sqlite3

from aiohttp import web
from pydantic import TypeAdapter

from modelops.sandbox.langsmith.access import (
    RefusedError,
    as_uuid,
    body_as,
    flag,
    invalid,
    json_body,
    metadata_filter,
    paging,
    path_uuid,
)
from modelops.sandbox.langsmith.database import Database, contains, load_json
from modelops.sandbox.langsmith.example_forms import (
    ExampleCreate,
    ExampleUpdate,
    SplitUpdate,
    changed_row,
    example_json,
    new_row,
    parse_upload,
)
from modelops.sandbox.langsmith.versions import ExampleRow, Versions, example_row, splits_of, with_splits

_DEFAULT_FIELDS = (
    "id",
    "created_at",
    "modified_at",
    "name",
    "dataset_id",
    "source_run_id",
    "metadata",
    "inputs",
    "outputs",
)


class Examples:
    """The routes of examples."""

    def __init__(self, database: Database, versions: Versions) -> None:
        self._db = database
        self._versions = versions

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/examples", self.search),
            web.get("/datasets/{id}/examples", self.search),
            web.post("/examples", self.create),
            web.post("/examples/bulk", self.create_many),
            web.delete("/examples", self.delete_many),
            web.get("/examples/{id}", self.get),
            web.patch("/examples/{id}", self.update),
            web.delete("/examples/{id}", self.delete),
            web.post("/v1/platform/datasets/{id}/examples", self.upload),
            web.patch("/v1/platform/datasets/{id}/examples", self.upload_changes),
            web.put("/datasets/{id}/splits", self.change_split),
        ]

    async def search(self, request: web.Request) -> web.Response:
        limit, offset = paging(request)
        query = request.query
        if "filter" in query:
            raise RefusedError(
                400, "The sandbox does not know the filter language for examples; use metadata."
            )
        ids = {as_uuid(one, "query.id") for one in query.getall("id", [])}
        dataset_id = request.match_info.get("id") or query.get("dataset")
        rows = self._at_version(dataset_id, query.get("as_of", "latest"), ids)
        splits, wanted = set(query.getall("splits", [])), metadata_filter(request)
        found = [
            row
            for row in rows
            if (not ids or row["id"] in ids)
            and (not splits or splits.intersection(splits_of(load_json(row["metadata"]))))
            and (not wanted or contains(load_json(row["metadata"]), wanted))
        ]
        fields = set(_DEFAULT_FIELDS) | set(query.getall("select", []))
        if flag(request, "exclude_default_fields"):
            fields = {"id"} | set(query.getall("select", []))
        page = found[offset : offset + limit]
        return web.json_response(
            [{key: value for key, value in example_json(row).items() if key in fields} for row in page]
        )

    async def get(self, request: web.Request) -> web.Response:
        return web.json_response(example_json(self._get(path_uuid(request, "id"))))

    async def create(self, request: web.Request) -> web.Response:
        body = await body_as(request, ExampleCreate)
        self._versions.dataset(str(body.dataset_id))
        row = new_row(body)
        self._versions.add(str(body.dataset_id), [row])
        return web.json_response(example_json(self._get(row.id)))

    async def create_many(self, request: web.Request) -> web.Response:
        bodies = TypeAdapter(list[ExampleCreate]).validate_python(await json_body(request))
        datasets = {str(body.dataset_id) for body in bodies}
        if len(datasets) != 1:
            raise invalid(
                "body.dataset_id", "all examples should be of the same dataset, at least one is needed"
            )
        dataset_id = datasets.pop()
        self._versions.dataset(dataset_id)
        rows = [new_row(body) for body in bodies]
        self._versions.add(dataset_id, rows)
        return web.json_response([example_json(self._get(row.id)) for row in rows])

    async def update(self, request: web.Request) -> web.Response:
        old = self._get(path_uuid(request, "id"))
        body = await body_as(request, ExampleUpdate)
        changed = changed_row(example_row(old), body.model_dump(exclude_none=True))
        self._versions.replace(old["dataset_id"], [changed])
        return web.json_response({"message": f"Example {old['id']} updated"})

    async def delete(self, request: web.Request) -> web.Response:
        row = self._get(path_uuid(request, "id"))
        self._versions.remove(row["dataset_id"], [row["id"]])
        return web.json_response({"message": "Example deleted"})

    async def delete_many(self, request: web.Request) -> web.Response:
        ids = [as_uuid(one, "query.example_ids") for one in request.query.getall("example_ids", [])]
        rows = [self._get(one) for one in ids]
        for dataset_id in {str(row["dataset_id"]) for row in rows}:
            self._versions.remove(dataset_id, [row["id"] for row in rows if row["dataset_id"] == dataset_id])
        return web.json_response({"message": f"{len(ids)} examples deleted"})

    async def upload(self, request: web.Request) -> web.Response:
        dataset_id = str(self._versions.dataset(path_uuid(request, "id"))["id"])
        rows = []
        for example_id, fields in (await parse_upload(request)).items():
            if "inputs" not in fields:
                raise invalid(f"body.{example_id}.inputs", "Field required")
            metadata = with_splits(fields.get("metadata"), fields.get("split"))
            source = fields.get("source_run_id")
            rows.append(ExampleRow(example_id, fields["inputs"], fields.get("outputs"), metadata, source))
        as_of = self._versions.add(dataset_id, rows)
        return web.json_response(
            {"example_ids": [row.id for row in rows], "count": len(rows), "as_of": as_of}, status=201
        )

    async def upload_changes(self, request: web.Request) -> web.Response:
        dataset_id = str(self._versions.dataset(path_uuid(request, "id"))["id"])
        rows = [
            changed_row(example_row(self._get(example_id)), fields)
            for example_id, fields in (await parse_upload(request)).items()
        ]
        as_of = self._versions.replace(dataset_id, rows)
        return web.json_response(
            {"example_ids": [row.id for row in rows], "count": len(rows), "as_of": as_of}
        )

    async def change_split(self, request: web.Request) -> web.Response:
        dataset_id = str(self._versions.dataset(path_uuid(request, "id"))["id"])
        body = await body_as(request, SplitUpdate)
        rows = []
        for example_id in body.examples:
            row = example_row(self._get(str(example_id)))
            splits = [name for name in splits_of(row.metadata) if name != body.split_name]
            splits += [] if body.remove else [body.split_name]
            rows.append(changed_row(row, {"split": splits}))
        self._versions.replace(dataset_id, rows)
        return web.json_response(body.split_name)

    def _at_version(self, dataset_id: str | None, as_of: str, ids: set[str]) -> list[sqlite3.Row]:
        if dataset_id is not None:
            dataset_id = as_uuid(dataset_id, "query.dataset")
            self._versions.dataset(dataset_id)
            return self._versions.examples(dataset_id, self._versions.resolve_or_404(dataset_id, as_of))
        if not ids:
            raise invalid("query.dataset", "One of dataset and id is required")
        holders = {str(row["dataset_id"]) for one in ids if (row := self._versions.current(one))}
        return [
            row
            for one in holders
            for row in self._versions.examples(one, self._versions.resolve_or_404(one, as_of))
        ]

    def _get(self, example_id: str) -> sqlite3.Row:
        row = self._versions.current(example_id)
        if row is None:
            raise RefusedError(404, f"Example {example_id} not found")
        return row

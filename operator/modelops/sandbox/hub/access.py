"""Who may do what on the Hub, and how it says no."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from modelops.sandbox.hub.objects import Commit, Entry, Repo, RepoType
from modelops.sandbox.hub.store import RepoStore
from modelops.sandbox.tokens import Tokens, bearer_matches

STORE: web.AppKey[RepoStore] = web.AppKey("store", RepoStore)
TOKENS: web.AppKey[Tokens] = web.AppKey("tokens", Tokens)


class HubError(Exception):
    """An answer other than success.

    `code` becomes `X-Error-Code`, by which the SDK chooses its exception.
    """

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self) -> web.Response:
        """The answer in the form of the Hub."""
        headers = {"X-Error-Message": str(self).replace("\n", " ")}
        if self.code is not None:
            headers["X-Error-Code"] = self.code
        return web.json_response({"error": str(self)}, status=self.status, headers=headers)


def guard(tokens: Tokens) -> Middleware:
    """Turns `HubError` into answers, refuses wrong tokens everywhere, and no token below `/api/jobs`."""

    @web.middleware
    async def apply(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            given = request.headers.get("Authorization")
            if given is not None and not bearer_matches(given, tokens.hf):
                raise HubError(401, "Invalid credentials in Authorization header")
            request["authorized"] = given is not None
            if request.path.startswith("/api/jobs"):
                require_token(request)
            return await handler(request)
        except HubError as error:
            return error.response()
        except web.HTTPException as error:
            return HubError(error.status, f"{request.method} {request.path}: {error.reason}").response()

    return apply


def require_token(request: web.Request) -> None:
    """Refuses a call without a token."""
    if not request["authorized"]:
        raise HubError(401, "Invalid username or password.")


def require_namespace(request: web.Request, namespace: str) -> None:
    """Refuses a change in a namespace that the token does not own."""
    require_token(request)
    if namespace not in request.app[TOKENS].namespaces:
        raise HubError(
            403, f"You don't have the rights to write to the namespace {namespace!r} with this token."
        )


def kind_of(request: web.Request) -> RepoType:
    """The repository type that a route is about: `models` and `datasets` are part of the path."""
    return "dataset" if (request.path + "/").startswith(("/datasets/", "/api/datasets/")) else "model"


def repo_of(request: web.Request, *, write: bool = False) -> Repo:
    """The repository of a call, or the refusal the Hub would answer.

    A private repository of somebody else does not exist for the caller, as on the Hub.
    """
    tokens = request.app[TOKENS]
    repo_id = f"{request.match_info['namespace']}/{request.match_info['name']}"
    repo = request.app[STORE].find(kind_of(request), repo_id)
    own = request["authorized"] and repo_id.partition("/")[0] in tokens.namespaces
    if repo is None or (repo.private and not own):
        raise HubError(404 if request["authorized"] else 401, "Repository not found", "RepoNotFound")
    if write:
        require_namespace(request, repo.namespace)
    return repo


def commit_of(request: web.Request, repo: Repo) -> Commit:
    """The commit at the call's revision (default `main`)."""
    revision = request.match_info.get("rev", "main")
    commit = request.app[STORE].commit_at(repo, revision)
    if commit is None:
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return commit


def entry_of(commit: Commit, path: str) -> Entry:
    """A file of a commit."""
    entry = commit.files.get(path)
    if entry is None:
        raise HubError(404, "Entry not found", "EntryNotFound")
    return entry


def require_content_access(request: web.Request, repo: Repo) -> None:
    """Refuses the content of a gated repository of somebody else."""
    own = request["authorized"] and repo.namespace in request.app[TOKENS].namespaces
    if repo.gated and not own:
        status = 403 if request["authorized"] else 401
        raise HubError(status, f"Access to model {repo.id} is restricted.", "GatedRepo")

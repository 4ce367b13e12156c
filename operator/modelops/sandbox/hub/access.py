"""Access control of the Hub, and its error responses."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from modelops.sandbox.hub.objects import Commit, Entry, Repo, RepoType
from modelops.sandbox.hub.store import RepoStore
from modelops.sandbox.tokens import Tokens, bearer_matches

STORE: web.AppKey[RepoStore] = web.AppKey("store", RepoStore)
TOKENS: web.AppKey[Tokens] = web.AppKey("tokens", Tokens)


class HubError(Exception):
    """An error response.

    `code`: the header `X-Error-Code`, from which the SDK chooses its exception.
    """

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self) -> web.Response:
        """Return the response in the Hub's format."""
        headers = {"X-Error-Message": str(self).replace("\n", " ")}
        if self.code is not None:
            headers["X-Error-Code"] = self.code
        return web.json_response({"error": str(self)}, status=self.status, headers=headers)


def guard(tokens: Tokens) -> Middleware:
    """Return a middleware: `HubError` becomes a response, a wrong token is refused, and `/api/jobs` needs a token."""

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
    """Refuse a call without a token."""
    if not request["authorized"]:
        raise HubError(401, "Invalid username or password.")


def require_namespace(request: web.Request, namespace: str) -> None:
    """Refuse a change in a namespace that does not belong to the token."""
    require_token(request)
    if namespace not in request.app[TOKENS].namespaces:
        raise HubError(
            403, f"You don't have the rights to write to the namespace {namespace!r} with this token."
        )


def kind_of(request: web.Request) -> RepoType:
    """Return the repository type of a route, from its path."""
    return "dataset" if (request.path + "/").startswith(("/datasets/", "/api/datasets/")) else "model"


def repo_of(request: web.Request, *, write: bool = False) -> Repo:
    """Return the repository of a call. Raises the HubError that the Hub would respond with.

    As on the Hub, a private repository of another namespace does not exist for the caller.
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
    """Return the commit at the call's revision (default `main`)."""
    revision = request.match_info.get("rev", "main")
    commit = request.app[STORE].commit_at(repo, revision)
    if commit is None:
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return commit


def entry_of(commit: Commit, path: str) -> Entry:
    """Return a file of a commit. Raises HubError if there is none."""
    entry = commit.files.get(path)
    if entry is None:
        raise HubError(404, "Entry not found", "EntryNotFound")
    return entry


def require_content_access(request: web.Request, repo: Repo) -> None:
    """Refuse the content of a gated repository of another namespace."""
    own = request["authorized"] and repo.namespace in request.app[TOKENS].namespaces
    if repo.gated and not own:
        status = 403 if request["authorized"] else 401
        raise HubError(status, f"Access to model {repo.id} is restricted.", "GatedRepo")

"""A tool that is guarded: by its arguments' names, a rate limit, and the caller's rights; and whose errors are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, get_args

from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp_types import ToolAnnotations
from pydantic import ValidationError, create_model

from modelops.client import ClientError
from modelops.domain.nearest import nearest
from modelops.mcp_server.callers import Need, acting_for
from modelops.mcp_server.services import services_of
from modelops.tools.errors import ToolRefused


class _TextKept(FuncMetadata):
    """Leaves a text as it came where the argument takes a text.

    The SDK reads every string as JSON whose argument is not exactly `str` (mcp 2.3.0, python-sdk issue 1873), so the
    key `{"run": 7}` would become a dictionary and be refused. `null` still means no value: models write it.
    """

    def pre_parse_json(self, data: dict[str, Any]) -> dict[str, Any]:
        read = super().pre_parse_json(data)
        return {
            name: data[name]
            if isinstance(data[name], str) and value is not None and self._takes_text(name)
            else value
            for name, value in read.items()
        }

    def _takes_text(self, name: str) -> bool:
        field = self.arg_model.model_fields.get(name)
        return field is not None and str in get_args(field.annotation)


class GuardedTool(Tool):
    """Runs the function in the name of the caller. `needs`: the rights that are checked first.

    The SDK drops unknown arguments, and withholds the text of every exception but ToolError.
    """

    needs: tuple[Need, ...] = ()

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        *,
        title: str,
        annotations: ToolAnnotations,
        needs: tuple[Need, ...],
    ) -> Self:
        """The tool of a function; its name and docstring are those of the tool."""
        tool = cls.from_function(
            function, title=title, annotations=annotations, description=_description(function)
        )
        assert isinstance(tool, cls)
        model = tool.fn_metadata.arg_model
        tool.fn_metadata.arg_model = create_model(
            model.__name__, __base__=model, __cls_kwargs__={"extra": "forbid"}
        )
        tool.parameters = tool.fn_metadata.arg_model.model_json_schema(by_alias=True)
        tool.fn_metadata = _TextKept(
            **{name: getattr(tool.fn_metadata, name) for name in FuncMetadata.model_fields}
        )
        tool.needs = needs
        return tool

    async def run(self, arguments: dict[str, Any], context: Any, convert_result: bool = False) -> Any:
        """Run the tool. Raises ToolError with the text that the client may read."""
        services = services_of(context)
        try:
            self._refuse_unknown(arguments)
            async with services.callers.calling() as caller:
                if services.rate is not None:
                    services.rate.admit(caller.name)
                for need in self.needs:
                    await services.callers.require(caller, need)
                with acting_for(caller):
                    return await super().run(arguments, context, convert_result)
        except (ClientError, ToolRefused) as error:
            raise ToolError(str(error)) from error
        except UnexpectedToolError as error:
            if isinstance(error.__cause__, ClientError | ToolRefused):
                raise ToolError(str(error.__cause__)) from error
            raise UnexpectedToolError(
                f"{self.name} failed for a reason that is not its caller's: the server's log has it"
            ) from error.__cause__
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(_wrong_arguments(error.__cause__)) from error.__cause__
            raise

    def _refuse_unknown(self, arguments: dict[str, Any]) -> None:
        known = list(self.fn_metadata.arg_model.model_fields)
        unknown = [name for name in arguments if name not in known]
        if unknown:
            meant = nearest(unknown[0], known)
            raise ToolRefused(
                f"{self.name} has no argument {unknown[0]!r}{f' (did you mean {meant[0]}?)' if meant else ''}: its "
                f"arguments are {', '.join(known) or 'none'}"
            )


def _description(function: Callable[..., Any]) -> str:
    """The docstring as one paragraph."""
    return " ".join((function.__doc__ or "").split())


def _wrong_arguments(error: ValidationError) -> str:
    problems = [
        f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
        for one in error.errors(include_url=False, include_input=False)
    ]
    return f"wrong arguments: {'; '.join(problems)}"

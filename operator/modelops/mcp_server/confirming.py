"""A person's confirmation: by a question where the client can ask one, otherwise by a quote.

Annotations are evaluated at once here, because the SDK reads those of resolvers that are made inside functions.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar

from mcp.server.elicitation import AcceptedElicitation
from mcp.server.mcpserver import Elicit, ElicitationResult, Resolve
from mcp_types.version import is_version_at_least
from pydantic import BaseModel, Field

from modelops.mcp_server.answers import CONFIRMATION_REQUIRED, DECLINED, Confirmable
from modelops.mcp_server.callers import current_caller
from modelops.mcp_server.quotes import Quote
from modelops.mcp_server.services import Ctx, services_of
from modelops.tools.errors import ToolRefused

_WITHOUT_BACK_CHANNEL: Final = "2026-07-28"
"""First protocol version in which a question ends a call and its answer begins it anew."""
_LONGEST: Final = 200

Request = TypeVar("Request")


class Confirm(BaseModel):
    """A person's answer."""

    confirm: bool = Field(title="Do it", description="Whether this is to be done as described.")


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a call would do, before it is confirmed.

    `what`: the question's first line. `facts`: what a person should know, name by name. `subject`: everything that the
    offer depends on, as JSON; a quote is for exactly this. `cost_usd`: the most that it can cost. `needs_nobody`: there
    is nothing to confirm, because nothing would be changed. `quote`: where a quote is made elsewhere. `request`: what
    the tool then does.
    """

    what: str
    facts: tuple[tuple[str, str], ...] = ()
    subject: Mapping[str, Any] = field(default_factory=dict)
    cost_usd: float | None = None
    needs_nobody: bool = False
    quote: Quote | None = None
    request: Any = None

    @property
    def question(self) -> str:
        """What the person reads. Values from objects and from the model are quoted, on one line each.

        The reference is another one for everything else that is offered, also if the person could not tell it apart:
        the SDK takes an answer for this text alone, so an answer cannot be used again after what it was for.
        """
        lines = [self.what, *(f"- {name}: {value}" for name, value in self.facts)]
        return "\n".join([*lines, f"- reference: {self._digest()}"])

    def _digest(self) -> str:
        content = [self.what, self.subject, self.quote.quote_id if self.quote else None]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]


MakeOffer = Callable[..., Awaitable[Offer]]


def quoted(value: object, *, longest: int = _LONGEST) -> str:
    """Text that somebody else wrote, on one line, in quotes, and not too long."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(value)).replace('"', "'")
    return f'"{text[: longest - 1]}…"' if len(text) > longest else f'"{text}"'


def can_ask(ctx: Ctx) -> bool:
    """Whether the client can put a question to a person on this connection."""
    capabilities = ctx.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return False
    return not _has_back_channel(ctx) or ctx.session.can_send_request


def confirmation_of(make_offer: MakeOffer) -> Callable[..., Awaitable[Elicit[Confirm] | Confirm]]:
    """The resolver that has the offer of `make_offer` confirmed.

    Where the client can ask, a quote does not replace the question: a model could give it to itself.
    """

    async def confirmation(
        ctx: Ctx, quote_id: str | None, offer: Annotated[Offer, Resolve(make_offer)]
    ) -> Elicit[Confirm] | Confirm:
        if offer.needs_nobody:
            return Confirm(confirm=True)
        if can_ask(ctx):
            return Elicit(offer.question, Confirm)
        services = services_of(ctx)
        if services.only_people:
            raise ToolRefused(
                "this needs a person's confirmation, and this client cannot ask one (it has no form elicitation): use "
                "another client, or the command line `modelops`"
            )
        if quote_id is None:
            return Confirm(confirm=False)
        if offer.quote is None:
            services.quotes.ensure_valid(quote_id, subject_of(offer))
        return Confirm(confirm=True)

    return confirmation


def subject_of(offer: Offer) -> dict[str, Any]:
    """What a quote is for: the offer, made to this caller."""
    return {**offer.subject, "what": offer.what, "caller": current_caller().name}


def is_confirmed(answer: ElicitationResult[Confirm]) -> bool:
    """Whether a person, or a valid quote, has said yes."""
    return isinstance(answer, AcceptedElicitation) and answer.data.confirm


async def still_offered(ctx: Ctx, offer: Offer, make_again: Callable[[], Awaitable[Offer]]) -> Offer:
    """The offer as it is now, after a person was asked. Raises ToolRefused where it is another one.

    Only a connection with a back channel waits for the answer inside one call. On others the offer is made anew with
    the answer, and the SDK asks again if the question is another one. What somebody else has done in the meantime needs
    nobody any more.
    """
    if offer.needs_nobody or not _has_back_channel(ctx) or not can_ask(ctx):
        return offer
    again = await make_again()
    if not again.needs_nobody and (again.question, again.subject) != (offer.question, offer.subject):
        raise ToolRefused("what you confirmed has changed in the meantime: nothing was done; ask again")
    return again


def unconfirmed(ctx: Ctx, offer: Offer) -> tuple[str, str, Confirmable]:
    """Status, message and quote of an answer where nothing was done."""
    if can_ask(ctx):
        return DECLINED, "The person did not confirm it. Nothing was done.", Confirmable()
    quote = offer.quote or services_of(ctx).quotes.issue(subject_of(offer))
    return (
        CONFIRMATION_REQUIRED,
        f"{offer.question}\nNothing was done. Ask the person; only if they agree, call again with the same arguments "
        f"and quote_id, before {quote.valid_until:%H:%M} UTC.",
        Confirmable(quote_id=quote.quote_id, cost_usd=offer.cost_usd, valid_until=quote.valid_until),
    )


def _has_back_channel(ctx: Ctx) -> bool:
    version = ctx.protocol_version
    return version is None or not is_version_at_least(version, _WITHOUT_BACK_CHANNEL)

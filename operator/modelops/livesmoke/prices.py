"""Prices of the services beside those that the sandbox answers, and what an endpoint and a job cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from modelops.adapters.huggingface.jobs import UNITS_PER_HOUR
from modelops.sandbox.endpoints.hardware import COMPUTES
from modelops.sandbox.jobs.hardware import FLAVORS

Json = Mapping[str, Any]
_SMALL: Final = Decimal("0.01")
"""Dollars per hour below which two prices count as equal: prices of a minute are rounded."""


def flavor_prices(hardware: Iterable[Json]) -> dict[str, Decimal]:
    """Dollars per hour by flavor; a flavor without a readable price is left out."""
    found = {}
    for item in hardware:
        units = UNITS_PER_HOUR.get(str(item.get("unitLabel")))
        if units and item.get("unitCostMicroUSD") is not None:
            found[str(item["name"])] = Decimal(item["unitCostMicroUSD"]) * units / 1_000_000
    return found


def computes(provider: Json) -> Iterator[tuple[tuple[str, str, str, str], Json]]:
    """Each instance of the price list of endpoints, with (vendor, region, type, size)."""
    for vendor in provider.get("vendors") or ():
        for region in vendor.get("regions") or ():
            for compute in region.get("computes") or ():
                key = (vendor["name"], region["name"], compute["instanceType"], compute["instanceSize"])
                yield key, compute


def instance_price(provider: Json, *, vendor: str, region: str, kind: str, size: str) -> Decimal | None:
    """Dollars per hour of one replica; None where the service does not offer the instance now."""
    for key, compute in computes(provider):
        if key == (vendor, region, kind, size) and compute.get("status") == "available":
            return Decimal(str(compute["pricePerHour"]))
    return None


def price_differences(hardware: Iterable[Json], provider: Json) -> list[str]:
    """Where the service's price lists differ from the sandbox's, one line each; offers of one side alone, too."""
    ours = {name: Decimal(str(flavor.usd_per_hour)) for name, flavor in FLAVORS.items()}
    lines = _compared("flavor", flavor_prices(hardware), ours)
    theirs = {
        f"{key[2]} {key[3]}": Decimal(str(compute["pricePerHour"])) for key, compute in computes(provider)
    }
    known = {f"{c.instance_type} {c.instance_size}": Decimal(str(c.usd_per_hour)) for c in COMPUTES}
    return lines + _compared("endpoint", theirs, known)


def job_cost(job: Json, prices: Mapping[str, Decimal]) -> Decimal | None:
    """What a job has cost by the service's own times and prices: each started minute. None without a price."""
    price = prices.get(str(job.get("flavor")))
    seconds = (job.get("durations") or {}).get("runningSecs") or 0
    return None if price is None else Decimal(math.ceil(seconds / 60)) * price / 60


def endpoint_cost(seconds: float, per_hour: Decimal) -> Decimal:
    """What an endpoint has cost in this time: each started minute."""
    return Decimal(max(1, math.ceil(seconds / 60))) * per_hour / 60


def _compared(kind: str, theirs: Mapping[str, Decimal], ours: Mapping[str, Decimal]) -> list[str]:
    lines = [
        f"{kind} {name}: ${theirs[name]:.2f} an hour, in the sandbox ${ours[name]:.2f}"
        for name in sorted(theirs.keys() & ours.keys())
        if abs(theirs[name] - ours[name]) >= _SMALL
    ]
    for what, names in (
        ("offered, and not in the sandbox", theirs.keys() - ours.keys()),
        ("not offered, though the sandbox has it", ours.keys() - theirs.keys()),
    ):
        if names:
            lines.append(f"{kind}s {what}: {', '.join(sorted(names))}")
    return lines

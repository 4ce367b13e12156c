"""Modules must not import each other in a circle, also not inside functions or for type checking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

import grimp


def import_circle(package: str = "modelops") -> list[str]:
    """One circle among the modules of the package, as a sentence; none where there is none."""
    graph = grimp.build_graph(package, cache_dir=None)
    return circle_in({module: graph.find_modules_directly_imported_by(module) for module in graph.modules})


def circle_in(imports: Mapping[str, Iterable[str]]) -> list[str]:
    """`imports`: the modules that each module imports."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        return [
            f"modules import each other in a circle: {circle}. Move what they share into a module of its own."
        ]
    return []

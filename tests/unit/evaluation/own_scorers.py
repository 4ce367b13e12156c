"""An installed package with scorers of a team, as `pip install` leaves it."""

from pathlib import Path

MODULE = """
import time

def length(*, inputs, outputs, reference_outputs):
    same = len(outputs["answer"]) == len(reference_outputs["text"])
    return {"key": "length", "score": same, "comment": "by length"}

def half(inputs, outputs, reference_outputs):
    return 0.5

def calls(inputs, outputs, reference_outputs):
    return {"key": "calls", "score": float(len(outputs.get("tool_calls", [])) == 1), "comment": None}

def uses_up(inputs, outputs, reference_outputs):
    return float(outputs["answer"] == reference_outputs["texts"].pop())

def raises(inputs, outputs, reference_outputs):
    raise KeyError("no such field")

def above(inputs, outputs, reference_outputs):
    return {"key": "above", "score": 1.5}

def nothing(inputs, outputs, reference_outputs):
    return None

def nan(inputs, outputs, reference_outputs):
    return {"score": float("nan")}

def slow(inputs, outputs, reference_outputs):
    while True:
        try:
            time.sleep(60)
        except Exception:
            pass

async def later(inputs, outputs, reference_outputs):
    return 1

no_function = 7
"""
NAMES = (
    "length",
    "half",
    "calls",
    "uses_up",
    "raises",
    "above",
    "nothing",
    "nan",
    "slow",
    "later",
    "no_function",
)


def install(folder: Path) -> Path:
    """Installs the package into the folder, which must be on the path; returns it."""
    (folder / "team_scorers.py").write_text(MODULE)
    info = folder / "team_scorers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: team-scorers\nVersion: 1.0\n")
    lines = [f"{name} = team_scorers:{name}" for name in NAMES] + ["broken = team_scorers_missing:x"]
    (info / "entry_points.txt").write_text("[modelops.scorers]\n" + "\n".join(lines) + "\n")
    return folder

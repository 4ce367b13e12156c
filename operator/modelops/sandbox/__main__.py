"""`python -m modelops.sandbox --state DIR`: runs the sandbox until SIGTERM or SIGINT."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from modelops.sandbox.server import StateInUseError, serving


def main(arguments: list[str] | None = None) -> int:
    """Run the sandbox. Exit code 0: stopped by a signal; 2: another sandbox uses the state folder."""
    parser = argparse.ArgumentParser(prog="python -m modelops.sandbox", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder for its state")
    parser.add_argument("--profile", choices=["fast", "realistic"], default="fast")
    parser.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="also stop when standard input ends, so that the sandbox cannot outlive the process that started it",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(_run(options.state.resolve(), options.profile, options.until_stdin_closes))
    except StateInUseError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


async def _run(root: Path, profile: str, until_stdin_closes: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        end_of_input = asyncio.create_task(reader.read())
        end_of_input.add_done_callback(lambda _: stop.set())
    async with serving(root, "realistic" if profile == "realistic" else "fast") as info:
        sys.stdout.write(f"sandbox ready: {root / 'sandbox.json'} (hub {info.hub}, admin {info.admin})\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())

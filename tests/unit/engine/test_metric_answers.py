"""Metric providers are asked beside the decisions: once for all who ask, few at a time, and not again while one is down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.unit.engine.virtual_time import run

from modelops.engine.metric_answers import DOWN_SECONDS, Answer, Asker, MetricAnswers
from modelops.ports import MetricQuestion, PrometheusQuestion, Refused, Unavailable

START = datetime(2025, 12, 10, tzinfo=UTC)


class LoopClock:
    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Provider:
    """Answers after a second; raises `error` if there is one."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.error: Exception | None = None
        self.seconds = 1.0

    async def measure(self, question: MetricQuestion) -> float:
        assert isinstance(question, PrometheusQuestion)
        self.asked.append(question.query)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.at_once -= 1
        if self.error:
            raise self.error
        return 0.5

    async def close(self) -> None:
        return None


def question(query: str = "up", *, url: str = "http://p", token: str = "") -> PrometheusQuestion:
    return PrometheusQuestion(url=url, query=query, token=token)


def answers(provider: Provider, changed: Callable[[Asker], None] = lambda _: None) -> MetricAnswers:
    return MetricAnswers(prometheus=provider, langsmith=provider, clock=LoopClock(), changed=changed)


async def answer(of: MetricAnswers, asked: PrometheusQuestion) -> Answer:
    since = LoopClock().now()
    while (found := of.answer(asked, since=since, asker=("team", "r1"))) is None:
        await asyncio.sleep(0.1)
    return found


def test_one_query_answers_all_rollouts_that_ask_in_the_same_interval() -> None:
    async def main() -> None:
        provider, told = Provider(), list[Asker]()
        shared = answers(provider, told.append)
        for name in ("a", "b", "c", "a"):
            assert shared.answer(question(), since=START, asker=("team", name)) is None
        await asyncio.sleep(2)
        assert provider.asked == ["up"]
        assert told == [("team", "a"), ("team", "b"), ("team", "c")]
        found = shared.answer(question(), since=START, asker=("team", "d"))
        assert found == Answer(at=START, value=0.5)
        assert shared.answer(question(), since=START + timedelta(seconds=1), asker=("team", "d")) is None

    run(main())


def test_a_thousand_rollouts_ask_once_in_each_interval_and_few_at_a_time() -> None:
    """1,000 rollouts that are reconciled every 5 s, with metrics at 15 s, for a minute."""

    async def main() -> None:
        provider = Provider()
        provider.seconds = 0.05
        shared = answers(provider)
        for second in range(0, 60, 5):
            since = START + timedelta(seconds=second // 15 * 15)
            for number in range(1000):
                shared.answer(question(f"q{number}"), since=since, asker=("team", f"r{number}"))
            await asyncio.sleep(5)
        await asyncio.sleep(30)
        assert len(provider.asked) == 4 * 1000
        assert provider.most_at_once == 8

    run(main())


def test_a_provider_that_is_down_is_not_asked_by_everyone() -> None:
    async def main() -> None:
        provider = Provider()
        provider.error = Unavailable("Prometheus at http://p cannot be reached")
        shared = answers(provider)
        found = await asyncio.gather(*(answer(shared, question(f"q{number}")) for number in range(200)))
        assert {one.problem for one in found} == {"Prometheus at http://p cannot be reached"}
        assert len(provider.asked) <= 16
        provider.error = None
        assert (await answer(shared, question("other tenant", token="t"))).value == 0.5
        await asyncio.sleep(DOWN_SECONDS)
        assert (await answer(shared, question("q0"))).value == 0.5

    run(main())


def test_a_refused_query_keeps_no_other_query_from_being_asked() -> None:
    async def main() -> None:
        provider = Provider()
        shared = answers(provider)
        provider.error = Refused("several series")
        for number in range(10):
            assert (await answer(shared, question(f"bad{number}"))).problem == "several series"
        provider.error = None
        assert (await answer(shared, question())).value == 0.5

    run(main())


def test_a_provider_that_never_answers_is_given_up() -> None:
    async def main() -> None:
        provider = Provider()
        provider.seconds = 1e6
        found = await answer(answers(provider), question())
        assert "has not answered in 60 s" in found.problem

    run(main())


def test_a_fault_of_a_provider_is_an_error_of_its_metric() -> None:
    async def main() -> None:
        provider = Provider()
        provider.error = KeyError("secret")
        found = await answer(answers(provider), question())
        assert found.problem == "the operator could not read the answer of Prometheus at http://p (KeyError)"

    run(main())


def test_closing_ends_what_is_being_asked() -> None:
    async def main() -> None:
        provider, told = Provider(), list[Asker]()
        shared = answers(provider, told.append)
        shared.answer(question(), since=START, asker=("team", "r1"))
        await asyncio.sleep(0.5)
        await shared.close()
        assert (provider.at_once, told) == (0, [])

    run(main())

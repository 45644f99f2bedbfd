"""What subscribers of the simulated SMSC do with the short links that they get: they really request them."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Literal

import structlog

Visit = Literal["", "click", "confirm", "preview"]
"""Tap on a link, opt out on the page of a StopMsg link, or have the telephone make a preview of a link."""

TELEPHONE: Final = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/126.0.0.0 Mobile Safari/537.36"
)
PREVIEW: Final = "WhatsApp/2.24.13.77 A"
TIMEOUT: Final = 10.0
MOST_AT_ONCE: Final = 20

Ask = Callable[[str, str, str], Awaitable[int]]
"""Makes a request (method, URL, body of a form); the status of its answer. A redirect is not followed: nothing leaves
the machine.
"""

log = structlog.get_logger(__name__)


class Requests:
    """Requests that people and programs of the sandbox make. `name` is what their lines in the log begin with."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(MOST_AT_ONCE)

    def begin(self, visit: str, agent: str, steps: Callable[[Ask], Awaitable[int]]) -> None:
        """Begin to do something as a client with this User-Agent."""
        task = asyncio.ensure_future(self._go(visit, agent, steps))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def busy(self) -> bool:
        """Whether some request is under way."""
        return bool(self._tasks)

    async def stop(self) -> None:
        """Break off what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _go(self, visit: str, agent: str, steps: Callable[[Ask], Awaitable[int]]) -> None:
        import aiohttp

        try:
            async with (
                self._turn,
                aiohttp.ClientSession(
                    headers={"User-Agent": agent}, timeout=aiohttp.ClientTimeout(total=TIMEOUT), trust_env=False
                ) as session,
            ):

                async def ask(method: str, url: str, body: str) -> int:
                    form = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
                    async with session.request(
                        method, url, data=body or None, headers=form, allow_redirects=False
                    ) as answer:
                        await answer.read()
                        return answer.status

                status = await steps(ask)
            log.info(f"{self._name}.visited", visit=visit, status=status)
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            log.warning(f"{self._name}.not_visited", visit=visit, problem=str(problem) or type(problem).__name__)


class Visitor(Requests):
    """Requests links of the house, and nothing else: `domain` is their host, with its port if it has one."""

    def __init__(self, domain: str) -> None:
        super().__init__("smsc")
        self._links = re.compile(rf"(?<![\w./-])(https?://)?({re.escape(domain)}/\w+)", re.IGNORECASE | re.ASCII)

    def start(self, text: str, visit: Visit) -> None:
        """Begin to do with the links of a text what a subscriber does."""
        for scheme, place in self._links.findall(text):
            agent = PREVIEW if visit == "preview" else TELEPHONE
            self.begin(visit, agent, partial(_follow, (scheme or "http://") + place, visit))


async def _follow(url: str, visit: Visit, ask: Ask) -> int:
    """HEAD asks which link has a page of the house."""
    status = await ask("HEAD" if visit == "confirm" else "GET", url, "")
    return await ask("POST", url, "") if visit == "confirm" and status == 200 else status

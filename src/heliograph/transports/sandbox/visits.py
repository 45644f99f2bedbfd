"""What subscribers of the simulated SMSC do with the short links that they get: they really request them."""

import asyncio
import re
from typing import TYPE_CHECKING, Final, Literal

import structlog

if TYPE_CHECKING:
    import aiohttp

Visit = Literal["", "click", "confirm", "preview"]
"""Tap on a link, opt out on the page of a StopMsg link, or have the telephone make a preview of a link."""

TELEPHONE: Final = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/126.0.0.0 Mobile Safari/537.36"
)
PREVIEW: Final = "WhatsApp/2.24.13.77 A"
TIMEOUT: Final = 10.0
MOST_AT_ONCE: Final = 20

log = structlog.get_logger(__name__)


class Visitor:
    """Requests links of the house, and nothing else: `domain` is their host, with its port if it has one."""

    def __init__(self, domain: str) -> None:
        self._links = re.compile(rf"(?<![\w./-])(https?://)?({re.escape(domain)}/\w+)", re.IGNORECASE | re.ASCII)
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(MOST_AT_ONCE)

    def start(self, text: str, visit: Visit) -> None:
        """Begin to do with the links of a text what a subscriber does."""
        for scheme, place in self._links.findall(text):
            task = asyncio.ensure_future(self._go((scheme or "http://") + place, visit))
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

    async def _go(self, url: str, visit: Visit) -> None:
        import aiohttp

        agent = PREVIEW if visit == "preview" else TELEPHONE
        try:
            async with (
                self._turn,
                aiohttp.ClientSession(
                    headers={"User-Agent": agent}, timeout=aiohttp.ClientTimeout(total=TIMEOUT), trust_env=False
                ) as session,
            ):
                # A redirect is not followed: nothing leaves the machine. HEAD asks which link has a page of the house.
                method = "HEAD" if visit == "confirm" else "GET"
                status = await _status(session, method, url)
                if visit == "confirm" and status == 200:
                    status = await _status(session, "POST", url)
            log.info("smsc.visited", visit=visit, status=status)
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            log.warning("smsc.not_visited", visit=visit, problem=str(problem) or type(problem).__name__)


async def _status(session: "aiohttp.ClientSession", method: str, url: str) -> int:
    async with session.request(method, url, allow_redirects=False) as answer:
        await answer.read()
        return answer.status

"""A real Chromium, driven over its DevTools protocol: pages opened, keys pressed, what went wrong in them collected."""

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # as root, in containers
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
)
_BOUND_S = 60.0
"""Reached only when something hangs, however busy the machine is."""
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Return the program, or None where there is none."""
    return next((found for name in _PROGRAMS if (found := shutil.which(name))), None)


class Page:
    """One tab. `problems`: errors, warnings of the console, and what the Content-Security-Policy has refused.

    After `call("Network.enable")` also requests that failed.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.problems: list[str] = []
        self.dialogs: list[str] = []
        self._reader = asyncio.create_task(self._read())

    async def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(_BOUND_S):
            return await self._answers[number]

    async def evaluate(self, expression: str) -> Any:
        """Return what an expression is worth in the page; a promise is waited for."""
        answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def wait_for(self, expression: str) -> Any:
        """Return the first value of an expression that isn't false."""
        async with asyncio.timeout(_BOUND_S):
            while not (value := await self.evaluate(expression)):
                await asyncio.sleep(0.05)
            return value

    async def open(self, url: str, heading: str = "") -> None:
        """Open an address and wait until its heading is there; one that begins with these words."""
        await self.call("Page.navigate", url=url)
        await self.wait_for_heading(heading)

    async def go(self, fragment: str, heading: str = "") -> None:
        """Follow a link within the viewer."""
        await self.evaluate(
            f"""{{ document.querySelector('main').replaceChildren();
            const before = location.hash; location.hash = {json.dumps(fragment)};
            if (location.hash === before) window.dispatchEvent(new Event("hashchange")); }}"""
        )
        await self.wait_for_heading(heading)

    async def wait_for_heading(self, heading: str) -> None:
        """Wait until the page has a heading that begins with these words."""
        await self.wait_for(f"document.querySelector('main h1')?.textContent.startsWith({json.dumps(heading)})")

    async def press(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if len(key) == 1 and kind == "keyDown" else {}
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, **text)

    async def look(self, *, dark: bool = False, width: int = 1280, height: int = 900) -> None:
        """Set colors and size of the screen."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.call("Emulation.setDeviceMetricsOverride", **size)

    async def screenshot(self, path: Path) -> None:
        """Write what is on the screen as a PNG."""
        picture = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(picture["data"]))

    async def memory_bytes(self) -> int:
        """Return the size of the page's JavaScript heap."""
        usage = await self.call("Runtime.getHeapUsage")
        return int(usage["usedSize"])

    async def _read(self) -> None:
        async for message in self._socket:
            content = json.loads(message.data)
            if "id" in content:
                future = self._answers.pop(content["id"])
                if not future.done():
                    future.set_result(content.get("result") or content)
            else:
                await self._note(content["method"], content["params"])

    async def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(str(details.get("exception", {}).get("description") or details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.problems.append(str([argument.get("value") for argument in params["args"]]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Network.loadingFailed" and not params.get("canceled"):
            self.problems.append(f"{params['type']}: {params['errorText']}")
        elif method == "Network.responseReceived" and params["response"]["status"] >= 400:
            self.problems.append(f"{params['response']['status']} {params['response']['url']}")
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"])
            number = next(self._numbers)
            self._answers[number] = asyncio.get_running_loop().create_future()
            message = {"id": number, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
            await self._socket.send_json(message)

    async def close(self) -> None:
        """End the connection."""
        self._reader.cancel()
        await self._socket.close()


@contextlib.asynccontextmanager
async def chromium_page(program: str, profile: Path) -> AsyncIterator[Page]:
    """Start a browser with a profile of its own and yield its tab; end it afterwards."""
    process = await asyncio.create_subprocess_exec(
        program,
        *_FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        port = await _port(profile)
        async with aiohttp.ClientSession(trust_env=False) as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                targets = await answer.json()
            url = next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page")
            async with session.ws_connect(url, max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Page", "Runtime", "Log"):
                    await page.call(f"{domain}.enable")
                yield page
                await page.close()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_BOUND_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _port(profile: Path) -> int:
    path = profile / "DevToolsActivePort"
    async with asyncio.timeout(_BOUND_S):
        while not (path.exists() and path.read_text().count("\n")):
            await asyncio.sleep(0.05)
    return int(path.read_text().splitlines()[0])

"""An app that says when it has started: before that, nobody may call it in memory."""

from collections.abc import MutableMapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send


def announced(app: ASGIApp, name: str, ready: MutableMapping[str, ASGIApp]) -> ASGIApp:
    """Return `app` as it is, except that it enters itself in `ready` when its start-up is complete.

    Until then a call of another server, from a `startup` say, goes to its socket, and waits there as it would anywhere.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                ready[name] = app
            await send(message)

        await app(scope, receive, watch if scope["type"] == "lifespan" else send)

    return serve

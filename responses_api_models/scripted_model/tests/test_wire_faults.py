"""What an aiohttp client sees of the faults that need a real connection."""

import asyncio

import aiohttp
import pytest

BODY = {"input": "Weather in Oslo?"}


@pytest.fixture(scope="module")
def url(start):
    """Return the URL of the endpoint that all these tests share."""
    return start()[1]


@pytest.fixture
async def session():
    """Return an aiohttp client."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def ask(url, session):
    """Return a function that plays one fault and gives status, content type and body."""

    async def ask_once(**fault):
        await play(session, url, fault)
        async with session.post(f"{url}/v1/responses", json=BODY) as answer:
            return answer.status, answer.content_type, await answer.read()

    return ask_once


async def play(session, url, fault):
    await session.post(f"{url}/script/reset")
    assert (await session.put(f"{url}/script/faults", json=[fault])).status == 200


@pytest.mark.parametrize("kind", ["drop_after_headers", "half_body"])
async def test_connection_closed_inside_the_body_is_a_payload_error(ask, kind):
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(kind=kind)


async def test_half_body_is_half_of_a_good_body(url, session):
    await play(session, url, {"kind": "half_body"})
    async with session.post(f"{url}/v1/responses", json=BODY) as answer:
        received = await answer.content.readany()
        assert answer.content_length == pytest.approx(2 * len(received), abs=1)


async def test_html_comes_with_status_200(ask):
    status, content_type, body = await ask(kind="html")
    assert (status, content_type) == (200, "text/html")
    assert b"<html>" in body


async def test_not_a_response_is_json_without_output(ask):
    status, content_type, body = await ask(kind="not_a_response")
    assert (status, content_type) == (200, "application/json")
    assert b"output" not in body


async def test_huge_body_is_a_valid_answer_of_that_size(ask):
    status, _, body = await ask(kind="huge_body", size_bytes=3_500_000)
    assert status == 200
    assert 3_500_000 < len(body) < 3_502_000
    assert body.endswith(b"}")


async def test_silent_holds_the_request_until_the_client_leaves(url, session):
    await play(session, url, {"kind": "silent"})
    with pytest.raises(TimeoutError):
        await session.post(f"{url}/v1/responses", json=BODY, timeout=aiohttp.ClientTimeout(total=0.3))
    async with asyncio.timeout(60):
        while (stats := await (await session.get(f"{url}/script/stats")).json())["in_flight"]:
            await asyncio.sleep(0.02)
    assert stats["faults_by_kind"] == {"silent": 1}


async def test_endpoint_goes_on_after_a_connection_it_broke(url, session):
    await play(session, url, {"kind": "drop_after_headers", "on_requests": [1]})
    with pytest.raises(aiohttp.ClientPayloadError):
        await (await session.post(f"{url}/v1/responses", json=BODY)).read()
    assert (await session.post(f"{url}/v1/responses", json=BODY)).status == 200


async def test_weight_update_that_hangs_up_closes_the_connection_until_it_ends(url, session):
    await session.post(f"{url}/script/reset")
    await session.post(f"{url}/script/weights", json={"meanwhile": "hang_up", "for_s": None})
    with pytest.raises(aiohttp.ClientPayloadError):
        await (await session.post(f"{url}/v1/responses", json=BODY)).read()
    await session.post(f"{url}/script/weights", json={})
    assert (await session.post(f"{url}/v1/responses", json=BODY)).status == 200

"""What is tried again, and what must not be."""

from __future__ import annotations

import email.utils
import ssl
import time
from collections.abc import Iterable

import httpx
import pytest

from m1desk.engines.remote.transport import RetryPolicy, RetryTransport, retry_after

QUICK = RetryPolicy(tries=4, first_pause_seconds=0.001, budget_seconds=20)


class Server(httpx.AsyncBaseTransport):
    """Answers with what it is given, one after the other; a stand-in that fails on purpose."""

    def __init__(self, answers: Iterable[httpx.Response | Exception]) -> None:
        self.left = list(answers)
        self.bodies: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(await request.aread())
        answer = self.left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def post(server: Server, policy: RetryPolicy = QUICK, method: str = "POST") -> httpx.Response:
    async with httpx.AsyncClient(transport=RetryTransport(server, policy)) as client:
        return await client.request(method, "http://server/v1/chat/completions", json={"n": 1})


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
        httpx.Response(502),
        httpx.Response(503),
        httpx.Response(504),
        httpx.Response(429, headers={"Retry-After": "0"}),
    ],
)
async def test_what_failed_before_an_answer_is_tried_again(
    fault: httpx.Response | Exception,
) -> None:
    server = Server([fault, fault, httpx.Response(200, text="well")])
    assert (await post(server)).text == "well"
    assert server.bodies == [b'{"n":1}'] * 3


async def test_the_last_answer_is_given_when_all_tries_failed() -> None:
    server = Server([httpx.Response(503)] * 3 + [httpx.Response(503, text="loading")])
    assert (await post(server)).text == "loading"
    assert server.left == []
    with pytest.raises(httpx.ConnectError):
        await post(Server([httpx.ConnectError("refused")] * 4))


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400),
        httpx.Response(401),
        httpx.Response(404),
        httpx.Response(500),
        httpx.Response(429),
        httpx.Response(429, headers={"Retry-After": "3600"}),
        httpx.Response(503, headers={"Retry-After": "3600"}),
    ],
)
async def test_these_answers_are_taken_as_they_are(answer: httpx.Response) -> None:
    server = Server([answer])
    assert (await post(server)) is answer or server.left == []


async def test_a_certificate_that_is_not_trusted_is_not_tried_again() -> None:
    fault = httpx.ConnectError("tls")
    fault.__cause__ = ssl.SSLCertVerificationError("expired")
    with pytest.raises(httpx.ConnectError):
        await post(Server([fault]))


async def test_deleting_is_not_repeated() -> None:
    with pytest.raises(httpx.ReadError):
        await post(Server([httpx.ReadError("reset")]), method="DELETE")


async def test_a_time_limit_of_a_proxy_that_used_up_the_budget_is_not_met_again() -> None:
    policy = RetryPolicy(first_pause_seconds=0.5, budget_seconds=0.4)
    assert (await post(Server([httpx.Response(504)]), policy)).status_code == 504


def test_retry_after_in_both_forms() -> None:
    def asked(text: str) -> float | None:
        return retry_after(httpx.Headers({"Retry-After": text}))

    assert asked("7") == 7
    later = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 90 < (asked(later) or 0) <= 100
    assert asked("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert asked("soon") is None
    assert retry_after(httpx.Headers()) is None

"""The engine for OpenAI-compatible endpoints, against a server that misbehaves."""

import json
import math
import time

import aiohttp
import polars as pl
import pytest
from yarl import URL

from holdfast.common.errors import UserError
from holdfast.inference.ask import Request, ask
from holdfast.inference.engines import openai
from holdfast.inference.engines.openai_api import body_of, retry_after
from holdfast.inference.engines.openai_session import request_settings
from holdfast.inference.params import Model
from server import SAMPLING, model, often_wrong, only, questions, served

FOR_PROXIES = ("host", "authorization", "proxy-authorization")

pytestmark = pytest.mark.usefixtures("endpoint_job")


def test_all_rows_arrive_once_from_a_misbehaving_server():
    with served(often_wrong()) as server:
        asked = questions(1000)
        answers = ask("m", model(server, concurrency=32), asked, len(asked), step="test").collect()
    assert answers["id"].to_list() == [request.id for request in asked]
    assert answers["error"].null_count() == 1000
    assert answers["text"].to_list() == [f"answer {i} to question {i}" for i in range(1000)]
    assert set(server.answered.values()) == {1}
    assert sum(server.tries.values()) > 1050
    assert server.most_in_flight <= 32


def test_a_row_that_always_fails_ends_with_its_reason_after_bounded_tries(capsys):
    def misbehave(body, attempt):
        return (500, {}, "broken inside") if body["messages"][0]["content"] == "question 7" else None

    with served(misbehave) as server:
        asked = questions(100)
        answers = ask("m", model(server), asked, 100, step="test").collect()
        failed = answers.filter(answers["error"].is_not_null())
        assert failed.select("id", "error", "detail").rows() == [("r7", "http_500", "HTTP 500: broken inside")]
        assert failed["finish_reason"].to_list() == ["error"]
        assert server.tries["question 7"] == openai.TRIES
        assert "1 row failed (1 x http_500, for example: HTTP 500: broken inside)" in capsys.readouterr().out
        server.misbehave = lambda body, attempt: None
        again = ask("m", model(server), asked, 100, step="test").collect()
    assert again["error"].null_count() == 100, "a fault that may pass is asked again"
    assert sum(server.answered.values()) == 100


def test_too_many_failures_stop_the_step_with_the_evidence():
    def misbehave(body, attempt):
        number = int(body["messages"][0]["content"].split()[1])
        return (422, {}, '{"error": "bad words"}') if number % 5 == 0 else None

    with served(misbehave) as server:
        with pytest.raises(UserError, match=r"rows failed, more than max_failed_share \(0\.1\).*refused.*bad words"):
            ask("m", model(server, max_failed_share=0.1), questions(200), 200, step="test")
        fine = ask("m", model(server, max_failed_share=0.3), questions(200), 200, step="test").collect()
    assert fine["error"].value_counts().sort("error").rows() == [(None, 160), ("refused", 40)]
    doubled = sum(count - 1 for count in server.answered.values())
    assert doubled <= model(server).concurrency, "only what was in flight at the stop is asked again"


def test_a_prompt_too_long_is_known_by_the_endpoint_s_words():
    with served(lambda b, n: (400, {}, "This model's maximum context length is 10 tokens")) as server:
        answers = ask("m", model(server, max_failed_share=1.0), questions(1), 1, step="test").collect()
        assert answers["error"].to_list() == ["prompt_too_long"]
        ask("m", model(server, max_failed_share=1.0), questions(1), 1, step="test")
    assert server.tries["question 0"] == 1, "it would be too long again"


def test_retry_after_is_heeded():
    with served(lambda b, n: (429, {"Retry-After": "1"}, "wait") if n == 1 else None) as server:
        begun = time.monotonic()
        ask("m", model(server), questions(1), 1, step="test")
        assert time.monotonic() - begun >= 1
    assert retry_after("7") == 7
    assert 3000 < retry_after("Fri, 31 Dec 2100 23:59:59 GMT") <= 3600
    assert [retry_after(text) for text in (None, "", "soon", "-3", "nan", "inf")] == [0] * 6


def test_the_key_comes_from_the_environment_and_is_shown_nowhere(monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("TEST_KEY", "sk-very-secret")
    with served() as server:
        keyed = model(server, api_key_env="TEST_KEY")
        ask("m", keyed, questions(3), 3, step="test")
        assert {headers["authorization"] for headers in server.headers} == {"Bearer sk-very-secret"}
        server.misbehave = lambda b, n: (401, {}, "Incorrect key sk-very-secret")
        with pytest.raises(UserError, match=r"Incorrect key \[key\]; check the API key in .* TEST_KEY") as refused:
            ask("m", keyed, questions(3, start=3), 3, step="test")
        server.misbehave = lambda b, n: (400, {}, "bad sk-very-secret")
        ask("m", keyed.model_copy(update={"max_failed_share": 1.0}), questions(3, start=6), 3, step="test")
    shown = capfd.readouterr()
    assert "very-secret" not in str(refused.value) + shown.out + shown.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"very-secret" in path.read_bytes()]
    monkeypatch.delenv("TEST_KEY")
    with pytest.raises(UserError, match="TEST_KEY holds no API key"):
        ask("m", keyed, questions(1, start=99), 1, step="test")


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n", " "])
def test_a_key_may_end_as_a_line_does(monkeypatch, ending):
    monkeypatch.setenv("TEST_KEY", f"sk-very-secret{ending}")
    with served() as server:
        ask("m", model(server, api_key_env="TEST_KEY"), questions(1), 1, step="test")
        assert {headers["authorization"] for headers in server.headers} == {"Bearer sk-very-secret"}


@pytest.mark.parametrize("key", ["sk-very\nsecret", "sk-very\x7fsecret", "sk-very-sécret"])
def test_a_key_that_no_header_carries_is_refused_unshown(monkeypatch, capfd, key):
    monkeypatch.setenv("TEST_KEY", key)
    with served() as server, pytest.raises(UserError, match="TEST_KEY holds characters other than") as refused:
        ask("m", model(server, api_key_env="TEST_KEY"), questions(1), 1, step="test")
    assert not server.headers
    shown = capfd.readouterr()
    assert "sk-very" not in str(refused.value) + shown.out + shown.err


def test_a_failing_connection_does_not_show_the_key(monkeypatch):
    monkeypatch.setenv("TEST_KEY", "sk-very-secret")
    monkeypatch.setattr(openai, "TRIES", 1)
    bad = (200, {"sk-very-secret bad": "x"}, "")
    with served(lambda b, n: bad) as server, pytest.raises(UserError, match="cannot be reached") as stopped:
        ask("m", model(server, api_key_env="TEST_KEY"), questions(1), 1, step="test")
    assert "very-secret" not in str(stopped.value)


def test_a_body_that_is_not_what_its_headers_say_is_asked_again(monkeypatch):
    garbage = (200, {"Content-Encoding": "gzip"}, "this is not gzip")
    with served(lambda b, n: garbage if n <= 2 else None) as server:
        answers = ask("m", model(server), questions(3), 3, step="test").collect()
        assert answers["error"].null_count() == 3
        assert set(server.tries.values()) == {3}
        monkeypatch.setattr(openai, "TRIES", 2)
        server.misbehave = lambda b, n: garbage
        patient = model(server, max_failed_share=1.0)
        failed = ask("m", patient, questions(1, start=9), 1, step="test").collect()
    assert failed["error"].to_list() == ["unusable_answer"]
    assert "content-encoding: gzip" in failed["detail"][0]


@pytest.mark.parametrize(
    "url", ["http://[::1/v1", "localhost:8000/v1", "http://host:port/v1", "http://a\nb/v1", "http:///v1"]
)
def test_a_url_that_is_none_is_refused_at_once(url):
    wrong = Model(path="m", engine="openai", url=url)
    with pytest.raises(UserError, match=r"is not a valid address.*correct models\.m\.url"):
        ask("m", wrong, questions(1), 1, step="test")


def test_a_user_s_name_in_the_url_beside_a_key_is_refused(monkeypatch):
    monkeypatch.setenv("TEST_KEY", "sk-very-secret")
    wrong = Model(path="m", engine="openai", url="http://me:mine@localhost/v1", api_key_env="TEST_KEY")
    with pytest.raises(UserError, match=r"models\.m\.url names a user, and api_key_env is set"):
        ask("m", wrong, questions(1), 1, step="test")


def test_requests_go_through_the_proxy_of_the_environment(monkeypatch):
    monkeypatch.setenv("TEST_KEY", "sk-very-secret")
    with served() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1").replace("://", "://me:mine@"))
        far = Model(path="m", engine="openai", url="http://endpoint.invalid/v1", api_key_env="TEST_KEY")
        assert ask("m", far, questions(3), 3, step="test").collect()["error"].null_count() == 3
        found = [{name: headers.get(name) for name in FOR_PROXIES} for headers in proxy.headers]
        expected = ("endpoint.invalid", "Bearer sk-very-secret", aiohttp.encode_basic_auth("me", "mine"))
        assert found == 3 * [dict(zip(FOR_PROXIES, expected, strict=True))]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with served() as near:
            ask("m", model(near), questions(3, start=3), 3, step="test")
        assert len(near.headers) == len(proxy.headers) == 3


def test_a_tunnel_s_proxy_is_not_told_the_key(monkeypatch):
    monkeypatch.setenv("https_proxy", "me:mine@proxy:3128")
    given = request_settings(URL("https://endpoint/v1"), "sk-very-secret")
    assert given == {
        "headers": {"Authorization": "Bearer sk-very-secret"},
        "proxy": URL("http://proxy:3128"),
        "proxy_headers": {"Proxy-Authorization": aiohttp.encode_basic_auth("me", "mine")},
    }


def test_an_endpoint_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(openai, "TRIES", 2)
    nowhere = Model(path="m", engine="openai", url="http://127.0.0.1:9/v1")
    with pytest.raises(
        UserError,
        match=r"http://127.0.0.1:9/v1 cannot be reached: ClientConnectorError.*check that the server is running",
    ):
        ask("m", nowhere, questions(5), 5, step="test")


def test_first_token_log_probabilities():
    request = Request("r", None, (("user", "rate"),), 0, SAMPLING, (), ("1", "3", "x"))
    with served() as server:
        assert ask("m", model(server), [request], 1, step="test").collect()["logprobs"].to_list() == [
            [-1.0, -3.0, float("-inf")]
        ]


def test_a_first_token_counts_with_and_without_the_space_of_the_template():
    request = Request("r", None, (("user", "rate"),), 0, SAMPLING, (), ("1", "2", "3"))
    with served() as server:
        server.top_tokens = (" 1", "1", "▁3", "12")
        (found,) = ask("m", model(server), [request], 1, step="test").collect()["logprobs"].to_list()
    assert found == pytest.approx([math.log(math.exp(-1) + math.exp(-2)), float("-inf"), -3.0])


def test_tools_and_switches_are_sent_only_where_there_are_some():
    settings = Model(path="m", engine="openai", url="http://x/v1")
    (request,) = questions(1)
    tools = [{"type": "function", "function": {"name": "look_up"}}]
    plain = body_of(settings, request)[1]
    shown = body_of(settings, request._replace(rendering=json.dumps({"tools": tools, "enable_thinking": True})))[1]
    new = {"tools": tools, "tool_choice": "none", "chat_template_kwargs": {"enable_thinking": True}}
    assert shown == plain | new
    assert not set(new) & set(plain)
    dropped = settings.model_copy(update={"engine_args": {"tool_choice": None, "chat_template_kwargs": None}})
    assert body_of(dropped, request._replace(rendering=json.dumps({"tools": tools})))[1] == plain | {"tools": tools}


@pytest.mark.parametrize("position", [0, 49, 99])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ((403, {}, '{"error": {"code": "moderation", "message": "flagged"}}'), "content_filter"),
        ((403, {}, "forbidden"), "refused"),
        ((404, {}, "no endpoints found that match your data policy"), "refused"),
        ((400, {}, '{"error": {"code": "content_filter"}}'), "content_filter"),
        ((413, {}, "Request Entity Too Large"), "refused"),
        ((413, {}, "prompt is too long: 9000 tokens"), "prompt_too_long"),
        ((422, {}, "input exceeds the context window"), "prompt_too_long"),
        ((302, {"Location": "http://elsewhere/"}, ""), "refused"),
    ],
)
def test_one_row_that_is_refused_is_a_rejected_row_in_every_run(fault, reason, position):
    with served(only(position, *fault)) as server:
        asked = questions(100)
        found = ask("m", model(server, concurrency=8), asked, 100, step="test").collect()
        failed = found.filter(pl.col("error").is_not_null())
        assert failed.select("id", "error").rows() == [(f"r{position}", reason)]
        assert failed["detail"].item().startswith(f"HTTP {fault[0]}")
        again = ask("m", model(server), asked, 100, step="test").collect()
    assert again["error"].to_list() == found["error"].to_list(), "also when it is all that is left to ask"
    assert server.answered["Hi"] <= 2, "one harmless test in each run at most"


def test_one_row_at_which_the_server_drops_the_connection_is_a_rejected_row(monkeypatch):
    monkeypatch.setattr(openai, "TRIES", 3)
    with served(lambda body, n: "drop" if body["messages"][0]["content"] == "question 3" else None) as server:
        for _ in range(2):
            found = ask("m", model(server), questions(100), 100, step="test").collect()
            assert found.filter(pl.col("error").is_not_null()).select("id", "error").rows() == [("r3", "unreachable")]


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ((401, {}, "no key"), r"set models\.m\.api_key_env"),
        ((402, {}, "pay"), "no credit left"),
        ((429, {}, '{"code": "insufficient_quota"}'), "no credit left"),
        ((403, {}, "forbidden"), "a harmless test request is refused too: .* may use the model m"),
        ((404, {}, "model not found"), r"check models\.m\.url .* and models\.m\.path"),
        ((301, {"Location": "https://x/v1"}, ""), r"redirected to https://x/v1.*check models\.m\.url"),
    ],
)
def test_an_endpoint_that_refuses_everything_is_a_fault_of_the_settings(fault, advice):
    with served(lambda body, attempt: fault) as server:
        with pytest.raises(UserError, match=advice):
            ask("m", model(server), questions(100), 100, step="test")
        assert sum(server.tries.values()) <= model(server).concurrency + 1


def test_an_account_that_runs_dry_ends_the_job_and_keeps_what_is_there():
    with served() as server:
        ask("m", model(server), questions(50), 50, step="test")
        server.misbehave = lambda body, attempt: (402, {}, "pay")
        with pytest.raises(UserError, match="no credit left"):
            ask("m", model(server), questions(100), 100, step="test")
        server.misbehave = lambda body, attempt: None
        ask("m", model(server), questions(100), 100, step="test")
    first = {f"question {number}" for number in range(50)}
    assert {server.answered[question] for question in first} == {1}
    doubled = sum(count - 1 for count in server.answered.values())
    assert doubled <= model(server).concurrency, "only what was in flight when the job ended is asked again"

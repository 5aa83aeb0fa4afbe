"""schemathesis over /openapi.json: no failure of the server, and every answer is of its schema."""

from __future__ import annotations

import hypothesis
import pytest
from served import served

from textvae.server.limits import Limits

schemathesis = pytest.importorskip("schemathesis")
checks = schemathesis.checks
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def api(make_space):
    with served(make_space(writable=True, limits=Limits(written=32, characters=20_000, seconds=5.0))) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


def test_every_answer_is_of_its_schema(api):
    for operation in (found.ok() for found in api.get_all_operations()):

        @hypothesis.settings(max_examples=5, phases=[hypothesis.Phase.generate], deadline=None)
        @hypothesis.given(operation.as_strategy())
        def check(case):
            case.call_and_validate(checks=CHECKS)

        check()


def test_every_route_says_what_it_does(api):
    for operation in api.get_all_operations():
        raw = operation.ok().definition.raw
        assert raw["description"]
        assert "413" in raw["responses"]

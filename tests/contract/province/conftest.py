from collections.abc import AsyncIterator, Iterator

import pytest

from tests.contract.province.parts import Province, RelayUnderTest, http_for, running_province


@pytest.fixture(scope="session")
def shared_province(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Province]:
    with running_province(tmp_path_factory.mktemp("province")) as province:
        yield province


@pytest.fixture
def province(shared_province: Province) -> Iterator[Province]:
    yield shared_province
    shared_province.clear()
    shared_province.settings(check_delay_s=0.05, callback_url=None, callback_copies=1)


@pytest.fixture
async def under_test(province: Province) -> AsyncIterator[RelayUnderTest]:
    async with http_for(province) as http:
        yield RelayUnderTest(province, http)

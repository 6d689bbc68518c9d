"""What holds for every test."""

import os
import signal
from collections.abc import Iterator

import pytest

from streamseg.core.scheduling import real_time_threads
from tests.messages import forget_messages

# nohup and background jobs ignore these, and children inherit that: the tests that send them would wait for
# ever. As on a terminal, then.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def nothing_in_the_users_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is measured once on a machine is measured once in a test run, and not left in the user's folder."""
    os.environ["STREAMSEG_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def no_real_time_threads() -> Iterator[None]:
    """SVT-AV1 makes threads real-time ones where root runs it. Every later test and what it starts would be that, and
    could wait for a core for ever."""
    before = real_time_threads()
    yield
    assert real_time_threads() <= before


@pytest.fixture(autouse=True)
def no_messages_of_another_test() -> Iterator[None]:
    yield
    forget_messages()

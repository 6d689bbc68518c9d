"""What holds for every test."""

import signal
from collections.abc import Iterator

import pytest

from tests.messages import forget_messages

# nohup and background jobs ignore these, and children inherit that: the tests that send them would wait for
# ever. As on a terminal, then.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_messages_of_another_test() -> Iterator[None]:
    yield
    forget_messages()

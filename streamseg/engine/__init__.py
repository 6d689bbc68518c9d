"""The threads between the stages, and the queues between the threads: for files and for live."""

from .channels import Channel, ChannelStats, EndOfChannel, WaitedTooLong
from .graph import Graph
from .lanes import Lanes
from .outputs import OutputThread
from .policy import LOSSLESS, NEWEST, Link, Policy
from .prefetch import Prefetch
from .threads import Late, StageRunner
from .told import Told

__all__ = ["LOSSLESS", "NEWEST", "PUBLIC", "Channel", "ChannelStats", "EndOfChannel", "Graph", "Lanes", "Late", "Link",
           "OutputThread", "Policy", "Prefetch", "StageRunner", "Told", "WaitedTooLong"]

# Modules that other packages import, beside the names here
PUBLIC = ("channels", "threads")

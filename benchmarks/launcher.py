"""Runs one program and writes what it took: python -S launcher.py REPORT CORES OUT ERR PROGRAM [WORD ...]
or keeps one core busy until it is killed: python -S launcher.py busy CORE

A program of its own, started small. On Linux exec hands on the largest resident set of the process that it replaces,
so what a benchmark starts itself would have at least the benchmark's own memory as its peak. CORES is a list as 0,1 or
'-'.
"""

import json
import os
import sys
import time


def ordinary() -> None:
    """Be scheduled as programs are. A real-time policy of what started it would be inherited, and such a process does
    not share a core with another one."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def busy(core: str) -> None:
    """Keep a core busy until somebody ends this process."""
    ordinary()
    os.sched_setaffinity(0, [int(core)])
    while True:
        pass


def launch(report: str, cores: str, out: str, err: str, *words: str) -> None:
    begin = time.perf_counter()
    child = os.fork()
    if not child:
        try:
            for path, number in ((os.devnull, 0), (out, 1), (err, 2)):
                how = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                os.dup2(os.open(path, how), number)
            ordinary()
            if cores != "-":
                os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
            os.execvp(words[0], words)
        except OSError as error:
            print(f"{words[0]}: {error}", file=sys.stderr, flush=True)
            os._exit(127)
    _, status, usage = os.wait4(child, 0)
    spent = {"wall_s": time.perf_counter() - begin, "cpu_s": usage.ru_utime + usage.ru_stime,
             "rss_mib": usage.ru_maxrss / 1024, "code": os.waitstatus_to_exitcode(status)}
    with open(report, "w") as file:
        json.dump(spent, file)


if __name__ == "__main__":
    busy(sys.argv[2]) if sys.argv[1] == "busy" else launch(*sys.argv[1:])

"""Runs one program and writes what it took: python -S launcher.py REPORT CORES GROUP OUT ERR PROGRAM [WORD ...]

A program of its own, started small. On Linux exec hands on the largest resident set of the process that it replaces,
so what a benchmark starts itself would have at least the benchmark's own memory as its peak. CORES is a list as 0,1 or
'-'; GROUP the control group to run in or '-'.
"""

import json
import os
import sys
import time


def ordinary(process: int) -> None:
    """Schedule a process as programs are. It inherits a real-time policy from what started it, and then neither shares
    a core with another one nor goes into a control group."""
    if os.sched_getscheduler(process) in (os.SCHED_FIFO, os.SCHED_RR):
        os.sched_setscheduler(process, os.SCHED_OTHER, os.sched_param(0))


def launch(report: str, cores: str, group: str, out: str, err: str, *words: str) -> None:
    begin = time.perf_counter()
    child = os.fork()
    if not child:
        try:
            for path, number in ((os.devnull, 0), (out, 1), (err, 2)):
                how = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                os.dup2(os.open(path, how), number)
            ordinary(0)
            if cores != "-":
                os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
            if group != "-":
                with open(os.path.join(group, "cgroup.procs"), "w") as members:
                    members.write(str(os.getpid()))
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
    launch(*sys.argv[1:])

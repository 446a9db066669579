"""The line protocol between compare.py and a competitor, and what the competitors in Python have in common.

A competitor is a process that is asked on stdin and answers one line each on stdout:

    load ROW      ok                     networks, weights and inputs of one row
    run           ms 12.345              one call, timed by the competitor itself
    save FILE     ok 65536 131072        the last call's outputs as raw float32, one behind the other, in PyTorch's axis
                                         order (NCHW); the numbers are the outputs' sizes
    memory        peak_kib 123456        the most memory the process ever had resident (VmHWM)
    version       version text
    quit          (the process ends; so it does at the end of stdin)

or "error SENTENCE". Options: --threads T --image-size S --cache DIR [--small].
"""

import argparse
import os
import sys
import time
import traceback


def peak_kib():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    raise RuntimeError("/proc/self/status has no VmHWM")


def options(description, *more):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--cache", default=".", help="where export.py left the networks")
    parser.add_argument("--small", action="store_true", help="small networks, to check the program itself")
    for name, text in more:
        parser.add_argument(name, action="store_true", help=text)
    return parser.parse_args()


def serve(competitor):
    """Answers until told to quit. The competitor has version(), load(row_name), run(), outputs() -> NCHW arrays."""
    # The frameworks print to stdout when they please: they get stderr, and the answers go to a copy of stdout.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        try:
            if command == "load":
                competitor.load(rest)
                answer = "ok"
            elif command == "run":
                start = time.perf_counter()
                competitor.run()
                answer = f"ms {1000 * (time.perf_counter() - start):.4f}"
            elif command == "save":
                arrays = competitor.outputs()
                with open(rest, "wb") as file:
                    for array in arrays:
                        array.astype("<f4").tofile(file)
                answer = "ok " + " ".join(str(array.size) for array in arrays)
            elif command == "memory":
                answer = f"peak_kib {peak_kib()}"
            elif command == "version":
                answer = "version " + competitor.version()
            elif command == "quit":
                return
            else:
                answer = f"error the command '{command}' is not known"
        except Exception as error:  # whatever a framework throws becomes one line here, and all of it goes to the log
            traceback.print_exc()
            answer = "error " + " ".join(f"{type(error).__name__}: {error}".split())[:300]
        print(answer, file=answers)

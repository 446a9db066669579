#!/usr/bin/env python3
"""Compares d3ad with PyTorch, ONNX Runtime and OpenVINO on this machine; bench/peers/run prepares what it needs.

    compare.py --peer BUILD/d3ad_peer --out DIR [--rows a,b] [--repeat 7] [--threads 2] [--peers torch,ort,openvino]

For every row each competitor gets a process of its own with the same weights and inputs. After a warm-up their outputs
are compared, then they are called in turn, --repeat times with a pause before each call, so that whatever else happens
on the machine happens to all of them. The best time counts; a ratio is the best peer's time divided by d3ad's, above 1
where d3ad is faster. cold_start is the time from the start of the process to the first detection of one image, files in
the page cache; peak_memory is that process's VmHWM, in MiB although the CSV's columns end in _ms.

Writes peers.csv (row,ours_ms,best_peer,best_ms,ratio), peers_all.csv and peers.svg into --out after every row. Exit
code 0; 1 where outputs disagreed; 2 where a competitor failed or an option is wrong; 130 after Ctrl-C.
"""

import hashlib
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time

import numpy as np

from command_line import Parser, at_least, listed
from competitor import Competitors, Failed
from results import Result, Results
from rows import ROWS

OURS = "d3ad"
HERE = pathlib.Path(__file__).resolve().parent
SCRIPTS = {"torch": "torch_peer.py", "ort": "ort_peer.py", "openvino": "openvino_peer.py"}
TIMED = [name for name in ROWS if name != "detection_1"]
STARTS = ["cold_start", "peak_memory"]
TOLERANCE = 1e-3
IDLE = 0.05  # share of a core that a competitor may use while another is timed


def tell(text):
    print(text, flush=True)


def complain(text):
    print(f"compare: {text}", file=sys.stderr, flush=True)


def parse_options():
    p = Parser(prog="compare", description=__doc__)
    p.add_argument("--peer", type=pathlib.Path, required=True, help="the program d3ad_peer")
    p.add_argument("--out", type=pathlib.Path, required=True, help="folder for results, logs and the networks' files")
    p.add_argument("--rows", type=listed(TIMED + STARTS), default=TIMED + STARTS, help="default: all")
    p.add_argument("--peers", type=listed(list(SCRIPTS)), default=list(SCRIPTS), help="default: all")
    p.add_argument("--repeat", type=at_least(1), default=7, help="timed calls of each competitor (starts: at most 3)")
    p.add_argument("--threads", type=at_least(1), default=len(os.sched_getaffinity(0)), help="default: all cores")
    p.add_argument("--image-size", type=at_least(64), default=256, help="a multiple of 128; with --small of 32")
    p.add_argument("--torch-compile", action="store_true", help="one more competitor: PyTorch through torch.compile")
    p.add_argument("--small", action="store_true", help="small networks, which only check that all this works")
    p.add_argument("--pause", type=float, default=0.3, help="seconds before each timed call")
    o = p.parse_args()
    multiple = 32 if o.small else 128
    if o.image_size % multiple:
        p.error(f"--image-size {o.image_size} is not a multiple of {multiple}")
    if not os.access(o.peer, os.X_OK):
        p.error(f"--peer {o.peer} is not a program; bench/peers/run builds it")
    o.out.mkdir(parents=True, exist_ok=True)
    # Exports of other code, sizes or networks are not taken for these.
    code = hashlib.sha256(b"".join((HERE / f).read_bytes() for f in ("networks.py", "rows.py", "export.py")))
    o.cache = o.out / "cache" / f"{o.image_size}{'-small' if o.small else ''}-{code.hexdigest()[:8]}"
    o.cache.mkdir(parents=True, exist_ok=True)
    return o


def environment(o):
    """Ours and theirs: T threads, no other setting of a threading library. GNU's, which d3ad and PyTorch use, lets idle
    threads spin for some milliseconds and then sleep; --pause is long enough for that."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_", "MKL_", "TBB_"))}
    return kept | {"OMP_NUM_THREADS": str(o.threads), "TORCHINDUCTOR_CACHE_DIR": str(o.out / "cache" / "inductor")}


def command(o, name):
    given = ["--threads", str(o.threads), "--image-size", str(o.image_size), "--cache", str(o.cache)]
    given += ["--small"] * o.small
    if name == OURS:
        return [str(o.peer), *given]
    kind, _, compiled = name.partition("-")
    return [sys.executable, str(HERE / SCRIPTS[kind]), *given, *["--compile"] * bool(compiled)]


def field_of(o, row):
    """Who competes in a row: only PyTorch trains, and compiling is not what a cold start is about."""
    peers = [p for p in o.peers if row != "train_step_8" or p == "torch"]
    if o.torch_compile and row != "train_step_8" and row not in STARTS:
        peers.append("torch-compile")
    return [OURS, *peers]


def difference(got, want):
    """The largest over an output's parts, relative to the part's root mean square."""
    if [g.size for g in got] != [w.size for w in want]:
        return np.inf
    parts = []
    for g, w in zip(got, want):
        rms = np.sqrt(np.mean(np.square(w, dtype=np.float64)))
        parts.append(np.max(np.abs(g.astype(np.float64) - w)) / max(rms, 1e-30))
    worst = float(np.max(parts))
    return worst if np.isfinite(worst) else np.inf


class Comparison:
    def __init__(self, o):
        self.o, self.results, self.versions = o, Results(OURS), {}
        self.failed = self.disagreed = False

    def failure(self, error):
        complain(error)
        self.failed = True

    def checked(self, row, name, outputs, ours):
        """The difference from ours, told and judged."""
        if ours is None or outputs is ours:
            return None
        d = difference(outputs, ours)
        tell(f"{row:14} {name:14} difference from d3ad {d:.1e}" + ("" if d <= TOLERANCE else "   DISAGREES"))
        self.disagreed |= d > TOLERANCE
        return d

    def export(self, field):
        """The networks' files, each competitor's in its own form."""
        tell(f"networks: {self.o.cache}")
        given = ["--cache", str(self.o.cache), "--image-size", str(self.o.image_size), *["--small"] * self.o.small]
        process = subprocess.Popen([sys.executable, str(HERE / "export.py"), *given], env=field.environment)
        try:
            if process.wait():
                raise Failed(f"export.py ended with status {process.returncode}")
        finally:
            process.kill()
        if set(self.o.rows) & set(STARTS):
            ours = field.start(OURS, command(self.o, OURS), "weights")
            ours.ask("weights", "ok")
            field.stop(ours)

    # ---- a row of calls ----

    def measure(self, field, row):
        competitors = self.prepared(field, row)
        samples = {c: [] for c in competitors}
        self.watch_idle(competitors)
        for i in range(self.o.repeat):
            for c in competitors if i % 2 == 0 else reversed(competitors):
                time.sleep(self.o.pause)
                try:
                    samples[c].append(c.run() / ROWS[row].images)
                except Failed as error:
                    self.failure(error)
                    samples.pop(c)
            competitors = [c for c in competitors if c in samples]
        for c in competitors:
            result = Result(row, c.name, "ms", samples[c], c.difference)
            tell(result.line())
            self.results.add(result)

    def prepared(self, field, row):
        """All that could be loaded, called, and compared."""
        ready, ours = [], None
        for name in field_of(self.o, row):
            c = field.start(name, command(self.o, name), row)
            try:
                c.load(row)
                for _ in range(ROWS[row].warm_ups):
                    c.run()
                outputs = c.outputs(self.o.out / "output.bin")
                ours = outputs if name == OURS else ours
                c.difference = self.checked(row, name, outputs, ours)
                self.versions[name] = c.version()
                ready.append(c)
            except Failed as error:
                self.failure(error)
                field.stop(c)
        return ready

    def watch_idle(self, competitors):
        time.sleep(self.o.pause)
        before, start = [c.cpu_seconds() for c in competitors], time.perf_counter()
        time.sleep(0.5)
        for c, used in zip(competitors, before):
            share = (c.cpu_seconds() - used) / (time.perf_counter() - start)
            if share > IDLE:
                complain(f"{c.name} uses {100 * share:.0f} % of a core while idle, which disturbs the others")

    # ---- starts ----

    def measure_starts(self, field):
        times, peaks, differences = {}, {}, {}
        names, ours = field_of(self.o, "cold_start"), None
        for i in range(min(self.o.repeat, 3)):
            for name in list(names):
                time.sleep(self.o.pause)
                c = field.start(name, command(self.o, name), "start")
                try:
                    c.load("detection_1")
                    c.run()
                    times.setdefault(name, []).append(1000 * c.seconds_since_start())
                    peaks.setdefault(name, []).append(c.peak_mib())
                    if i == 0:
                        outputs = c.outputs(self.o.out / "output.bin")
                        ours = outputs if name == OURS else ours
                        differences[name] = self.checked("cold_start", name, outputs, ours)
                        self.versions[name] = c.version()
                except Failed as error:
                    self.failure(error)
                    names.remove(name)
                    times.pop(name, None)
                field.stop(c)
        for row, unit, samples in (("cold_start", "ms", times), ("peak_memory", "MiB", peaks)):
            for name in times if row in self.o.rows else ():
                result = Result(row, name, unit, samples[name], differences.get(name))
                tell(result.line())
                self.results.add(result)

    def run(self):
        with Competitors(environment(self.o), self.o.out / "logs") as field:
            self.export(field)
            for row in self.o.rows:
                if row in STARTS:
                    continue
                self.measure(field, row)
                for c in list(field.running):  # a new row finds all memory free
                    field.stop(c)
                self.results.write(self.o.out)
            if set(self.o.rows) & set(STARTS):
                self.measure_starts(field)
                self.results.write(self.o.out)


def processor():
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def revision():
    found = subprocess.run(["git", "-C", str(HERE), "describe", "--always", "--dirty"], capture_output=True, text=True)
    return found.stdout.strip() or "unknown revision"


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    for kind in (signal.SIGINT, signal.SIGTERM):  # a shell's background job would ignore the first
        signal.signal(kind, interrupted)
    o = parse_options()
    tell(f"{processor()}, {o.threads} thread{'s' * (o.threads > 1)}, images of {o.image_size} x {o.image_size}, float32"
         + (", small networks: these times mean nothing" if o.small else ""))
    comparison = Comparison(o)
    try:
        comparison.run()
    except Failed as error:
        comparison.failure(error)
    except KeyboardInterrupt:
        complain("interrupted; the rows that were finished are in " + str(o.out))
        return 130
    tell("\n" + comparison.results.table() + "\n")
    for name, version in comparison.versions.items():
        tell(f"{name:14} {version}" + (f", {revision()}" if name == OURS else ""))
    tell(f"\n{processor()}, {o.threads} thread{'s' * (o.threads > 1)}. Best of {o.repeat}; results in {o.out}")
    return 2 if comparison.failed else 1 if comparison.disagreed else 0


if __name__ == "__main__":
    sys.exit(main())

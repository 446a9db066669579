#!/usr/bin/env python3
"""Makes OUT/report.md of what bench/gpu/run left in OUT/raw and OUT/logs.

    report.py OUT [--dry-run]

Reads versions.csv (key,value), device.csv, steps.csv (step,status,seconds,log), networks*.csv, torch*.csv, kernels*.csv,
clocks_STEP.csv; what is not there, or cut off, is reported as not measured. A result that was not verified meets no bar.
"""

import argparse
import csv
import pathlib
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Row = dict[str, str]

OURS = ("d3ad", "d3ad_graph")
COMPILED = ("torch_compile", "torch_graphs")
TORCH = ("torch_eager",) + COMPILED

# The bars.
AGAINST_COMPILE = 1.5  # detection, batch 30, bfloat16: images/s of d3ad's to the better of torch.compile's
IMAGES_PER_SECOND = 150  # detection, batch 30, bfloat16
LOOP_OVERHEAD = 2.0  # percent
BANDWIDTH = 80.0  # percent of the peak, of each kernel of our own at its large size
TRAINING = 1.3  # steps/s of d3ad's to PyTorch's best, batch 30

PRODUCTS = ("conv3x3", "conv3x3_backward_data", "conv3x3_backward_weights", "linear", "attention")  # by libraries
TYPES = ("float", "tf32", "half", "bfloat16")
SLOW_CLOCK = 0.9  # of the highest: below it a measurement is remarked on
LOG_LINES = 6  # of a step that failed


def number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def measured(row: Row, column: str) -> float:
    """0 where there is no number; the emulation's times are 0 too."""
    return number(row.get(column)) or 0.0


class Raw:
    """The CSVs."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.versions = self.pairs("versions.csv")
        self.device = self.pairs("device.csv")
        self.steps = self.rows("steps.csv")
        self.networks = self.rows("networks*.csv") + self.rows("torch*.csv")
        self.kernels = self.rows("kernels*.csv")

    def rows(self, pattern: str) -> list[Row]:
        found = []
        for path in sorted(self.folder.glob(pattern)):
            with open(path, newline="") as file:
                found += [row for row in csv.DictReader(file) if None not in row.values()]  # a cut-off line
        return found

    def pairs(self, name: str) -> Row:
        return {row["key"]: row["value"] for row in self.rows(name)}

    def log(self, step: Row) -> list[str]:
        """The log's last lines."""
        try:
            text = (self.folder.parent / step["log"]).read_text(errors="replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip()][-LOG_LINES:]

    # ---- peaks ----

    def bandwidth(self) -> tuple[float | None, str]:
        """GB/s and where it comes from."""
        for key, text in (("nominal_gb_per_s", "memory clock and bus width"), ("copy_gb_per_s", "a copy of 1 GiB")):
            value = number(self.device.get(key))
            if value:
                return value, text
        return None, "not measured"

    def tflops(self, type: str) -> float | None:
        """Dense products with sums in float, at the highest clock."""
        return number(self.device.get(f"nominal_tflops_{type}")) or None

    def percent_of_tflops(self, type: str, gflop: float, ms: float) -> str:
        peak = self.tflops(type)
        return f"{100 * gflop / ms / peak:.0f}" if peak and gflop and ms else ""

    # ---- networks ----

    def find(self, row: str, batch: int, type: str, competitors: Sequence[str]) -> Row | None:
        """The fastest of the competitors' rows with a time, a wrong one only where there is no right one."""
        found = [r for r in self.networks if r["row"] == row and r["batch"] == str(batch) and r["type"] == type
                 and r["competitor"] in competitors and measured(r, "median_ms") > 0]
        return min(found, key=lambda r: (r["verified"] == "no", measured(r, "median_ms")), default=None)

    def combinations(self, row: str) -> list[tuple[str, int]]:
        """(type, batch) of the row, in the order measured."""
        return list(dict.fromkeys((r["type"], int(r["batch"])) for r in self.networks if r["row"] == row))

    def overheads(self) -> list[tuple[str, int, Row, Row, float]]:
        """(type, batch, loop, ten calls, percent that ten guided steps take more than ten calls of the UNet)."""
        found = []
        for type, batch in self.combinations("loop"):
            loop, calls = (self.find(row, batch, type, OURS) for row in ("loop", "unet_x10"))
            if loop and calls:
                percent = 100 * (measured(loop, "median_ms") / measured(calls, "median_ms") - 1)
                found.append((type, batch, loop, calls, percent))
        return found

    # ---- kernels ----

    def percent_of_bandwidth(self, row: Row) -> float | None:
        peak = self.bandwidth()[0]
        return 100 * measured(row, "gb_per_s") / peak if peak and measured(row, "gb_per_s") else None

    def own_kernels(self) -> list[Row]:
        return [r for r in self.kernels if r["kernel"] not in PRODUCTS]

    def products(self) -> list[Row]:
        return [r for r in self.kernels if r["kernel"] in PRODUCTS]


# ---- bars ----


@dataclass
class Bar:
    text: str
    required: str
    measured: str = "-"
    met: bool | None = None  # None: not measured

    def verdict(self) -> str:
        return {True: "met", False: "**not met**", None: "not measured"}[self.met]


def ratio_bar(raw: Raw, bar: Bar, required: float, place: tuple[str, int, str], peers: Sequence[str]) -> Bar:
    row, batch, type = place
    ours, peer = raw.find(row, batch, type, OURS), raw.find(row, batch, type, peers)
    if not ours or not peer:
        return bar
    ratio = measured(peer, "median_ms") / measured(ours, "median_ms")
    bar.measured = (f"{ratio:.2f} x ({measured(ours, 'median_ms'):.4g} ms; {peer['competitor']} "
                    f"{measured(peer, 'median_ms'):.4g} ms)")
    wrong = [r["competitor"] for r in (ours, peer) if r["verified"] == "no"]
    if wrong:
        bar.measured += f"; wrong result: {', '.join(wrong)}"
    bar.met = ratio >= required and ours["verified"] == "yes" and not wrong
    return bar


def rate_bar(raw: Raw) -> Bar:
    bar = Bar("Whole detection, 30 images, bfloat16", f">= {IMAGES_PER_SECOND} images/s")
    ours = raw.find("detection", 30, "bfloat16", OURS)
    if ours:
        rate = 30 * 1000 / measured(ours, "median_ms")
        bar.measured = f"{rate:.1f} images/s"
        bar.met = rate >= IMAGES_PER_SECOND and ours["verified"] == "yes"
    return bar


def loop_bar(raw: Raw) -> Bar:
    bar = Bar("The loop of ten steps outside of the UNet, worst case", f"<= {LOOP_OVERHEAD:g} %")
    overheads = raw.overheads()
    if overheads:
        type, batch, _, _, percent = max(overheads, key=lambda o: o[4])
        bar.measured = f"{percent:.2f} % ({type}, {batch} image{'s' * (batch > 1)})"
        right = all(r["verified"] == "yes" for _, _, loop, calls, _ in overheads for r in (loop, calls))
        bar.met = percent <= LOOP_OVERHEAD and right
    return bar


def bandwidth_bar(raw: Raw) -> Bar:
    bar = Bar("Each kernel of our own, large size", f">= {BANDWIDTH:g} % of the peak bandwidth")
    large = [(r, raw.percent_of_bandwidth(r)) for r in raw.own_kernels() if r["size"] == "large"]
    timed = [(r, percent) for r, percent in large if percent is not None]
    if timed:
        row, least = min(timed, key=lambda item: item[1])
        enough = sum(percent >= BANDWIDTH and r["verified"] == "yes" for r, percent in timed)
        bar.measured = f"{enough} of {len(large)}; least: {row['kernel']} {row['type']}, {least:.0f} %"
        bar.met = enough == len(large)
    return bar


def bars(raw: Raw) -> list[Bar]:
    found = [ratio_bar(raw, Bar("Whole detection, 30 images, bfloat16, against torch.compile",
                                f">= {AGAINST_COMPILE} x"), AGAINST_COMPILE, ("detection", 30, "bfloat16"), COMPILED),
             rate_bar(raw), loop_bar(raw), bandwidth_bar(raw)]
    for type in ("bfloat16", "tf32", "float"):
        bar = Bar(f"Training step of the paper's UNet, 30 latents, {type}, against PyTorch's best", f">= {TRAINING} x")
        found.append(ratio_bar(raw, bar, TRAINING, ("train_step", 30, type), TORCH))
    return found


# ---- tables ----


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    def cell(text: object) -> str:
        return str(text).replace("|", "\\|").replace("\n", " ")

    body = ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    if not body:
        return "Not measured."
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *body])


def machine_table(raw: Raw) -> str:
    peak, source = raw.bandwidth()
    facts = dict(raw.versions)
    facts |= {f"GPU: {key.replace('_', ' ')}": value for key, value in raw.device.items()
              if not key.startswith("nominal_") and number(value) != 0}
    facts["peak bandwidth"] = f"{peak:.0f} GB/s ({source})" if peak else source
    peaks = [f"{type} {raw.tflops(type):.0f}" for type in TYPES if raw.tflops(type)]
    facts["peak TFLOP/s, highest clock, sums in float"] = ", ".join(peaks) or "not known"
    return table(["", ""], facts.items())


def clocks_table(raw: Raw) -> str:
    rows = []
    highest = number(raw.device.get("highest_clock_mhz"))
    for path in sorted(raw.folder.glob("clocks_*.csv")):
        busy = [r for r in raw.rows(path.name) if measured(r, "busy") >= 50 and number(r["sm_mhz"])]
        if not busy:
            continue

        def column(name: str) -> list[float]:
            return [measured(r, name) for r in busy]

        median = statistics.median(column("sm_mhz"))
        remark = "slow" if highest and median < SLOW_CLOCK * highest else ""
        rows.append([path.stem.removeprefix("clocks_"), len(busy), f"{median:.0f}", f"{min(column('sm_mhz')):.0f}",
                     f"{statistics.median(column('memory_mhz')):.0f}", f"{max(column('watts')):.0f}",
                     f"{max(column('celsius')):.0f}", remark])
    return table(["step", "samples under load", "SM clock, MHz, median", "least", "memory clock, MHz", "most W",
                  "most °C", ""], rows)


def networks_table(raw: Raw) -> str:
    names = list(dict.fromkeys(r["row"] for r in raw.networks if r["row"] != "unet_x10"))
    rows = []
    for name in names:
        for type, batch in raw.combinations(name):
            cells = []
            for competitor in OURS + TORCH:
                r = raw.find(name, batch, type, (competitor,))
                cells.append(f"{measured(r, 'median_ms'):.4g}" + "!" * (r["verified"] == "no") if r else "")
            ours, peer = raw.find(name, batch, type, OURS), raw.find(name, batch, type, TORCH)
            ms = measured(ours, "median_ms") if ours else 0
            ratio = f"{measured(peer, 'median_ms') / ms:.2f}" if peer and ms else ""
            rows.append([name, type, batch, *cells, f"{batch * 1000 / ms:.4g}" if ms else "", ratio,
                         raw.percent_of_tflops(type, measured(ours, "gflop"), ms) if ours else "",
                         ours["error"] if ours else ""])
    head = ["row", "type", "batch", *(f"{c}, ms" for c in OURS + TORCH), "d3ad, images/s", "PyTorch's best / d3ad",
            "% of peak FLOP/s", "error"]
    return table(head, [row for row in rows if any(row[3:8])])


def overhead_table(raw: Raw) -> str:
    rows = [[type, batch, f"{measured(calls, 'median_ms'):.4g}", f"{measured(loop, 'median_ms'):.4g}", f"{percent:.2f}"]
            for type, batch, loop, calls, percent in raw.overheads()]
    return table(["type", "batch", "ten UNet calls, ms", "loop of ten steps, ms", "outside of the UNet, %"], rows)


def kernels_table(raw: Raw) -> str:
    copy = number(raw.device.get("copy_gb_per_s"))
    rows = []
    for r in raw.own_kernels():
        percent = raw.percent_of_bandwidth(r)
        if percent is not None:
            of_copy = f"{100 * measured(r, 'gb_per_s') / copy:.0f}" if copy else ""
            rows.append([r["kernel"], r["type"], r["size"], r["shape"], r["median_ms"],
                         f"{measured(r, 'bytes') / 1e6:.1f}", r["gb_per_s"], f"{percent:.0f}", of_copy, r["error"],
                         r["verified"]])
    return table(["kernel", "type", "size", "shape", "ms", "MB moved", "GB/s", "% of the peak", "% of a copy", "error",
                  "verified"], rows)


def products_table(raw: Raw) -> str:
    return table(["operation", "type", "size", "shape", "ms", "TFLOP/s", "% of the peak", "error", "verified"],
                 [[r["kernel"], r["type"], r["size"], r["shape"], r["median_ms"], r["tflop_per_s"],
                   raw.percent_of_tflops(r["type"], measured(r, "gflop"), measured(r, "median_ms")), r["error"],
                   r["verified"]] for r in raw.products() if measured(r, "tflop_per_s")])


# ---- what was verified, what was wrong ----


def verified_table(raw: Raw) -> str:
    """Of each table: how many results there are, and how many are the CPU's."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for r in raw.networks:
        groups.setdefault((f"networks, {r['competitor']}", r["type"]), []).append(r)
    for r in raw.kernels:
        groups.setdefault(("kernels", r["type"]), []).append(r)
    rows = []
    for (what, type), members in groups.items():
        count = {word: sum(r["verified"] == word for r in members) for word in ("yes", "no", "none")}
        worst = max((measured(r, "error") / measured(r, "tolerance") for r in members if measured(r, "tolerance")),
                    default=0.0)
        rows.append([what, type, len(members), count["yes"], count["no"] or "", count["none"] or "", f"{worst:.2f}"])
    return table(["", "type", "results", "verified", "wrong", "not compared", "largest error / allowed"], rows)


def trouble(raw: Raw) -> str:
    """What failed, with the end of its log, and what was wrong."""
    lines = []
    for s in raw.steps:
        if s["status"].startswith("failed"):
            lines.append(f"- step `{s['step']}`: {s['status']}, see {s['log']}")
            log = raw.log(s)
            lines += ["", "  ```", *("  " + line[:200] for line in log), "  ```", ""] if log else []
        elif "no time" in s["status"] or "missing" in s["status"]:
            lines.append(f"- step `{s['step']}`: {s['status']}")
    for r in raw.networks + raw.kernels:
        if r["verified"] == "no":
            what = r["note"] or f"error {r['error']}, allowed {r['tolerance']}"
            name = (f"{r['row']}, {r['competitor']}, {r['type']}, batch {r['batch']}" if "row" in r
                    else f"kernel {r['kernel']}, {r['type']}, {r['size']}")
            lines.append(f"- {name}: {what}")
    return "\n".join(lines) or "Nothing."


def report(raw: Raw, dry_run: bool) -> str:
    warning = ["**A dry run: small networks, without a GPU. No time and no bar means anything; what is verified here is "
               "that everything builds, runs and computes what the CPU does.**", ""] if dry_run else []
    sections = [
        ("Bars", "", table(["bar", "required", "measured", ""],
                           [[b.text, b.required, b.measured, b.verdict()] for b in bars(raw)])),
        ("What failed or was wrong", "", trouble(raw)),
        ("Machine", "", machine_table(raw)),
        ("Steps", "", table(["step", "status", "seconds", "log"],
                            [[s["step"], s["status"], s["seconds"], s["log"]] for s in raw.steps])),
        ("Results against the CPU", "Errors are relative to the largest value of the CPU's result.",
         verified_table(raw)),
        ("Networks", "Median of the calls, whole batch. A ! is behind what was not verified. The fraction of the peak "
         "counts products alone.", networks_table(raw)),
        ("The loop of ten steps", "", overhead_table(raw)),
        ("Kernels of our own", "", kernels_table(raw)),
        ("Products", "By cuDNN and cuBLASLt.", products_table(raw)),
        ("Clocks while measuring", "", clocks_table(raw)),
    ]
    parts = ["# d3ad on a GPU", "", *warning]
    for title, text, body in sections:
        parts += [f"## {title}", "", *([text, ""] if text else []), body, ""]
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--dry-run", action="store_true")
    o = parser.parse_args()
    if not (o.out / "raw").is_dir():
        print(f"report.py: '{o.out / 'raw'}' is not a folder; bench/gpu/run makes it", file=sys.stderr)
        return 2
    raw = Raw(o.out / "raw")
    unfinished = o.out / "report.md.new"
    unfinished.write_text(report(raw, o.dry_run))
    unfinished.replace(o.out / "report.md")
    for bar in bars(raw):
        print(f"{bar.verdict().strip('*'):12}  {bar.text}: {bar.measured} (required {bar.required})")
    return 0


if __name__ == "__main__":
    sys.exit(main())

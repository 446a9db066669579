#!/usr/bin/env python3
"""Makes OUT/report.md of what bench/gpu/run left in OUT/raw.

    report.py OUT [--dry-run]

Reads versions.csv (key,value), device.csv, steps.csv (step,status,seconds,log), networks*.csv, torch*.csv, kernels*.csv;
what is not there is reported as not measured. A result that was not verified meets no bar.
"""

import argparse
import csv
import pathlib
import sys
from dataclasses import dataclass

OURS = ("d3ad", "d3ad_graph")
COMPILED = ("torch_compile", "torch_graphs")
TORCH = ("torch_eager",) + COMPILED

# The bars.
AGAINST_COMPILE = 1.5  # detection, batch 30, bfloat16: images/s of d3ad's to the better of torch.compile's
IMAGES_PER_SECOND = 150  # detection, batch 30, bfloat16
LOOP_OVERHEAD = 2.0  # percent
BANDWIDTH = 80.0  # percent of the peak, of each kernel at its large size
TRAINING = 1.3  # steps/s of d3ad's to PyTorch's best


def number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


class Raw:
    """The CSVs."""

    def __init__(self, folder):
        self.folder = folder
        self.versions = self.pairs("versions.csv")
        self.device = self.pairs("device.csv")
        self.steps = self.rows("steps.csv")
        self.networks = self.rows("networks*.csv") + self.rows("torch*.csv")
        self.kernels = self.rows("kernels*.csv")

    def rows(self, pattern):
        found = []
        for path in sorted(self.folder.glob(pattern)):
            with open(path, newline="") as file:
                found += [row for row in csv.DictReader(file) if None not in row.values()]  # a cut-off line
        return found

    def pairs(self, name):
        return {row.get("key"): row.get("value") for row in self.rows(name)}

    def peak(self):
        """GB/s and where it comes from; None where nothing was measured."""
        for key, text in (("nominal_gb_per_s", "memory clock and bus width"), ("copy_gb_per_s", "a copy of 1 GiB")):
            value = number(self.device.get(key))
            if value:
                return value, text
        return None, "not measured"

    def find(self, row, batch, type, competitors):
        """The fastest of the competitors' rows with a time, a wrong one only where there is no right one."""
        found = [r for r in self.networks if r["row"] == row and r["batch"] == str(batch) and r["type"] == type
                 and r["competitor"] in competitors and (number(r["median_ms"]) or 0) > 0]
        return min(found, key=lambda r: (r["verified"] == "no", number(r["median_ms"])), default=None)

    def combinations(self, row):
        """(type, batch) of the row, in the order measured."""
        return list(dict.fromkeys((r["type"], int(r["batch"])) for r in self.networks if r["row"] == row))

    def overheads(self):
        """Percent that ten guided steps take more than ten calls of the UNet: {(type, batch): (percent, verified)}."""
        found = {}
        for type, batch in self.combinations("loop"):
            loop = self.find("loop", batch, type, OURS)
            calls = self.find("unet_x10", batch, type, OURS)
            if loop and calls:
                right = loop["verified"] == "yes" and calls["verified"] == "yes"
                percent = 100 * (number(loop["median_ms"]) / number(calls["median_ms"]) - 1)
                found[type, batch] = percent, right
        return found

    def fractions(self):
        """[(kernel row, percent of the peak)], what has no time left out."""
        peak = self.peak()[0]
        return [(r, 100 * number(r["gb_per_s"]) / peak) for r in self.kernels if peak and number(r["gb_per_s"])]


# ---- bars ----


@dataclass
class Bar:
    text: str
    required: str
    measured: str
    met: bool = None  # None: not measured

    def verdict(self):
        return {True: "met", False: "**not met**", None: "not measured"}[self.met]


def ratio_bar(raw, text, required, row, batch, type, competitors):
    ours, peer = raw.find(row, batch, type, OURS), raw.find(row, batch, type, competitors)
    if not ours or not peer:
        return Bar(text, f">= {required} x", "-")
    ratio = number(peer["median_ms"]) / number(ours["median_ms"])
    measured = (f"{ratio:.2f} x ({number(ours['median_ms']):.4g} ms; {peer['competitor']} "
                f"{number(peer['median_ms']):.4g} ms)")
    wrong = [r["competitor"] for r in (ours, peer) if r["verified"] == "no"]
    if wrong:
        return Bar(text, f">= {required} x", f"{measured}; wrong result: {', '.join(wrong)}", False)
    return Bar(text, f">= {required} x", measured, ratio >= required and ours["verified"] == "yes")


def bars(raw):
    found = [ratio_bar(raw, "Detection, 30 images, bfloat16, against torch.compile", AGAINST_COMPILE, "detection", 30,
                       "bfloat16", COMPILED)]

    ours = raw.find("detection", 30, "bfloat16", OURS)
    bar = Bar("Detection, 30 images, bfloat16", f">= {IMAGES_PER_SECOND} images/s", "-")
    if ours:
        rate = 30 * 1000 / number(ours["median_ms"])
        bar.measured = f"{rate:.1f} images/s"
        bar.met = rate >= IMAGES_PER_SECOND and ours["verified"] == "yes"
    found.append(bar)

    bar = Bar("The loop outside of the UNet, worst case", f"<= {LOOP_OVERHEAD:g} %", "-")
    overheads = raw.overheads()
    if overheads:
        (type, batch), (percent, _) = max(overheads.items(), key=lambda item: item[1][0])
        bar.measured = f"{percent:.2f} % ({type}, {batch} image{'s' * (batch > 1)})"
        bar.met = percent <= LOOP_OVERHEAD and all(right for _, right in overheads.values())
    found.append(bar)

    bar = Bar("Each kernel of our own, large size", f">= {BANDWIDTH:g} % of the peak bandwidth", "-")
    large = [(r, percent) for r, percent in raw.fractions() if r["size"] == "large"]
    if large:
        row, percent = min(large, key=lambda item: item[1])
        enough = sum(p >= BANDWIDTH and r["verified"] == "yes" for r, p in large)
        failed = sum(r["size"] == "large" and not number(r["gb_per_s"]) for r in raw.kernels)
        bar.measured = f"{enough} of {len(large) + failed}; least: {row['kernel']} {row['type']}, {percent:.0f} %"
        bar.met = enough == len(large) + failed
    found.append(bar)

    for type in ("tf32", "float"):
        found.append(ratio_bar(raw, f"Training step of the UNet, 8 latents, {type}, against PyTorch's best", TRAINING,
                               "train_step", 8, type, TORCH))
    return found


# ---- the report ----


def table(head, rows):
    def cell(text):
        return str(text).replace("|", "\\|").replace("\n", " ")

    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(cell, row)) + " |" for row in rows])


def networks_table(raw):
    names = list(dict.fromkeys(r["row"] for r in raw.networks if r["row"] not in ("unet_x10",)))
    rows = []
    for name in names:
        for type, batch in raw.combinations(name):
            cells = []
            for competitor in OURS + TORCH:
                r = raw.find(name, batch, type, (competitor,))
                cells.append("" if not r else f"{number(r['median_ms']):.4g}" + "!" * (r["verified"] == "no"))
            ours, peer = raw.find(name, batch, type, OURS), raw.find(name, batch, type, TORCH)
            rate = f"{batch * 1000 / number(ours['median_ms']):.4g}" if ours else ""
            ratio = f"{number(peer['median_ms']) / number(ours['median_ms']):.2f}" if ours and peer else ""
            rows.append([name, type, batch, *cells, rate, ratio, ours["error"] if ours else ""])
    head = ["row", "type", "batch", *(f"{c}, ms" for c in OURS + TORCH), "d3ad, images/s", "ratio to PyTorch's best",
            "error"]
    return table(head, rows) if rows else "Not measured."


def overhead_table(raw):
    rows = [[type, batch, f"{number(raw.find('unet_x10', batch, type, OURS)['median_ms']):.4g}",
             f"{number(raw.find('loop', batch, type, OURS)['median_ms']):.4g}", f"{percent:.2f}"]
            for (type, batch), (percent, _) in raw.overheads().items()]
    return table(["type", "batch", "ten UNet calls, ms", "loop of ten steps, ms", "outside of the UNet, %"],
                 rows) if rows else "Not measured."


def kernels_table(raw):
    copy = number(raw.device.get("copy_gb_per_s"))
    rows = []
    for r, percent in raw.fractions():
        of_copy = f"{100 * number(r['gb_per_s']) / copy:.0f}" if copy else ""
        rows.append([r["kernel"], r["type"], r["size"], r["shape"], r["median_ms"], f"{number(r['bytes']) / 1e6:.1f}",
                     r["gb_per_s"], f"{percent:.0f}", of_copy, r["error"], r["verified"]])
    return table(["kernel", "type", "size", "shape", "ms", "MB moved", "GB/s", "% of the peak", "% of a copy", "error",
                  "verified"], rows) if rows else "Not measured."


def trouble(raw):
    """Lines on what failed or was wrong."""
    lines = [f"- step `{s['step']}`: {s['status']}, see {s['log']}" for s in raw.steps
             if s["status"].startswith("failed")]
    for r in raw.networks:
        if r["verified"] == "no":
            what = r["note"] or f"error {r['error']}, allowed {r['tolerance']}"
            lines.append(f"- {r['row']}, {r['competitor']}, {r['type']}, batch {r['batch']}: {what}")
    for r in raw.kernels:
        if r["verified"] == "no":
            what = r["note"] or f"error {r['error']}, allowed {r['tolerance']}"
            lines.append(f"- kernel {r['kernel']}, {r['type']}, {r['size']}: {what}")
    return "\n".join(lines) or "Nothing."


def report(raw, dry_run):
    peak, source = raw.peak()
    facts = {**raw.versions, **{f"GPU: {key}": value for key, value in raw.device.items()}}
    facts["peak bandwidth"] = f"{peak:.0f} GB/s ({source})" if peak else source
    warning = ["**A dry run: small networks, without a GPU. Times mean nothing.**", ""] if dry_run else []
    return "\n".join([
        "# d3ad on a GPU", "", *warning,
        table(["", ""], facts.items()), "",
        "## Bars", "",
        table(["bar", "required", "measured", ""], [[b.text, b.required, b.measured, b.verdict()] for b in bars(raw)]),
        "",
        "## Steps", "",
        table(["step", "status", "seconds", "log"],
              [[s["step"], s["status"], s["seconds"], s["log"]] for s in raw.steps]), "",
        "## What failed or was wrong", "", trouble(raw), "",
        "## Networks", "",
        "Median of the calls, whole batch. A ! is behind what was not verified; the error is d3ad's largest, relative to "
        "the largest value of the CPU's result.", "", networks_table(raw), "",
        "## The loop of ten steps", "", overhead_table(raw), "",
        "## Kernels of our own", "", kernels_table(raw), ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--dry-run", action="store_true")
    o = parser.parse_args()
    if not (o.out / "raw").is_dir():
        print(f"report.py: '{o.out / 'raw'}' is not a folder; bench/gpu/run makes it", file=sys.stderr)
        return 2
    raw = Raw(o.out / "raw")
    (o.out / "report.md").write_text(report(raw, o.dry_run))
    for bar in bars(raw):
        print(f"{bar.verdict().strip('*'):12}  {bar.text}: {bar.measured} (required {bar.required})")
    return 0


if __name__ == "__main__":
    sys.exit(main())

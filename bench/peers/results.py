"""What was measured, and its forms: lines and a table for the terminal, CSV, a chart.

    results = Results("d3ad")
    results.add(Result("unet_1", "torch", "ms", [12.1, 12.0], difference=1e-6))
    results.write(folder)                  peers.csv, peers_all.csv, peers.svg
    print(results.table())
"""

import csv
import statistics
from dataclasses import dataclass, field
from xml.sax.saxutils import escape


@dataclass
class Result:
    row: str
    competitor: str
    unit: str  # ms, or MiB for memory
    samples: list
    difference: float = None  # from ours, the largest, relative to the output's root mean square
    best: float = field(init=False)
    median: float = field(init=False)
    spread: float = field(init=False)  # from the best to the worst, relative to the best

    def __post_init__(self):
        self.best = min(self.samples)
        self.median = statistics.median(self.samples)
        self.spread = max(self.samples) / self.best - 1

    def line(self):
        text = (f"{self.row:14} {self.competitor:14} best {self.best:10.2f}  median {self.median:10.2f} {self.unit}"
                f"  spread {100 * self.spread:3.0f} %")
        return text if self.difference is None else text + f"  difference {self.difference:.1e}"


@dataclass
class Comparison:
    row: str
    unit: str
    ours: Result
    peer: Result  # the best of them

    @property
    def ratio(self):
        return self.peer.best / self.ours.best

    def ratio_of_medians(self, peers):
        return min(p.median for p in peers) / self.ours.median


class Results:
    def __init__(self, ours):
        self.ours, self.all = ours, []

    def add(self, result):
        self.all.append(result)

    def of(self, row):
        return [r for r in self.all if r.row == row]

    def rows(self):
        return list(dict.fromkeys(r.row for r in self.all))

    def comparisons(self):
        found = []
        for row in self.rows():
            ours = [r for r in self.of(row) if r.competitor == self.ours]
            peers = [r for r in self.of(row) if r.competitor != self.ours]
            if ours and peers:
                found.append(Comparison(row, ours[0].unit, ours[0], min(peers, key=lambda r: r.best)))
        return found

    # ---- terminal ----

    def table(self):
        names = [self.ours] + [n for n in dict.fromkeys(r.competitor for r in self.all) if n != self.ours]
        comparisons = {c.row: c for c in self.comparisons()}
        lines = [["", *names, "best peer", "ratio", "of medians"]]
        for row in self.rows():
            results = {r.competitor: r for r in self.of(row)}
            unit = next(iter(results.values())).unit
            cells = [f"{row} ({unit})", *(f"{results[n].best:.1f}" if n in results else "" for n in names)]
            if row in comparisons:
                c = comparisons[row]
                peers = [r for r in results.values() if r.competitor != self.ours]
                cells += [c.peer.competitor, f"{c.ratio:.2f}", f"{c.ratio_of_medians(peers):.2f}"]
            lines.append(cells + [""] * (len(lines[0]) - len(cells)))
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        return "\n".join(
            "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths)))
            for line in lines)

    # ---- files ----

    def write(self, folder):
        with open(folder / "peers.csv", "w", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(["row", "ours_ms", "best_peer", "best_ms", "ratio"])
            for c in self.comparisons():
                out.writerow([c.row, f"{c.ours.best:.3f}", c.peer.competitor, f"{c.peer.best:.3f}", f"{c.ratio:.3f}"])
        with open(folder / "peers_all.csv", "w", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(["row", "competitor", "unit", "best", "median", "spread", "runs", "difference"])
            for r in self.all:
                difference = "" if r.difference is None else f"{r.difference:.2e}"
                out.writerow([r.row, r.competitor, r.unit, f"{r.best:.3f}", f"{r.median:.3f}", f"{r.spread:.3f}",
                              len(r.samples), difference])
        (folder / "peers.svg").write_text(chart(self.comparisons()))


# The texts' grey reads on white and on black; where the viewer says which it is, they get more contrast.
STYLE = """
  text { font: 13px sans-serif; fill: #6e7781; }
  .name { font-weight: 600; }
  .faster { fill: #2f81c7; } .slower { fill: #c9782f; }
  .even { stroke: #8b949e; stroke-dasharray: 3 3; }
  @media (prefers-color-scheme: light) { text { fill: #32383f; } }
  @media (prefers-color-scheme: dark) { text { fill: #c9d1d9; } }
"""


def chart(comparisons):
    """One bar a row: how many times as long (or as much memory) the best peer takes."""
    left, width, right, height, top = 130, 400, 290, 30, 46
    longest = max([1.5, *(c.ratio for c in comparisons)])
    scale = width / longest
    bottom = top + height * len(comparisons)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + right}" height="{bottom + 24}" '
             f'viewBox="0 0 {left + width + right} {bottom + 24}" role="img">', f"<style>{STYLE}</style>",
             '<title>The best peer relative to d3ad</title>',
             '<text x="8" y="20" class="name">The best peer relative to d3ad (above 1 d3ad takes less)</text>']
    for i, c in enumerate(comparisons):
        y = top + height * i
        kind = "faster" if c.ratio >= 1 else "slower"
        length = max(c.ratio * scale, 1)
        label = left + max(length, scale if c.ratio < 1 else 0) + 8  # not across the line at 1
        note = f"{c.peer.competitor} {number(c.peer.best)}, d3ad {number(c.ours.best)} {c.unit}"
        lines += [f'<text x="{left - 10}" y="{y + 18}" text-anchor="end" class="name">{escape(c.row)}</text>',
                  f'<rect x="{left}" y="{y + 4}" width="{length:.1f}" height="{height - 10}" rx="2" class="{kind}"/>',
                  f'<text x="{label:.1f}" y="{y + 18}"><tspan class="name">{c.ratio:.2f}</tspan>'
                  f'  {escape(note)}</text>']
    even = left + scale
    lines += [f'<line x1="{even:.1f}" y1="{top - 6}" x2="{even:.1f}" y2="{bottom + 4}" class="even"/>',
              f'<text x="{even:.1f}" y="{bottom + 18}" text-anchor="middle">1</text>', "</svg>", ""]
    return "\n".join(lines)


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"

#!/usr/bin/env python3
"""Tests report.py on tables with made-up numbers: what is met, what is just not, what is wrong, missing or cut off.

    report_test.py          exit code 0 where all is as expected
"""

import csv
import pathlib
import tempfile
import unittest
from collections.abc import Sequence

import report

NETWORKS = ["row", "competitor", "type", "batch", "best_ms", "median_ms", "spread", "runs", "images_per_s", "error",
            "tolerance", "verified", "gflop", "note"]
KERNELS = ["kernel", "type", "size", "shape", "best_ms", "median_ms", "runs", "bytes", "gb_per_s", "gflop",
           "tflop_per_s", "error", "tolerance", "verified", "note"]
CLOCKS = ["sm_mhz", "memory_mhz", "watts", "celsius", "busy", "limited_by"]
Line = list[object]


def network(row: str, competitor: str, type: str, batch: int, ms: float, gflop: object = "") -> Line:
    return [row, competitor, type, batch, ms, ms, 0, 10, "", "1e-3", "1e-2", "yes", gflop, ""]


def kernel(name: str, size: str, gb_per_s: object, verified: str = "yes", note: str = "") -> Line:
    return [name, "half", size, "8x256x256x128", 1, 1, 10, 1000000, gb_per_s, "", "", "1e-4", "1e-3", verified, note]


# Each bar met, most of them exactly.
NETWORK_ROWS = [
    network("detection", "d3ad", "bfloat16", 30, 200, gflop=40000),
    network("detection", "torch_eager", "bfloat16", 30, 250),
    network("detection", "torch_compile", "bfloat16", 30, 320),
    network("detection", "torch_graphs", "bfloat16", 30, 300),
    network("loop", "d3ad", "half", 1, 101.9),
    network("unet_x10", "d3ad_graph", "half", 1, 100),
    network("train_step", "d3ad", "tf32", 30, 100),
    network("train_step", "torch_eager", "tf32", 30, 140),
    network("train_step", "torch_compile", "tf32", 30, 130),
    network("train_step", "d3ad", "float", 30, 100),
    network("train_step", "torch_eager", "float", 30, 200),
    network("train_step", "d3ad", "bfloat16", 30, 100),
    network("train_step", "torch_eager", "bfloat16", 30, 131),
]
KERNEL_ROWS = [kernel("add", "model", 100), kernel("add", "large", 2400), kernel("blur", "large", 2500),
               ["conv3x3", "half", "large", "1x1x1x1", 2, 2, 10, "", "", 800, 400, "1e-4", "1e-3", "yes", ""]]
DEVICE_ROWS: list[Line] = [["nominal_gb_per_s", 3000], ["copy_gb_per_s", 2700], ["nominal_tflops_half", 1000],
                           ["nominal_tflops_bfloat16", 1000], ["highest_clock_mhz", 1980]]


def write(path: pathlib.Path, head: Sequence[str], rows: Sequence[Line]) -> None:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


class Report(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name)
        (self.out / "raw").mkdir()
        (self.out / "logs").mkdir()

    def made(self, networks=NETWORK_ROWS, kernels=KERNEL_ROWS, device=DEVICE_ROWS, steps=()) -> report.Raw:
        raw = self.out / "raw"
        write(raw / "networks_x.csv", NETWORKS, networks)
        write(raw / "kernels_x.csv", KERNELS, kernels)
        write(raw / "device.csv", ["key", "value"], device)
        write(raw / "steps.csv", ["step", "status", "seconds", "log"], steps)
        return report.Raw(raw)

    def met(self, **tables) -> list[bool | None]:
        return [bar.met for bar in report.bars(self.made(**tables))]

    def changed(self, index: int, **columns: object) -> list[Line]:
        rows = [list(row) for row in NETWORK_ROWS]
        for name, value in columns.items():
            rows[index][NETWORKS.index(name)] = value
        return rows

    def test_all_met(self):
        self.assertEqual(self.met(), [True] * 7)

    def test_not_met(self):
        self.assertEqual(self.met(networks=self.changed(0, median_ms=201)), [False, False] + [True] * 5)
        self.assertEqual(self.met(networks=self.changed(4, median_ms=102.1))[2], False)
        self.assertEqual(self.met(networks=self.changed(6, median_ms=101))[4:], [True, False, True])
        self.assertEqual(self.met(networks=self.changed(9, median_ms=160))[4:], [True, True, False])
        self.assertEqual(self.met(networks=self.changed(12, median_ms=129))[4:], [False, True, True])
        self.assertEqual(self.met(kernels=KERNEL_ROWS + [kernel("concat", "large", 2399)])[3], False)

    def test_a_wrong_result_meets_nothing(self):
        self.assertEqual(self.met(networks=self.changed(0, verified="no"))[:2], [False, False])
        self.assertEqual(self.met(networks=self.changed(5, verified="no"))[2], False)
        self.assertEqual(self.met(kernels=[kernel("add", "large", 2900, verified="no")])[3], False)
        self.assertEqual(self.met(kernels=KERNEL_ROWS + [kernel("add", "large", "", "no", "out of memory")])[3], False)

    def test_the_worst_case_of_the_loop_counts(self):
        more = [network("loop", "d3ad", "half", 30, 1050), network("unet_x10", "d3ad_graph", "half", 30, 1000)]
        raw = self.made(networks=NETWORK_ROWS + more)
        self.assertAlmostEqual(raw.overheads()[1][4], 5)
        self.assertEqual(report.bars(raw)[2].met, False)

    def test_not_measured(self):
        self.assertEqual(self.met(networks=[], kernels=[], device=[]), [None] * 7)
        emulated = [row[:4] + [0, 0] + row[6:] for row in NETWORK_ROWS]
        self.assertEqual(self.met(networks=emulated, kernels=[kernel("add", "large", 0)]), [None] * 7)
        self.assertIn("| Whole detection, 30 images, bfloat16 | >= 150 images/s | - | not measured |",
                      report.report(self.made(networks=emulated), dry_run=True))

    def test_nothing_at_all_still_makes_a_report(self):
        text = report.report(report.Raw(self.out / "raw"), dry_run=False)
        self.assertIn("Not measured.", text)

    def test_a_line_that_was_cut_off_is_left_out(self):
        self.made()
        with open(self.out / "raw" / "networks_x.csv", "a") as file:
            file.write("detection,d3ad,half,30,1")
        self.assertEqual(report.Raw(self.out / "raw").find("detection", 30, "half", report.OURS), None)

    def test_without_nominal_bandwidth_the_copy_is_the_peak(self):
        raw = self.made(device=[["nominal_gb_per_s", 0], ["copy_gb_per_s", 2400]])
        self.assertEqual(raw.bandwidth()[0], 2400)

    def test_fractions_of_the_peak(self):
        raw = self.made()
        text = report.report(raw, dry_run=False)
        self.assertIn("| conv3x3 | half | large | 1x1x1x1 | 2 | 400 | 40 |", text)  # 800 GFLOP in 2 ms of 1000 TFLOP/s
        self.assertIn("| 150 | 1.25 | 20 | 1e-3 |", text)  # the detection: 40 TFLOP in 200 ms
        self.assertIn("| add | half | large | 8x256x256x128 | 1 | 1.0 | 2400 | 80 | 89 |", text)

    def test_slow_clocks_are_remarked_on(self):
        write(self.out / "raw" / "clocks_networks.csv", CLOCKS,
              [[1200, 2600, 650, 80, 99, 0], [1210, 2600, 690, 82, 98, 0], [300, 2600, 80, 40, 0, 0]])
        self.assertIn("| networks | 2 | 1205 | 1200 | 2600 | 690 | 82 | slow |", report.report(self.made(), dry_run=False))

    def test_the_report_names_what_failed(self):
        (self.out / "logs" / "unit_cuda.log").write_text("first\n" * 20 + "CHECK( 1 == 2 ) is not correct\n")
        text = report.report(
            self.made(networks=self.changed(0, verified="no", note="out of memory, | and more"),
                      steps=[["unit_cuda", "failed (1)", 3, "logs/unit_cuda.log"], ["build", "ok", 1, "logs/build.log"],
                             ["memcheck", "skipped: no time is left (--time)", 0, "-"]]),
            dry_run=False)
        for part in ("step `unit_cuda`: failed (1)", "CHECK( 1 == 2 )", "out of memory", "**not met**", "| met |",
                     "| build | ok | 1 |", "step `memcheck`"):
            self.assertIn(part, text)
        self.assertNotIn("step `build`", text)
        self.assertEqual(text.count("first"), report.LOG_LINES - 1)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Tests report.py on tables with made-up numbers: what is met, what is just not, what is wrong, what is missing.

    report_test.py          exit code 0 where all is as expected
"""

import csv
import pathlib
import tempfile
import unittest

import report

NETWORKS = ["row", "competitor", "type", "batch", "best_ms", "median_ms", "spread", "runs", "images_per_s", "error",
            "tolerance", "verified", "note"]
KERNELS = ["kernel", "type", "size", "shape", "best_ms", "median_ms", "runs", "bytes", "gb_per_s", "error", "tolerance",
           "verified", "note"]


def network(row, competitor, type, batch, ms, verified="yes", note=""):
    return [row, competitor, type, batch, ms, ms, 0, 10, "", "1e-3", "1e-2", verified, note]


def kernel(name, size, gb_per_s, verified="yes", note=""):
    return [name, "half", size, "8x256x256x128", 1, 1, 10, 1000000, gb_per_s, "1e-4", "1e-3", verified, note]


# Each bar met, most of them exactly.
NETWORK_ROWS = [
    network("detection", "d3ad", "bfloat16", 30, 200),
    network("detection", "torch_eager", "bfloat16", 30, 250),
    network("detection", "torch_compile", "bfloat16", 30, 320),
    network("detection", "torch_graphs", "bfloat16", 30, 300),
    network("loop", "d3ad", "half", 1, 101.9),
    network("unet_x10", "d3ad_graph", "half", 1, 100),
    network("train_step", "d3ad", "tf32", 8, 100),
    network("train_step", "torch_eager", "tf32", 8, 140),
    network("train_step", "torch_compile", "tf32", 8, 130),
    network("train_step", "d3ad", "float", 8, 100),
    network("train_step", "torch_eager", "float", 8, 200),
]
KERNEL_ROWS = [kernel("add", "model", 100), kernel("add", "large", 2400), kernel("blur", "large", 2500)]
DEVICE_ROWS = [["nominal_gb_per_s", 3000], ["copy_gb_per_s", 2700]]


class Bars(unittest.TestCase):
    def made(self, networks=NETWORK_ROWS, kernels=KERNEL_ROWS, device=DEVICE_ROWS, steps=()):
        with tempfile.TemporaryDirectory() as folder:
            raw = pathlib.Path(folder)
            for name, head, rows in (("networks_x.csv", NETWORKS, networks), ("kernels_x.csv", KERNELS, kernels),
                                     ("device.csv", ["key", "value"], device),
                                     ("steps.csv", ["step", "status", "seconds", "log"], steps)):
                with open(raw / name, "w", newline="") as file:
                    csv.writer(file).writerows([head, *rows])
            return report.Raw(raw)

    def met(self, **tables):
        return [bar.met for bar in report.bars(self.made(**tables))]

    def changed(self, index, **columns):
        rows = [list(row) for row in NETWORK_ROWS]
        for name, value in columns.items():
            rows[index][NETWORKS.index(name)] = value
        return rows

    def test_all_met(self):
        self.assertEqual(self.met(), [True] * 6)

    def test_not_met(self):
        self.assertEqual(self.met(networks=self.changed(0, median_ms=201)), [False, False] + [True] * 4)
        self.assertEqual(self.met(networks=self.changed(4, median_ms=102.1))[2], False)
        self.assertEqual(self.met(networks=self.changed(6, median_ms=101))[4:], [False, True])
        self.assertEqual(self.met(networks=self.changed(9, median_ms=160))[4:], [True, False])
        self.assertEqual(self.met(kernels=KERNEL_ROWS + [kernel("concat", "large", 2399)])[3], False)

    def test_a_wrong_result_meets_nothing(self):
        self.assertEqual(self.met(networks=self.changed(0, verified="no"))[:2], [False, False])
        self.assertEqual(self.met(networks=self.changed(5, verified="no"))[2], False)
        self.assertEqual(self.met(kernels=[kernel("add", "large", 2900, verified="no")])[3], False)
        self.assertEqual(self.met(kernels=KERNEL_ROWS + [kernel("add", "large", "", "no", "out of memory")])[3], False)

    def test_the_worst_case_of_the_loop_counts(self):
        more = [network("loop", "d3ad", "half", 30, 1050), network("unet_x10", "d3ad_graph", "half", 30, 1000)]
        raw = self.made(networks=NETWORK_ROWS + more)
        self.assertAlmostEqual(raw.overheads()["half", 30][0], 5)
        self.assertEqual(report.bars(raw)[2].met, False)

    def test_not_measured(self):
        self.assertEqual(self.met(networks=[], kernels=[], device=[]), [None] * 6)
        emulated = [row[:4] + [0, 0] + row[6:] for row in NETWORK_ROWS]
        self.assertEqual(self.met(networks=emulated, kernels=[kernel("add", "large", 0)]), [None] * 6)

    def test_without_nominal_bandwidth_the_copy_is_the_peak(self):
        raw = self.made(device=[["nominal_gb_per_s", 0], ["copy_gb_per_s", 2400]])
        self.assertEqual(raw.peak()[0], 2400)

    def test_the_report_names_what_failed(self):
        text = report.report(
            self.made(networks=self.changed(0, verified="no", note="out of memory, | and more"),
                      steps=[["unit_cuda", "failed (1)", 3, "logs/unit_cuda.log"], ["build", "ok", 1, "logs/build.log"]]),
            dry_run=False)
        for part in ("step `unit_cuda`: failed (1)", "out of memory", "**not met**", "| met |", "| build | ok | 1 |"):
            self.assertIn(part, text)
        self.assertNotIn("step `build`", text)


if __name__ == "__main__":
    unittest.main()

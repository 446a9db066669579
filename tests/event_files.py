"""What TensorBoard reads of the event files that training leaves, against loss.csv; and of files that are cut anywhere.

    tests/event_files.py MODEL...      models whose UNets were trained alike: the same tags, steps and values

Ends with 77 where Python has no TensorBoard.
"""

from __future__ import annotations

import csv
import logging
import sys
import tempfile
from pathlib import Path

try:
    from tensorboard.backend.event_processing import event_accumulator
except ImportError:
    print("event files: not read by TensorBoard, which Python has not (pip install tensorboard)")
    sys.exit(77)

logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it says of a cut file what it is

COLUMNS = ("loss", "gradient_norm", "learning_rate", "images_per_second")
Scalars = dict[str, dict[int, float]]


def scalars_of(path: Path) -> Scalars:
    """Of a file or of all in a folder: tag -> step -> value."""
    read = event_accumulator.EventAccumulator(str(path), size_guidance={event_accumulator.SCALARS: 0})
    read.Reload()
    out: Scalars = {}
    for tag in read.Tags()["scalars"]:
        events = read.Scalars(tag)
        assert [e.step for e in events] == sorted({e.step for e in events}), f"{path}: steps of {tag} repeat or go back"
        assert all(a.wall_time <= b.wall_time for a, b in zip(events, events[1:])), f"{path}: time of {tag} goes back"
        out[tag] = {e.step: e.value for e in events}
    return out


def check_table(model: Path, scalars: Scalars) -> None:
    with (model / "loss.csv").open() as file:
        rows = list(csv.DictReader(file))
    for column in COLUMNS:
        have = scalars[f"unet/{column}"]
        assert sorted(have) == [int(row["step"]) for row in rows], f"{model}: steps of {column} are {sorted(have)}"
        for row in rows:
            want = float(row[column])
            assert abs(have[int(row["step"])] - want) <= 1e-6 * abs(want), f"{model}: {column} at {row['step']}"


def check_cuts(file: Path) -> None:
    whole = scalars_of(file)
    data = file.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        cut = Path(folder) / file.name
        before = 0
        for length in [*range(300), *range(300, len(data), 41), *range(len(data) - 300, len(data))]:
            cut.write_bytes(data[:length])
            read = scalars_of(cut)
            for tag, values in read.items():
                assert all(whole[tag][step] == value for step, value in values.items()), f"{length} bytes of {file}"
            count = sum(map(len, read.values()))
            assert count < sum(map(len, whole.values()))
            before = max(before, count)
        assert before > 0


def main(models: list[Path]) -> None:
    first: Scalars = {}
    for model in models:
        scalars = scalars_of(model)  # the folder, as TensorBoard is given it
        check_table(model, scalars)
        adapted = sorted(tag for tag in scalars if tag.startswith("adapt/"))
        assert adapted in ([], sorted(f"adapt/{column}" for column in COLUMNS)), adapted
        assert bool(adapted) == (model / "events.out.tfevents.2.adapt").exists()
        fixed = {tag: scalars[tag] for tag in ("unet/loss", "unet/gradient_norm", "unet/learning_rate")}
        assert not first or fixed == first, f"{models[0]} and {model} differ"
        first = fixed
    check_cuts(models[0] / "events.out.tfevents.1.unet")
    print(f"event files: TensorBoard reads those of {len(models)} models")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])

"""python3 weights_tools {convert,fetch,export-reference,prove} ...: weights for d3ad; each says what it does with --help."""

from __future__ import annotations

import argparse
import sys

from d3ad_weights import convert, fetch, prove, reference
from d3ad_weights.refusal import Refusal


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="weights_tools", description="Weights for d3ad.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module, what in (
        ("convert", convert, "published weights to the safetensors that d3ad reads"),
        ("fetch", fetch, "published weights by a short name, checked"),
        ("export-reference", reference, "run a PyTorch module and write what `d3ad verify` compares with"),
        ("prove", prove, "the real packages' networks, saved, converted, and compared with d3ad"),
    ):
        command = commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except Refusal as refusal:
        print(f"weights_tools: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("weights_tools: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

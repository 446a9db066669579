"""A competitor's process as compare.py sees it; peer.py describes the protocol.

    with Competitors(environment, logs) as field:      all that were started are gone at the end, whatever happened
        c = field.start("torch", command)
        c.load("unet_1")
        c.run()                                        milliseconds
        c.outputs(path)                                a list of flat float32 arrays
"""

import os
import signal
import subprocess
import time

import numpy as np


class Failed(Exception):
    """A competitor that died or answered with an error; one sentence."""


class Competitor:
    def __init__(self, name, command, environment, log):
        self.name, self.log = name, log
        self.started = time.perf_counter()
        with open(log, "w") as stderr:
            # A session of its own: Ctrl-C reaches compare.py alone, which then ends its competitors.
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                                            text=True, bufsize=1, env=environment, start_new_session=True)

    def ask(self, line, keyword):
        """The rest of the answer, which has to begin with the keyword."""
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline().strip()
        except BrokenPipeError:
            answer = ""
        if answer == keyword or answer.startswith(keyword + " "):
            return answer[len(keyword):].strip()
        if answer.startswith("error "):
            raise Failed(f"{self.name}, '{line}': {answer[len('error '):]} (log: {self.log})")
        raise Failed(f"{self.name}, '{line}': it ended (status {self.process.wait()}; log: {self.log})")

    def load(self, row):
        self.ask("load " + row, "ok")

    def run(self):
        return float(self.ask("run", "ms"))

    def outputs(self, path):
        sizes = [int(size) for size in self.ask(f"save {path}", "ok").split()]
        numbers = np.fromfile(path, "<f4")
        os.unlink(path)
        if numbers.size != sum(sizes):
            raise Failed(f"{self.name}: it saved {numbers.size} numbers and promised {sum(sizes)}")
        return np.split(numbers, np.cumsum(sizes)[:-1])

    def peak_mib(self):
        return int(self.ask("memory", "peak_kib")) / 1024

    def version(self):
        return self.ask("version", "version")

    def seconds_since_start(self):
        return time.perf_counter() - self.started

    def cpu_seconds(self):
        """What all its threads have used so far."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def quit(self):
        """Asks it to end, and ends it where it does not."""
        try:
            self.process.stdin.write("quit\n")
            self.process.stdin.close()
            self.process.wait(timeout=10)
        except (BrokenPipeError, ValueError, subprocess.TimeoutExpired):
            pass
        self.kill()

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # its session: compilers that it may have started, too
        except ProcessLookupError:
            pass
        self.process.wait()


class Competitors:
    def __init__(self, environment, logs):
        self.environment, self.logs, self.running = environment, logs, []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name, command, what):
        competitor = Competitor(name, command, self.environment, self.logs / f"{what}-{name}.log")
        self.running.append(competitor)
        return competitor

    def stop(self, competitor):
        competitor.quit()
        if competitor in self.running:
            self.running.remove(competitor)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for competitor in self.running:
            if kind is None:
                competitor.quit()
            else:
                competitor.kill()

"""What was measured: lines on the screen and the same in a JSON file."""

import json
import statistics
import sys


class Table:
    def __init__(self, about):
        self.about = about
        self.lines = []
        for what, text in about.items():
            self.note(what, text)

    def heading(self, text):
        print(f"\n{text}", flush=True)

    def line(self, what, value, unit="", at_least=None, at_most=None, of=()):
        """A figure, what it is to be, and the rounds that it is the median of."""
        met = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
        target = "" if at_least is None else f"≥ {at_least:g}{unit}"
        target += "" if at_most is None else f"≤ {at_most:g}{unit}"
        spread = f"  {shown(min(of))} to {shown(max(of))}" if len(of) > 1 else ""
        print(f"  {what:<84} {shown(value):>9}{unit:<5}{target:<10}{'' if met else 'MISSED':<7}{spread}",
              flush=True)
        self.lines.append({"what": what, "value": value, "unit": unit, "at_least": at_least,
                           "at_most": at_most, "met": met, "rounds": list(of)})

    def median(self, what, values, unit="", **target):
        self.line(what, statistics.median(values), unit, of=values, **target)

    def note(self, what, text):
        print(f"  {what:<84} {text}", flush=True)
        self.lines.append({"what": what, "text": text})

    def save(self, file):
        text = json.dumps({"about": self.about, "lines": self.lines}, indent=2, ensure_ascii=False)
        file.write_text(text + "\n")


def shown(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 1 else f"{value:.2f}"


def say(text):
    """How far it is."""
    print(text, file=sys.stderr, flush=True)

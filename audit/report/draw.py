"""A child process: Vega-Lite specifications on stdin (a JSON list), a JSON line with its SVG for each on stdout.

A malformed text can abort the whole process that draws, so the parent (charts.py) never draws itself.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Draw each specification in order; null where one is refused."""
    import vl_convert

    for spec in json.load(sys.stdin):
        try:
            svg = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
        except ValueError:
            svg = None
        print(json.dumps(svg), flush=True)


if __name__ == "__main__":
    main()

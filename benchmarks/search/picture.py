"""The picture of the benchmark: mean score over trials, one panel a family, as SVG that reads on light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT, GAP, TOP, BOTTOM = 340, 300, 44, 190, 34, 40
LINES = 9  # the best of each panel; the others would only tangle
SPACE = 14  # pixels between two labels
COLOURS = ("#4c78d8", "#c4731a", "#2c9c68", "#b8489e", "#8a6fd0", "#2a9bb0", "#a08a1c", "#8b8f98")
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 } .title { font-weight: 600 } .grid { stroke: #8884; fill: none }
.line { fill: none; stroke-width: 1.6 } .ours { stroke: #d8342c; stroke-width: 3 } .name-ours { font-weight: 700 }
.second { stroke: #d8342c; stroke-width: 1.8; stroke-dasharray: 5 3 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } }
"""


def picture(curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], labels: Mapping[str, str]) -> str:
    """`curves`: family -> engine -> [trials, mean score], more trials later."""
    panels = []
    total = LEFT
    colours: dict[str, str] = {}
    for family, lines in sorted(curves.items()):
        panels.append(_panel(family, lines, labels, colours, total))
        total += WIDTH + GAP
    size = f'width="{total}" height="{TOP + HEIGHT + BOTTOM}"'
    box = f'viewBox="0 0 {total} {TOP + HEIGHT + BOTTOM}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box}>\n<style>{STYLE}</style>\n{"".join(panels)}</svg>\n'


def _panel(family: str, lines: Any, labels: Mapping[str, str], colours: dict[str, str], left: int) -> str:
    shown = sorted((n for n in lines if n != "random"), key=lambda n: -lines[n][-1][1] if lines[n] else 0)[:LINES]
    shown += [n for n in lines if n == "besom:bayes" and n not in shown]
    high = max(0.1, *(y for n in shown for _, y in lines[n]))
    low = min(0.0, *(y for n in shown for _, y in lines[n]))
    most = max(x for n in shown for x, _ in lines[n])

    def place(x: float, y: float) -> tuple[float, float]:
        return left + WIDTH * x / most, TOP + HEIGHT * (high - y) / (high - low)

    out = [f'<text class="title" x="{left}" y="{TOP - 14}">{family} tasks: mean score over trials</text>\n']
    for i in range(int(low * 5), int(high * 5) + 1):
        (x, y), word = place(0, i / 5), f"{i / 5:.1f}"
        out.append(
            f'<path class="grid" d="M{x:.0f} {y:.1f}h{WIDTH}"/><text x="{x - 26:.0f}" y="{y + 4:.1f}">{word}</text>\n'
        )
    for x in range(0, int(most) + 1, 25):
        at, bottom = place(x, low)
        out.append(f'<text text-anchor="middle" x="{at:.0f}" y="{bottom + 18:.0f}">{x}</text>\n')
    taken = TOP - SPACE
    for name in sorted(shown, key=lambda n: -lines[n][-1][1]):
        points = [place(x, y) for x, y in lines[name]]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        ours = name.startswith("besom")
        colour = colours.setdefault(name, COLOURS[len(colours) % len(COLOURS)]) if not ours else ""
        kind = "ours" if name == "besom:bayes" else "second" if ours else ""
        style = f' style="stroke:{colour}"' if colour else ""
        out.append(f'<polyline class="line {kind}"{style} points="{path}"/>\n')
        end, y = points[-1]
        taken = max(taken + SPACE, y)
        text = escape(labels.get(name, name))
        out.append(f'<path class="grid" d="M{end + 2:.1f} {y:.1f}L{left + WIDTH + 8} {taken:.1f}"/>')
        fill = f' style="fill:{colour}"' if colour else ""
        out.append(f'<text class="name-{kind}"{fill} x="{left + WIDTH + 11}" y="{taken + 4:.1f}">{text}</text>\n')
    return "".join(out)

"""Draws diagrams of curves side by side, as one SVG: from a thousand to a million on a logarithmic axis, from zero upwards on the
other. Readable on light and on dark backgrounds; it has none of its own."""

import math

WIDTH, HEIGHT = 300, 250  # of each diagram
LEFT, RIGHT, TOP, BOTTOM = 40, 30, 54, 30
DECADES = (3, 6)
NAMES = {3: "1,000", 4: "10,000", 5: "100,000", 6: "1,000,000"}

# One set of colours for both backgrounds: not every viewer tells a picture which one it is on.
STYLE = """<style>
text { font: 11px sans-serif; fill: #768390 }
.title { font-size: 13px; font-weight: bold }
.grid { stroke: #768390; stroke-opacity: 0.35 }
.a { stroke: #2f81f7 } .b { stroke: #db6d28 }
.dot.a, text.a { fill: #2f81f7; stroke: none } .dot.b, text.b { fill: #db6d28; stroke: none }
</style>"""


def round_up(value):
    """The next number that divides well into four."""
    step = 10 ** math.floor(math.log10(value))
    return next(step * factor for factor in (1, 1.2, 1.6, 2, 4, 6, 8, 10) if step * factor >= value)


def diagram(number, title, curves):
    """One of them. `curves`: their names, and points (how many, value)."""
    curves = {name: sorted(points) for name, points in curves.items() if points}
    top = round_up(max(value for points in curves.values() for _, value in points) or 1)
    origin = number * WIDTH + LEFT

    def across(many):
        low, high = DECADES
        return origin + (math.log10(many) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def up(value):
        return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    lines = [f'<text class="title" x="{number * WIDTH + 8}" y="16">{title}</text>']
    for quarter in range(5):
        y = up(top * quarter / 4)
        lines.append(f'<line class="grid" x1="{origin}" x2="{origin + WIDTH - LEFT - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text x="{origin - 6}" y="{y + 4:.1f}" text-anchor="end">{top * quarter / 4:.3g}</text>')
    for decade in range(DECADES[0], DECADES[1] + 1):
        lines.append(f'<text x="{across(10 ** decade):.1f}" y="{HEIGHT - 12}" text-anchor="middle">{NAMES[decade]}</text>')
    at = origin
    for name, kind in zip(curves, "ab"):
        places = [(across(many), up(value)) for many, value in curves[name]]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        lines.append(f'<polyline class="{kind}" fill="none" stroke-width="2" points="{path}"/>')
        lines += [f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
        lines.append(f'<text class="{kind}" x="{at}" y="36">{name}</text>')
        at += 12 + 6 * len(name)
    return "\n".join(lines)


def draw(diagrams):
    """`diagrams`: titles, and for each its curves."""
    width = WIDTH * len(diagrams)
    drawn = "\n".join(diagram(number, title, curves) for number, (title, curves) in enumerate(diagrams.items()))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}">\n'
            f"{STYLE}\n{drawn}\n</svg>\n")

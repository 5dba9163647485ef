"""What a panel shows: marks and intervals, read back from the drawn collections."""

from dataclasses import dataclass

from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.markers import MarkerStyle

from flanlib.figures.marks import TICK


def _outline(marker):
    style = MarkerStyle(marker)
    return style.get_path().transformed(style.get_transform()).vertices.tobytes()


MARKERS = {_outline(TICK if name == "|" else name): name for name in "oDs^v*P<X>|"}


@dataclass(frozen=True)
class Drawn:
    """A mark: its place, shape, size in points, colour, and width of its edge."""

    x: float
    y: float
    marker: str
    size: float
    fill: str
    edge: float


def marks(ax):
    """All marks of a panel, small ones of datasets too."""
    found = []
    for part in ax.collections:
        if isinstance(part, PathCollection):
            paths, fills = part.get_paths(), part.get_facecolors()
            sizes, edges = part.get_sizes(), part.get_linewidths()
            for n, (x, y) in enumerate(part.get_offsets().tolist()):
                fill = to_hex(fills[n % len(fills)]) if len(fills) else "none"
                marker = MARKERS[paths[n % len(paths)].vertices.tobytes()]
                size, edge = sizes[n % len(sizes)] ** 0.5, edges[n % len(edges)]
                found.append(Drawn(x, y, marker, round(float(size), 3), fill, float(edge)))
    return found


def large(ax, marker=""):
    """Places of the marks of values, all or those of one shape, from left to right."""
    return sorted(
        (m.x, m.y) for m in marks(ax) if m.size > 3 and m.marker in (marker or MARKERS.values())
    )


def spans(ax):
    """Ends of the intervals drawn."""
    parts = [part for part in ax.collections if isinstance(part, LineCollection)]
    lines = [segment for part in parts for segment in part.get_segments()]
    upright = [tuple(y) for x, y in (line.T.tolist() for line in lines) if x[0] == x[1]]
    return upright or [tuple(x) for x, _ in (line.T.tolist() for line in lines)]

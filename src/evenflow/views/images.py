"""Images that a notebook keeps: a picture as an indexed PNG, a curve as an SVG, as data URIs.

`<img>` with a data URI is what every notebook shows, trusted or not; inline SVG and style sheets
are taken out of an untrusted one (JupyterLab) and on GitHub.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import numpy.typing as npt

from .palette import palette
from .pulse import heights
from .pyramid import MISSING, Codes

BLUE = "#3b82c4"  # read on white and on black


def png(codes: Codes) -> bytes:
    """[R, K] codes as a PNG of K x R pixels; what was not measured is transparent."""
    rows, columns = codes.shape
    head = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)  # 8 bits, by palette
    clear = bytes(255 if code != MISSING else 0 for code in range(256))
    lines = np.zeros((rows, columns + 1), np.uint8)  # each begins with its filter: none
    lines[:, 1:] = codes
    parts = (
        *((b"IHDR", head), (b"PLTE", palette().tobytes()), (b"tRNS", clear)),
        *((b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")),
    )
    out = b"\x89PNG\r\n\x1a\n"
    for name, data in parts:
        out += struct.pack(">I", len(data)) + name + data
        out += struct.pack(">I", zlib.crc32(name + data))
    return out


def picture_uri(codes: Codes, width: int, height: int) -> tuple[str, int, int]:
    """A data URI, and its size in pixels: each cell a whole number of them, about so many in all.
    Enlarged here, as not every notebook keeps `image-rendering: pixelated`."""
    rows, columns = codes.shape
    across, down = max(1, width // columns), max(2, min(14, height // rows))
    large = np.repeat(np.repeat(codes, down, axis=0), across, axis=1)
    text = base64.b64encode(png(large)).decode()
    return f"data:image/png;base64,{text}", columns * across, rows * down


def curve_uri(losses: npt.NDArray[np.float64], width: int, height: int) -> str:
    """A curve as a data URI; stretches that are not finite are gaps."""
    places = heights(losses, width // 2)
    step = width / max(len(places), 1)
    pieces: list[list[str]] = [[]]
    for i, place in enumerate(places.tolist()):
        if np.isfinite(place):
            y = 2 + (height - 4) * (1 - place)
            pieces[-1].append(f"{(i + 0.5) * step:.1f},{y:.1f}")
        elif pieces[-1]:
            pieces.append([])
    style = f'fill="none" stroke="{BLUE}" stroke-width="1.5" stroke-linecap="round"'
    drawn = "".join(f'<polyline points="{" ".join([*p, p[-1]])}" {style}/>' for p in pieces if p)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">{drawn}</svg>'
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"

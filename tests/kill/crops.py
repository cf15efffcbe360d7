"""Small crops of the pinned photos, as PNG. Standard library only, so that the test needs no packages."""

import struct
import zlib

WIDTH, HEIGHT, STEP = 96, 64, 3
SOURCES = ("chelsea.png", "coffee.png", "astronaut.png")
PLACES = ((30, 20), (140, 90))  # of the crops' corners, in pixels of the source


def read_png(path):
    """Rows of RGB bytes of an 8-bit RGB PNG without interlacing."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", body)
            if (depth, colour, interlace) != (8, 2, 0):
                raise ValueError(f"{path}: expected 8-bit RGB without interlacing")
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    raw, rows, before = zlib.decompress(packed), [], bytearray(3 * width)
    for y in range(height):
        kind = raw[y * (3 * width + 1)]
        row = bytearray(raw[y * (3 * width + 1) + 1:(y + 1) * (3 * width + 1)])
        unfilter(kind, row, before)
        rows.append(row)
        before = row
    return rows


def unfilter(kind, row, before):
    """PNG, clause 9: the types are none, sub, up, average, Paeth."""
    for i in range(len(row) if kind else 0):
        left = row[i - 3] if i >= 3 else 0
        above, corner = before[i], before[i - 3] if i >= 3 else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = above
        elif kind == 3:
            guess = (left + above) // 2
        else:
            a, b, c = abs(above - corner), abs(left - corner), abs(left + above - 2 * corner)
            guess = left if a <= b and a <= c else above if b <= c else corner
        row[i] = (row[i] + guess) & 255


def write_png(path, rows):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    head = struct.pack(">IIBBBBB", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def write_crops(photos, paths):
    """One crop a path, every third pixel of a source."""
    sources = [read_png(photos / name) for name in SOURCES]
    for number, path in enumerate(paths):
        rows, (left, top) = sources[number % len(sources)], PLACES[number // len(sources)]
        crop = []
        for y in range(HEIGHT):
            row = rows[top + y * STEP]
            crop.append(b"".join(bytes(row[3 * x:3 * x + 3]) for x in range(left, left + WIDTH * STEP, STEP)))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, crop)

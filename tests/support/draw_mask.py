"""Draws an 8-bit PNG of labels as samples/embed draws them: letters, # where a label is not 0."""
import struct
import sys
import zlib

COLUMNS = 72


def paeth(left, up, corner):
    near = [(abs(up - corner), 0, left), (abs(left - corner), 1, up), (abs(left + up - 2 * corner), 2, corner)]
    return min(near)[2]


def read(path):
    data = open(path, "rb").read()
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert depth == 8 and colour in (0, 3), "expected one byte a pixel"
        if kind == b"IDAT":
            packed += body
        at += length + 12
    raw, above, rows = zlib.decompress(packed), bytes(width), []
    for y in range(height):
        how, line = raw[y * (width + 1)], bytearray(raw[y * (width + 1) + 1:(y + 1) * (width + 1)])
        for x in range(width):
            left, up, corner = (line[x - 1], above[x], above[x - 1]) if x else (0, above[x], 0)
            line[x] = line[x] + (0, left, up, (left + up) // 2, paeth(left, up, corner))[how] & 255
        rows.append(line)
        above = line
    return width, height, rows


width, height, rows = read(sys.argv[1])
lines = height * COLUMNS // width // 2 or 1
for line in range(lines):
    row = rows[line * height // lines]
    print("".join("#" if row[column * width // COLUMNS] else "." for column in range(COLUMNS)))

"""Compresses the bytes of text files the way that readers know by the file's extension.

The same bytes always become the same bytes. Parquet compresses itself; see ``files``.
"""

import bz2
import struct
import zlib
from typing import Final, assert_never

import cramjam
from lzallright import LZOCompressor

from simulator.logstore.shipper_settings import Compression

_GZIP_WINDOW: Final = 31
"""A gzip header (zlib writes it without name and with time 0) around the widest window."""

_SNAPPY_BUFFER: Final = 256 * 1024
_SNAPPY_BLOCK: Final = _SNAPPY_BUFFER - (_SNAPPY_BUFFER // 6 + 32)
"""What Hadoop compresses at a time: what does not get smaller still fits its readers' buffer."""

_LZOP_MAGIC: Final = b"\x89LZO\x00\r\n\x1a\n"
_LZOP_BLOCK: Final = 256 * 1024
_LZOP_VERSIONS: Final = (0x1030, 0x2060, 0x0940)
"""Of the tool, of the LZO library, and of the tool that is needed to decompress."""
_LZOP_METHOD: Final = 1  # LZO1X-1
_LZOP_LEVEL: Final = 5
_LZOP_FLAGS: Final = 0x0300_0001  # made on Unix; each block has the Adler-32 of its plain bytes
_LZOP_MODE: Final = 0o100644


def compress(plain: bytes, compression: Compression) -> bytes:
    """``plain`` compressed; itself for NONE."""
    match compression:
        case Compression.NONE:
            return plain
        case Compression.GZIP:
            compressor = zlib.compressobj(6, zlib.DEFLATED, _GZIP_WINDOW)
            return compressor.compress(plain) + compressor.flush()
        case Compression.BZIP2:
            return bz2.compress(plain)
        case Compression.SNAPPY:
            return _snappy(plain)
        case Compression.LZOP:
            return _lzop(plain)
    assert_never(compression)


def _snappy(plain: bytes) -> bytes:
    """The blocks of Hadoop's SnappyCodec: plain length, compressed length, raw Snappy.

    Source: assumed (the vendor names the compression only): Hadoop, Spark and Hive take a file
    that ends in ``.snappy`` for this, and not for Snappy's own framing.
    """
    pieces: list[bytes] = []
    for start in range(0, len(plain), _SNAPPY_BLOCK):
        block = plain[start : start + _SNAPPY_BLOCK]
        compressed = bytes(cramjam.snappy.compress_raw(block))
        pieces += (struct.pack(">II", len(block), len(compressed)), compressed)
    return b"".join(pieces)


def _lzop(plain: bytes) -> bytes:
    """A file of the tool lzop, without a name and with time 0.

    Source: assumed (the vendor names the compression only); the format is that of lzop 1.03, which
    Hadoop's LzopCodec reads too.
    """
    header = struct.pack(
        ">HHHBBIIIIB",
        *_LZOP_VERSIONS,
        _LZOP_METHOD,
        _LZOP_LEVEL,
        _LZOP_FLAGS,
        _LZOP_MODE,
        0,  # when it was changed, low and high half
        0,
        0,  # the length of its name
    )
    pieces = [_LZOP_MAGIC, header, struct.pack(">I", zlib.adler32(header))]
    compressor = LZOCompressor()
    for start in range(0, len(plain), _LZOP_BLOCK):
        block = plain[start : start + _LZOP_BLOCK]
        compressed = compressor.compress(block)
        if len(compressed) >= len(block):
            compressed = block  # equal lengths say that it is not compressed
        pieces += (
            struct.pack(">III", len(block), len(compressed), zlib.adler32(block)),
            compressed,
        )
    pieces.append(b"\0\0\0\0")
    return b"".join(pieces)

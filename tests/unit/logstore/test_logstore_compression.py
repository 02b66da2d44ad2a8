"""How shipped files are compressed, read back by the rules of the formats."""

import bz2
import gzip
import random
import struct
import zlib

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lzallright import LZOCompressor

from simulator.logstore.compression import compress
from simulator.logstore.shipper_settings import Compression

LINE = b'{"a":1}\n'
HADOOP_BUFFER = 256 * 1024
# Unpacked to LINE by lzop 1.04, and by the Hadoop reader of python-snappy 0.7.3.
PACKED = {
    Compression.LZOP: "894c5a4f000d0a1a0a103020600940010503000001000081a40000000000"
    "0000000023a7023900000008000000080a3d02137b2261223a317d0a00000000",
    Compression.SNAPPY: "000000080000000a081c7b2261223a317d0a",
    Compression.NONE: LINE.hex(),
}


def unpack_hadoop_snappy(packed: bytes) -> bytes:
    """As Hadoop's BlockDecompressorStream reads: pieces until a block has its length."""
    plain, at = bytearray(), 0
    while at < len(packed):
        (length,) = struct.unpack_from(">I", packed, at)
        at, block = at + 4, bytearray()
        while len(block) < length:
            (size,) = struct.unpack_from(">I", packed, at)
            assert size <= HADOOP_BUFFER
            block += bytes(cramjam.snappy.decompress_raw(packed[at + 4 : at + 4 + size]))
            at += 4 + size
        assert len(block) == length <= HADOOP_BUFFER
        plain += block
    return bytes(plain)


def unpack_lzop(packed: bytes) -> bytes:
    """As lzop reads a file with the Adler-32 of its plain blocks."""
    assert packed.startswith(b"\x89LZO\x00\r\n\x1a\n")
    name_length = packed[33]
    head = 34 + name_length
    flags, (checksum,) = packed[17:21], struct.unpack_from(">I", packed, head)
    assert flags == b"\x03\x00\x00\x01"
    assert zlib.adler32(packed[9:head]) == checksum
    plain, at = bytearray(), head + 4
    while (length := struct.unpack_from(">I", packed, at)[0]) != 0:
        size, adler = struct.unpack_from(">II", packed, at + 4)
        block = packed[at + 12 : at + 12 + size]
        if size < length:
            block = LZOCompressor.decompress(block, length)
        assert (len(block), zlib.adler32(block)) == (length, adler)
        plain += block
        at += 12 + size
    assert at + 4 == len(packed)
    return bytes(plain)


UNPACK = {
    Compression.NONE: bytes,
    Compression.GZIP: gzip.decompress,
    Compression.BZIP2: bz2.decompress,
    Compression.SNAPPY: unpack_hadoop_snappy,
    Compression.LZOP: unpack_lzop,
}
NOISE = random.Random(1).randbytes(600_000)
BLOCKS = [LINE * 100_000, NOISE, b"x" * 262_144, b"y" * 218_422 + b"z", NOISE[:300_000] + LINE * 9]


@pytest.mark.parametrize("compression", PACKED)
def test_files_that_other_tools_have_read(compression: Compression) -> None:
    assert compress(LINE, compression).hex() == PACKED[compression]


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("plain", BLOCKS, ids=["lines", "noise", "block", "one more", "mixed"])
def test_whole_files_come_back(plain: bytes, compression: Compression) -> None:
    packed = compress(plain, compression)
    assert UNPACK[compression](packed) == plain
    assert compress(plain, compression) == packed


@pytest.mark.parametrize("compression", [one for one in Compression if one != "none"])
def test_lines_get_smaller(compression: Compression) -> None:
    assert len(compress(LINE * 10_000, compression)) < len(LINE) * 1000


@settings(max_examples=60, deadline=None)
@given(plain=st.binary(max_size=2000), compression=st.sampled_from(Compression))
def test_any_bytes_come_back(plain: bytes, compression: Compression) -> None:
    assert UNPACK[compression](compress(plain, compression)) == plain

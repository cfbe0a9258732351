"""Small files that unpack to large ones."""

import functools
import zlib

MIB = 1024 * 1024
GIB = 1024

_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


@functools.cache
def gzip_bomb(fill: bytes) -> bytes:
    """A gzip file (RFC 1952) of 1 GiB of one character, in about 1 MiB.

    Its megabytes are packed alike, so that one of them is packed, and repeated: that takes no time.
    """
    block = fill * MIB
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    check = 0
    for _ in range(GIB):
        check = zlib.crc32(block, check)
    end = zlib.compressobj(9, wbits=-zlib.MAX_WBITS).flush()
    return _HEAD + packed * GIB + end + check.to_bytes(4, "little") + (GIB * MIB % 2**32).to_bytes(4, "little")

"""Bytes with some mistakes in them, for fuzzing."""

import random
from collections.abc import Sequence

TOKENS = (
    b"< > </ <!-- --> <table> </td> <ruby> <rt> &#xd800; &#0; \0 \xff \x1b$B \x1b(B <script> <template> <svg> <math> "
    b"<frameset> <pre> <br> ]]> <![CDATA[ <title> <meta/charset=utf-16> <meta/charset=iso-2022-jp> <plaintext> "
    b"\xef\xbb\xbf \xfe\xff \x82\xa0 \xe3\x81\x82 <select> <option> <html/lang=ja> =\"' "
    b"\x1f\x8b\x08 WARC/1.0\r\n \r\n\r\n"
).split(b" ")


def mutated(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 2, 5, 20))):
        at = chance.randrange(len(changed) + 1)
        other = chance.choice((changed, chance.choice(others)))
        start = chance.randrange(len(other) + 1)
        match chance.randrange(5):
            case 0:
                changed[at : at + 1] = chance.randbytes(1)
            case 1:
                changed[at:at] = chance.choice(TOKENS) * chance.choice((1, 1, 3, 200))
            case 2:
                del changed[at : at + chance.randrange(300)]
            case 3:
                changed[at:at] = other[start : start + chance.randrange(500)]
            case _:
                changed[at:at] = chance.randbytes(chance.randrange(20))
    return bytes(changed)

"""Makes src/text/entities.txt: HTML's names of characters, from Python's table of them.

    python tools/make_entities.py            # from the root of the repository

A line has a name and its code points in hexadecimal. What stands before a name:

&  browsers take it without a semicolon, too
^  no name of HTML's: one in capitals, which ftfy takes for the capital of what it is in small letters; only where there is a
   capital, and where Python finds nothing that HTML knows in it
"""

import html
from html.entities import html5
from pathlib import Path

lines = {}
for name, text in html5.items():
    if name.endswith(";"):
        plain = name[:-1]
        assert html5.get(plain) in (None, text)
        lines[plain] = "&" * (plain in html5), text
        whole = f"&{plain.upper()};"
        if plain == plain.lower() and text != text.upper() and html.unescape(whole) == whole:
            lines[plain.upper()] = "^", text.upper()
text = "".join(f"{mark}{name} {' '.join(f'{ord(c):X}' for c in text)}\n" for name, (mark, text) in sorted(lines.items()))
(Path(__file__).resolve().parent.parent / "src" / "text" / "entities.txt").write_text(text)

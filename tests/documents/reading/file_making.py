"""Small files of every format, made for tests."""

from __future__ import annotations

import hashlib
import io
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl

if TYPE_CHECKING:
    from m1desk.documents.values import ReadResult

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "tools" / "demo_model"))

from make_samples import pdf as text_pdf  # noqa: E402
from make_samples import write_docx  # noqa: E402

PAGE_BREAK = "\n=== page ===\n"
"""What parts the pages in the sources of the samples."""
SAMPLES = ROOT / "resources" / "samples"
PARAGRAPH = "The notice period is 45 days; the monthly fee is EUR 4,850. R&D costs <extra>."
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_PAD = b"\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a"  # noqa: E501


def zipped(parts: Mapping[str, str | bytes], *, first: str = "") -> bytes:
    """A zip file of parts; `first` is stored unpacked before the others."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        if first:
            archive.writestr("mimetype", first, zipfile.ZIP_STORED)
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(entries: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for info, data in entries:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def docx(*pages: str) -> bytes:
    file = io.BytesIO()
    write_docx(file, list(pages))  # type: ignore[arg-type]  # it takes what zipfile takes
    return file.getvalue()


def docx_of(body: str, **parts: str) -> bytes:
    """A Word document of this XML in its body, and further parts by their names in word/."""
    document = (
        f'<w:document xmlns:w="{_WORD}" xmlns:mc="urn:mc"><w:body>{body}</w:body></w:document>'
    )
    more = {
        f"word/{name}.xml": f'<w:x xmlns:w="{_WORD}">{text}</w:x>' for name, text in parts.items()
    }
    return zipped({"[Content_Types].xml": "<Types/>", "word/document.xml": document, **more})


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def xlsx(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def pptx(*slides: str) -> bytes:
    """A presentation, its slides stored in the opposite of the order they are shown in."""
    ids = "".join(f'<p:sldId r:id="r{n}"/>' for n in range(len(slides)))
    names = "urn:r"
    parts = {
        "[Content_Types].xml": "<Types/>",
        "ppt/presentation.xml": f'<p:presentation xmlns:p="urn:p" xmlns:r="{names}">'
        f"<p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": "<Relationships>"
        + "".join(
            f'<Relationship Id="r{n}" Target="slides/slide{len(slides) - n}.xml"/>'
            for n in range(len(slides))
        )
        + "</Relationships>",
    }
    for n, text in enumerate(slides):
        shape = (
            '<p:sp><p:nvSpPr><p:nvPr><p:ph type="title"/></p:nvPr></p:nvSpPr><p:txBody><a:p><a:r>'
            f"<a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
        )
        parts[f"ppt/slides/slide{len(slides) - n}.xml"] = (
            f'<p:sld xmlns:p="urn:p" xmlns:a="urn:a"><p:cSld>{shape}</p:cSld></p:sld>'
        )
    return zipped(parts)


def odt(*pages: str) -> bytes:
    """An OpenDocument text; each page's first paragraph begins it by its style."""
    body = "".join(
        f'<text:p text:style-name="{"B" if number else "A"}">{text}</text:p>'
        for number, text in enumerate(pages)
    )
    return odt_of(body)


def odt_of(body: str) -> bytes:
    """An OpenDocument text of this XML in its body."""
    content = (
        '<office:document-content xmlns:office="urn:o" xmlns:text="urn:t" xmlns:style="urn:s" '
        'xmlns:fo="urn:f" xmlns:table="urn:b"><office:automatic-styles><style:style style:name="B">'
        '<style:paragraph-properties fo:break-before="page"/></style:style>'
        f"</office:automatic-styles><office:body><office:text>{body}</office:text></office:body>"
        "</office:document-content>"
    )
    return zipped({"content.xml": content}, first="application/vnd.oasis.opendocument.text")


def epub(*chapters: str) -> bytes:
    """An e-book whose spine is not in the order of its list of parts."""
    items = "".join(
        f'<item id="c{n}" href="text/c{n}.xhtml"/>' for n in reversed(range(len(chapters)))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    parts = {
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="O/book.opf"/>'
        "</rootfiles></container>",
        "O/book.opf": f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>",
    }
    for n, text in enumerate(chapters):
        parts[f"O/text/c{n}.xhtml"] = (
            f"<html><head><title>Chapter {n + 1}</title></head><body><p>{text}</p></body></html>"
        )
    return zipped(parts, first="application/epub+zip")


def html(text: str) -> bytes:
    return (
        "<!doctype html><html><head><title>A page</title><script>var hidden = 1;</script>"
        '<link rel="stylesheet" href="http://127.0.0.1:9/a.css"></head><body><h1>Heading</h1>'
        f'<p>{text}</p><img src="http://127.0.0.1:9/a.png"><ul><li>one<li>two</ul>'
        "<table><tr><th>Item<th>Price</tr><tr><td>Rent<td>1,200</tr></table></body></html>"
    ).encode()


def raw_pdf(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """A PDF of these objects; the first is the catalogue."""
    data, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer\n<< /Size %d /Root 1 0 R %s >>\n" % (len(objects) + 1, trailer)
    return data + b"startxref\n%d\n%%%%EOF\n" % start


def _stream(head: bytes, data: bytes) -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (head, len(data), data)


def scanned_pdf(pages: int = 2, *, text_on_last: str = "") -> bytes:
    """Pages that are pictures, but for the last one when it has text, and a blank one after."""
    picture = _stream(
        b"/Type /XObject /Subtype /Image /Width 64 /Height 64 /ColorSpace /DeviceGray "
        b"/BitsPerComponent 8 /Filter /FlateDecode",
        zlib.compress(bytes(range(64)) * 64),
    )
    draw = _stream(b"", b"q 500 0 0 700 40 40 cm /I Do Q")
    write = _stream(b"", f"BT /F 12 Tf 60 700 Td ({text_on_last}) Tj ET".encode())
    contents = [6] * pages + ([7] if text_on_last else []) + [8]
    kids = " ".join(f"{9 + n} 0 R" for n in range(len(contents)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>".encode(),
        b"<< /Font << /F 4 0 R >> /XObject << /I 5 0 R >> >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        picture,
        draw,
        write,
        _stream(b"", b""),
    ]
    objects += [
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources 3 0 R /Contents %d 0 R >>"
        % content
        for content in contents
    ]
    return raw_pdf(objects)


def locked_pdf(password: bytes = b"secret") -> bytes:
    """A PDF that opens with a password only (standard security handler, revision 2)."""
    padded = (password + _PAD)[:32]
    owner = _rc4(hashlib.md5(padded).digest()[:5], padded)
    rights, name = struct.pack("<i", -4), b"0123456789abcdef"
    key = hashlib.md5(padded + owner + rights + name).digest()[:5]
    user = _rc4(key, _PAD)
    encrypt = b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
        encrypt % (owner.hex().encode(), user.hex().encode()),
    ]
    hexed = name.hex().encode()
    return raw_pdf(objects, b"/Encrypt 4 0 R /ID [<%s> <%s>]" % (hexed, hexed))


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    result, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        result.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(result)


def compound_file(streams: Mapping[str, bytes]) -> bytes:
    """A compound file (MS-CFB); streams are by path, and padded with zeros to 4096 bytes."""
    tree: dict[str, list[str]] = {"": []}
    for path in streams:
        parts = path.split("/")
        for depth in range(len(parts)):
            parent, node = "/".join(parts[:depth]), "/".join(parts[: depth + 1])
            tree.setdefault(parent, [])
            if node not in tree[parent]:
                tree[parent].append(node)
    order = ["", *(node for parent in tree for node in tree[parent])]
    index = {node: number for number, node in enumerate(order)}
    siblings = {a: b for nodes in tree.values() for a, b in pairwise(nodes)}
    directory_sectors = -(-len(order) // 4)
    fat = [0xFFFFFFFD, *_chain(1, directory_sectors)]
    body, entries = b"", b""
    for node in order:
        start, size = 0xFFFFFFFE, 0
        if node in streams:
            data = streams[node].ljust(4096, b"\0")
            size, start = len(data), len(fat)
            data += b"\0" * (-len(data) % 512)
            body += data
            fat += _chain(start, len(data) // 512)
        name = (node.rpartition("/")[2] or "Root Entry").encode("utf-16-le") + b"\0\0"
        kind = 5 if not node else 2 if node in streams else 1
        child = index[tree[node][0]] if tree.get(node) else 0xFFFFFFFF
        following = index[siblings[node]] if node in siblings else 0xFFFFFFFF
        entries += struct.pack(
            "<64sHBBIII16sI8s8sIQ", name, len(name), kind, 1, 0xFFFFFFFF, following, child,
            b"", 0, b"", b"", start, size,
        )  # fmt: skip
    entries += b"\0" * (-len(entries) % 512)
    assert len(fat) <= 128, "one sector of the table is all this writes"
    table = struct.pack("<128I", *fat, *[0xFFFFFFFF] * (128 - len(fat)))
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6,
        b"", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0, 0,
    )  # fmt: skip
    return header + b"\xff" * (512 - len(header)) + table + entries + body


def _chain(start: int, length: int) -> list[int]:
    return [*range(start + 1, start + length), 0xFFFFFFFE]


def msg(subject: str, body: str, attachments: Mapping[str, bytes]) -> bytes:
    """A mail of Outlook's."""
    streams = {
        "__properties_version1.0": b"\0" * 32,
        "__substg1.0_0037001F": subject.encode("utf-16-le"),
        "__substg1.0_1000001F": body.encode("utf-16-le"),
        "__substg1.0_0C1A001F": "Ingrid Solberg".encode("utf-16-le"),
        "__substg1.0_0E04001F": "All staff".encode("utf-16-le"),
    }
    for number, (name, data) in enumerate(attachments.items()):
        folder = f"__attach_version1.0_#{number:08X}"
        streams[f"{folder}/__substg1.0_3707001F"] = name.encode("utf-16-le")
        streams[f"{folder}/__substg1.0_37010102"] = data.ljust(4096, b" ")
    return compound_file(streams)


MAIL = """\
From: Ingrid Solberg <ingrid@brightwater.example>
To: All staff <all@brightwater.example>
Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=
Date: Tue, 11 May 2027 09:40:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: multipart/alternative; boundary="c"

--c
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

The Gr=F6=DFe is 12.
--c
Content-Type: text/html; charset=utf-8

<p>The <b>HTML</b> form</p>
--c--
--b
Content-Type: text/csv; name="prices.csv"
Content-Disposition: attachment; filename="../../prices.csv"

item,price
rent,1200
--b--
"""


def every_format() -> dict[str, bytes]:
    """One small file of every format that is read; each says PARAGRAPH."""
    safe = PARAGRAPH.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {
        "a.pdf": text_pdf([PARAGRAPH, "Page two"]),
        "a.docx": docx(PARAGRAPH, "Page two"),
        "a.pptx": pptx(safe, "Slide two"),
        "a.xlsx": xlsx({"First": [[PARAGRAPH]], "Second": [["two"]]}),
        "a.odt": odt(safe, "Page two"),
        "a.html": html(safe),
        "a.epub": epub(safe, "Chapter two"),
        "a.md": f"# Heading\n\n{PARAGRAPH}\n".encode(),
        "a.txt": PARAGRAPH.encode(),
        "a.csv": f"name,text\none,{PARAGRAPH}\n".encode(),
        "a.json": f'{{"text": "{PARAGRAPH}"}}'.encode(),
        "a.py": f"print('{PARAGRAPH}')\n".encode(),
        "a.eml": MAIL.replace("The Gr=F6=DFe", PARAGRAPH).encode(),
        "a.mbox": f"From a@b Tue May 11 09:40:00 2027\nSubject: one\n\n{PARAGRAPH}\n".encode(),
        "a.msg": msg("A subject", PARAGRAPH, {"note.txt": b"attached"}),
        "a.zip": zipped({"inside/a.txt": PARAGRAPH}),
        "a.tar.gz": tarred([(tarfile.TarInfo("inside/a.txt"), PARAGRAPH.encode())]),
    }


def text_of(result: ReadResult) -> str:
    """All pages of a result that was read, parted by form feeds."""
    assert result.document is not None, result.report
    return "\f".join(page.text for page in result.document.pages)

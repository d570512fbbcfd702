"""Results as a Word document, written from the report's Markdown.

Python's own zipfile does it: python-docx would bring lxml, for some ten kinds of elements.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from m1desk.jobs.exports.docx_body import WordBody
from m1desk.jobs.exports.plain import storable
from m1desk.jobs.exports.report import report_parts
from m1desk.jobs.results import result_table

if TYPE_CHECKING:
    from m1desk.jobs.values import JobResults

_WORD: Final = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MOST_UPRIGHT: Final = 4
"""Columns of a table on an upright page; more are laid across."""

_CONTENT_TYPES: Final = (
    f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/word/document.xml" ContentType="{_TYPE}.document.main+xml"/>'
    f'<Override PartName="/word/styles.xml" ContentType="{_TYPE}.styles+xml"/>'
    '<Override PartName="/docProps/core.xml" '
    'ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>'
)
_RELATIONSHIPS: Final = (
    f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="word/document.xml"/>'
    f'<Relationship Id="rId2" Type="{_PACKAGE}/relationships/metadata/core-properties" '
    'Target="docProps/core.xml"/></Relationships>'
)
_WORD_RELATIONSHIPS: Final = (
    f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>'
)


def as_docx(results: JobResults) -> bytes:
    """Write the report as a Word document."""
    body = WordBody()
    for part in report_parts(results):
        markdowns = [part] if isinstance(part, str) else [part.head, part.answer, part.check]
        for markdown in markdowns:
            body.add(storable(markdown))
    table = result_table(results)
    is_wide = table.is_by_document and len(table.columns) >= _MOST_UPRIGHT
    parts = {
        "[Content_Types].xml": _CONTENT_TYPES,
        "_rels/.rels": _RELATIONSHIPS,
        "docProps/core.xml": _properties(storable(results.job.summary.title)),
        "word/_rels/document.xml.rels": _WORD_RELATIONSHIPS,
        "word/document.xml": _document(body.xml, is_wide=is_wide),
        "word/styles.xml": _styles(),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, _HEAD + content)
    return file.getvalue()


def _document(body: str, *, is_wide: bool) -> str:
    """Wrap the body; sizes are in twentieths of a point: A4 with margins of 2 cm."""
    size = '<w:pgSz w:w="11906" w:h="16838"/>'
    if is_wide:
        size = '<w:pgSz w:w="16838" w:h="11906" w:orient="landscape"/>'
    margins = " ".join(f'w:{side}="1134"' for side in ("top", "right", "bottom", "left"))
    page = f'<w:sectPr>{size}<w:pgMar {margins} w:header="567" w:footer="567" w:gutter="0"/>'
    return f'<w:document xmlns:w="{_WORD}"><w:body>{body}{page}</w:sectPr></w:body></w:document>'


def _properties(title: str) -> str:
    names = f'xmlns:cp="{_PACKAGE}/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    return (
        f"<cp:coreProperties {names}><dc:title>{escape(title)}</dc:title>"
        "<dc:creator>M1 Desk</dc:creator></cp:coreProperties>"
    )


def _styles() -> str:
    """Define the styles that `WordBody` names; sizes of letters are in half points."""
    headings = "".join(
        _style(
            f"Heading{level}", f"heading {level}",
            f'<w:pPr><w:keepNext/><w:spacing w:before="{240 if level < 4 else 120}" w:after="80"/>'
            f'<w:outlineLvl w:val="{level - 1}"/></w:pPr>'
            f'<w:rPr><w:b/><w:sz w:val="{size}"/></w:rPr>',
        )
        for level, size in enumerate((36, 30, 26, 24, 22, 22), 1)
    )  # fmt: skip
    quote = '<w:pPr><w:ind w:left="567"/></w:pPr><w:rPr><w:color w:val="444444"/></w:rPr>'
    code = (
        '<w:rPr><w:rFonts w:ascii="Courier New" w:hAnsi="Courier New"/><w:sz w:val="18"/></w:rPr>'
    )
    return (
        f'<w:styles xmlns:w="{_WORD}"><w:docDefaults><w:rPrDefault><w:rPr>'
        '<w:rFonts w:ascii="Calibri" w:hAnsi="Calibri" w:cs="Calibri"/><w:sz w:val="21"/>'
        "</w:rPr></w:rPrDefault><w:pPrDefault><w:pPr>"
        '<w:spacing w:after="100" w:line="264" w:lineRule="auto"/></w:pPr></w:pPrDefault>'
        '</w:docDefaults><w:style w:type="paragraph" w:default="1" w:styleId="Normal">'
        '<w:name w:val="Normal"/></w:style>'
        f"{headings}{_style('Quote', 'Quote', quote)}{_style('Code', 'Code', code)}</w:styles>"
    )


def _style(identifier: str, name: str, properties: str) -> str:
    return (
        f'<w:style w:type="paragraph" w:styleId="{identifier}"><w:name w:val="{name}"/>'
        f'<w:basedOn w:val="Normal"/><w:qFormat/>{properties}</w:style>'
    )

"""The frame of a report page: head, style, and nothing that comes from elsewhere."""

from __future__ import annotations

from bigunet.report.markup import Markup, element, joined

_LIGHT = (
    "--paper:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--box:#f6f8fa;--bar:#0072b2;"
    "--read:#56b4e9;--wait:#c3c9d0;--compute:#0072b2;--write:#e69f00;--idle:#eef1f4;"
    "--range:#b34700;--warn:#9a3412"
)
_DARK = (
    "--paper:#14171a;--ink:#e6e9ec;--soft:#a2abb4;--line:#3a424b;--box:#1d2126;--bar:#58a6dc;"
    "--read:#8fd0f7;--wait:#6b747e;--compute:#3d8fd1;--write:#f0b429;--idle:#23282e;"
    "--range:#ff9d5c;--warn:#ffb38a"
)
_RULES = """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);line-height:1.5;
 font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:68rem;margin:0 auto;padding:1rem}
h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2rem 0 .5rem;padding-top:.5rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1rem 0 .25rem}
p{margin:.5rem 0;max-width:46rem;overflow-wrap:anywhere}
.lead{font-size:1.1rem}
.soft,figcaption{color:var(--soft)}
figcaption{font-size:.9rem;margin-top:.25rem;overflow-wrap:anywhere}
figure{margin:1rem 0;min-width:0}
img,svg{max-width:100%;height:auto;display:block}
.sharp{image-rendering:pixelated}
img+svg{margin-top:.5rem}
.pair{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:.5rem;max-width:48rem}
.pair img{width:100%}
.zooms{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));
 gap:0 1.5rem}
.chart{width:100%;max-width:38rem}
.wide{overflow-x:auto}
.wide svg{min-width:42rem}
.note{border-left:4px solid var(--warn);background:var(--box);padding:.5rem .75rem;
 margin:.75rem 0;overflow-wrap:anywhere}
table{border-collapse:collapse;margin:.5rem 0;max-width:100%}
th,td{text-align:left;padding:.25rem .75rem .25rem 0;vertical-align:baseline;
 border-bottom:1px solid var(--line);overflow-wrap:anywhere}
td:first-child,th:first-child{min-width:8rem}
td.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td.bar{width:40%;min-width:3rem}
.fill{display:block;height:.8rem;background:var(--bar);min-width:1px}
.swatch{display:inline-block;width:.9rem;height:.9rem;border:1px solid var(--soft);
 margin-right:.4rem;vertical-align:-.1rem}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1rem;padding:0;margin:.5rem 0;list-style:none}
dl{display:grid;grid-template-columns:minmax(7rem,max-content) minmax(0,1fr);gap:.25rem 1rem;
 margin:.5rem 0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
pre{background:var(--box);border:1px solid var(--line);padding:.75rem;white-space:pre-wrap;
 overflow-wrap:anywhere;font-size:.9rem}
svg text{fill:var(--ink);font:12px system-ui,"DejaVu Sans",sans-serif}
svg .soft{fill:var(--soft)}
svg .axis{stroke:var(--soft);fill:none}
svg .bars{fill:var(--bar)}
svg .read,.swatch.read{fill:var(--read);background:var(--read)}
svg .wait,.swatch.wait{fill:var(--wait);background:var(--wait)}
svg .compute,.swatch.compute{fill:var(--compute);background:var(--compute)}
svg .write,.swatch.write{fill:var(--write);background:var(--write)}
svg .idle,.swatch.idle{fill:var(--idle);background:var(--idle)}
svg .range{stroke:var(--range);stroke-width:2;fill:none}
svg .inside{fill:var(--range);opacity:.14}
svg text.ends{fill:var(--range);font-weight:600}
svg .cut{stroke:var(--ink);stroke-dasharray:4 3}
@media (max-width:30rem){dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:.5rem}}
@media print{main{max-width:none;padding:0}h2{break-after:avoid}
 figure,tr,.note,pre{break-inside:avoid}.wide{overflow:visible}.wide svg{min-width:0}
 .zooms{grid-template-columns:1fr 1fr}
 *{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""
_STYLE = Markup(
    f":root{{color-scheme:light dark;{_LIGHT}}}"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}{_RULES}"
)


def page(title: str, *children: object) -> str:
    """A whole page that needs no other file, and that no script or other server can change."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; img-src data:; style-src 'unsafe-inline'",
        ),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", _STYLE),
    )
    body = element("body", element("main", *children))
    return joined(Markup("<!DOCTYPE html>\n"), element("html", head, body, lang="en"), "\n")

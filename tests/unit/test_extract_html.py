"""Visible and hidden text, and links, as a mail reader shows them."""

import pytest

from model.extracted import Limits
from model.html import Page, read_html


def read(html: str) -> Page:
    return read_html(html, Limits())


@pytest.mark.parametrize(
    "html",
    [
        "<p style='display:none'>secret</p>",
        "<p style='DISPLAY : NONE !important'>secret</p>",
        "<p style='d\\69splay:none'>secret</p>",
        "<p style='dis/**/play:none;display:/*x*/none'>secret</p>",
        "<p style='visibility:hidden'>secret</p>",
        "<p style='font-size:0'>secret</p>",
        "<p style='font-size:1px'>secret</p>",
        "<p style='font:0/0 a'>secret</p>",
        "<p style='opacity:0'>secret</p>",
        "<p style='color:#fff'>secret</p>",
        "<p style='color:#FEFEFE'>secret</p>",
        "<font color=white>secret</font>",
        "<p style='color:rgba(0,0,0,0)'>secret</p>",
        "<p style='color:transparent'>secret</p>",
        "<td bgcolor=black><font color='#000'>secret</font></td>",
        "<div style='background:#123456'><span style='color:rgb(18,52,86)'>secret</span></div>",
        "<p style='position:absolute;left:-9999px'>secret</p>",
        "<p style='text-indent:-9999px'>secret</p>",
        "<p style='max-height:0;overflow:hidden'>secret</p>",
        "<p style='height:0;width:0;overflow:hidden'>secret</p>",
        "<p style='position:absolute;clip:rect(0 0 0 0)'>secret</p>".replace("0 0 0 0", "0,0,0,0"),
        "<p style='transform:scale(0)'>secret</p>",
        "<p hidden>secret</p>",
        "<style>.x{display:none}</style><p class='a x'>secret</p>",
        "<style>p.x,#y{visibility:hidden}</style><p class=x>secret</p>",
        "<style>@media screen{p{color:red}} #y{font-size:0px}</style><p id=y>secret</p>",
        "<div style='display:none'><div><div style='display:block'>secret</div></div></div>",
        "<div style='font-size:0'><b>secret</b></div>",
    ],
)
def test_hidden_text_is_kept_apart(html: str) -> None:
    page = read(f"<body><p>shown</p><table><tr>{html}</table>" if html.startswith("<td") else f"<p>shown</p>{html}")

    assert page.text == "shown"
    assert page.hidden == "secret"


@pytest.mark.parametrize(
    "html",
    [
        "<p>here</p>",
        "<p style='color:#000'>here</p>",
        "<div style='background:#000'><p style='color:#fff'>here</p></div>",
        "<div style='background-image:url(x.png)'><p style='color:#fff'>here</p></div>",
        "<table background=x.png><tr><td><font color=white>here</font></table>",
        "<td style='font-size:0'><span style='font-size:14px'>here</span></td>",
        "<div style='visibility:hidden'><p style='visibility:visible'>here</p></div>",
        "<style>@media (max-width:600px){.x{display:none}}</style><p class=x>here</p>",
        "<style>.y{display:none}</style><p class=x>here</p>",
        "<p style='max-height:0'>here</p>",
        "<p style='opacity:0.9'>here</p>",
        "<p style='line-height:0'>here</p>",
        "<!--[if !mso]><!--><a href=//a.example style='mso-hide:all'>here</a><!--<![endif]-->",
        "<style>.x{display:none}</style><p class=x style='display:block'>here</p>",
        "<p style='margin-top:-20px;left:-5px'>here</p>",
        "<p style='color:nonsense;font-size:big'>here</p>",
    ],
)
def test_what_a_reader_sees_is_not_called_hidden(html: str) -> None:
    page = read(html)

    assert page.text == "here"
    assert page.hidden == ""


@pytest.mark.parametrize(
    "html",
    [
        "<title>no</title>",
        "<script>no</script>",
        "<style>no</style>",
        "<!-- no -->",
        "<template>no</template>",
        "<head><meta name=a content=no></head>",
    ],
)
def test_what_is_no_content_is_neither_visible_nor_hidden(html: str) -> None:
    page = read(f"{html}<p>yes</p>")

    assert (page.text, page.hidden) == ("yes", "")


def test_blocks_are_lines_and_cells_are_words() -> None:
    page = read("<h1>Your\n order</h1><table><tr><td>Tea<td>3 EUR<tr><td>Sum</table>line<br>end<ul><li>a<li>b</ul>")

    assert page.text == "Your order\nTea 3 EUR\nSum\nline\nend\na\nb"


def test_the_filler_behind_a_preheader_is_dropped() -> None:
    page = read(f"<div style='display:none'>Save now {'&#847;&zwnj;&nbsp;' * 100}</div><p>Hello")

    assert page.hidden == "Save now"


@pytest.mark.parametrize(
    ("html", "kind", "href", "shown"),
    [
        ("<a href='HTTPS://Shop.example/a b'>Go <b>here</b></a>", "anchor", "https://shop.example/a b", "Go here"),
        ("<a href=' ht\ntp://x.example\t/p '>x</a>", "anchor", "http://x.example/p", "x"),
        ("<map><area href='//x.example/m' alt=map></map>", "area", "http://x.example/m", "map"),
        ("<form action='http:\\\\x.example\\post'></form>", "form", "http://x.example/post", ""),
        ("<img src=https://cdn.example/i.png alt=Logo>", "image", "https://cdn.example/i.png", "Logo"),
        ("<td background=http://x.example/b.png>x", "style", "http://x.example/b.png", ""),
        ("<p style='background:url(\"http://x.example/c.png\")'>x", "style", "http://x.example/c.png", ""),
        ("<iframe src=http://x.example/f></iframe>", "frame", "http://x.example/f", ""),
        ("<meta http-equiv=refresh content='0; url=http://x.example/r'>", "frame", "http://x.example/r", ""),
        ("<svg><a xlink:href='http://x.example/s'><text>s</text></a></svg>", "anchor", "http://x.example/s", "s"),
        ("<base href='http://base.example/d/'><a href='p.html'>x</a>", "anchor", "http://base.example/d/p.html", "x"),
        ("<a href='javascript:alert(1)'>x</a>", "anchor", "javascript:alert(1)", "x"),
        ("<a href='mailto:a@b.example'>x</a>", "anchor", "mailto:a@b.example", "x"),
        ("<a href='&#104;ttp://x.example/&amp;'>x</a>", "anchor", "http://x.example/&", "x"),
    ],
)
def test_links_are_found_wherever_html_has_them(html: str, kind: str, href: str, shown: str) -> None:
    html = f"<table><tr>{html}</table>" if html.startswith("<td") else html

    assert (kind, href, shown) in {(k.kind, k.href, k.shown) for k in read(html).links}


def test_a_link_that_nobody_sees_says_so() -> None:
    links = {
        k.href: k.hidden
        for k in read(
            "<a href=//a.example/1>seen</a><a href=//a.example/2></a><a href=//a.example/3 style='display:none'>x</a>"
            "<a href=//a.example/4><img src=cid:1></a><a href=//a.example/5><font color=white>x</font></a>"
        ).links
    }

    assert links == {f"http://a.example/{n}": n in {2, 3, 5} for n in range(1, 6)}


def test_a_picture_in_a_cell_without_font_is_seen_with_its_alternative_text() -> None:
    page = read(
        "<td style='font-size:0'><a href=//a.example><img src=http://a.example/i.png alt='Sale ends Sunday'></a></td>"
    )

    assert (page.text, page.hidden) == ("Sale ends Sunday", "")
    assert not any(link.hidden for link in page.links)


def test_a_picture_in_a_hidden_block_is_hidden() -> None:
    page = read("<div style='display:none'><img src=http://a.example/i.png alt='words'></div>x")

    assert page.text == "x"
    assert [link.hidden for link in page.links] == [True]

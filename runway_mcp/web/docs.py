"""The OpenAPI document as one page for people: nothing is loaded from anywhere, and no script runs.

The page is built as a tree of elements, so that whatever the document holds arrives as text.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any
from xml.etree.ElementTree import Element, tostring

CSS = files("runway_mcp.web").joinpath("docs.css").read_text(encoding="utf-8")
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(CSS.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_METHODS = ("get", "put", "post", "delete", "patch")
_REFERENCE = re.compile(r"#/components/(\w+)/(\w+)")

Part = Mapping[str, Any]


def page(document: Part, url: str) -> str:
    """Return the page that shows an OpenAPI document.

    Args:
        document: The document, with every reference inside it.
        url: Where the server is, without a trailing slash; for the examples.
    """
    info = document["info"]
    head = _element(
        "head",
        _element("meta", charset="utf-8"),
        _element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        _element("title", info["title"]),
        _element("style", CSS),
    )
    body = _element(
        "body",
        _element(
            "header",
            _element("h1", info["title"], " ", _element("small", info["version"])),
            _element("p", *_prose(info["description"])),
            _element(
                "p",
                _element("a", "openapi.json", href="openapi.json"),
                " · ",
                _element("a", document["externalDocs"]["description"], href=document["externalDocs"]["url"]),
            ),
        ),
        _element("main", *_sections(document, url), _models(document)),
    )
    return "<!DOCTYPE html>\n" + tostring(_element("html", head, body, lang="en"), encoding="unicode", method="html")


def _sections(document: Part, url: str) -> Iterator[Element]:
    for tag in document["tags"]:
        yield _element("h2", tag["description"], id=tag["name"])
        for path, item in document["paths"].items():
            for method in _METHODS:
                if tag["name"] in item.get(method, {}).get("tags", ()):
                    yield _operation(document, url, path, method)


def _operation(document: Part, url: str, path: str, method: str) -> Element:
    operation, item = document["paths"][path][method], document["paths"][path]
    parameters = [_resolved(document, one) for one in (*operation.get("parameters", ()), *item.get("parameters", ()))]
    is_open = operation.get("security", document.get("security")) in (None, [])
    return _element(
        "section",
        _element("h3", _element("span", method.upper(), {"class": f"method {method}"}), " ", _element("code", path)),
        _element("p", _element("strong", operation["summary"], ". "), *_prose(operation["description"])),
        _table("Parameters", [(_parameter(one), one["description"]) for one in parameters]),
        _table("Answers", list(_answers(document, operation))),
        _element("h4", "Try it"),
        _element("pre", _element("code", _curl(url, path, method, parameters, is_open=is_open))),
        *_examples(operation),
        id=operation["operationId"],
    )


def _parameter(parameter: Part) -> str:
    return f"{parameter['name']} ({parameter['in']}{', required' if parameter.get('required') else ''})"


def _answers(document: Part, operation: Part) -> Iterator[tuple[str, str]]:
    for status, answer in operation["responses"].items():
        yield status, _resolved(document, answer)["description"]


def _curl(url: str, path: str, method: str, parameters: list[Part], *, is_open: bool) -> str:
    for one in parameters:
        path = path.replace(f"{{{one['name']}}}", str(one.get("example")))
    words = ["curl", *(["-X", method.upper()] if method != "get" else [])]
    words += [] if is_open else ['-H "Authorization: Bearer $ACCESS_TOKEN"']
    return " ".join([*words, f"'{url}{path}'"])


def _examples(operation: Part) -> Iterator[Element]:
    for status, answer in operation["responses"].items():
        for content in answer.get("content", {}).values():
            examples = content.get("examples") or {"": {"summary": "", "value": content["example"]}}
            for example in examples.values():
                title = f"Example of {status} {example['summary']}".strip()
                shown = _element("pre", _element("code", json.dumps(example["value"], indent=2)))
                yield _element("details", _element("summary", title), shown)


def _models(document: Part) -> Element:
    return _element(
        "section",
        _element("h2", "Shapes"),
        *(
            _element(
                "div",
                _element("h3", _element("code", name)),
                _element("p", schema.get("description", "")),
                _table(
                    "Fields",
                    [
                        (f"{field} ({shape.get('type', 'any')})", shape.get("description", ""))
                        for field, shape in schema["properties"].items()
                    ],
                ),
            )
            for name, schema in document["components"]["schemas"].items()
        ),
        id="shapes",
    )


def _table(title: str, rows: list[tuple[str, str]]) -> Element:
    return _element(
        "div",
        *([_element("h4", title)] if rows else []),
        _element(
            "dl",
            *(
                part
                for name, text in rows
                for part in (_element("dt", _element("code", name)), _element("dd", *_prose(text)))
            ),
            {"class": title.lower()},
        ),
    )


def _resolved(document: Part, part: Part) -> Part:
    """The part itself, or what it refers to."""
    found = _REFERENCE.fullmatch(part.get("$ref", ""))
    return document["components"][found[1]][found[2]] if found else part


def _prose(text: str) -> Iterator[Element | str]:
    """Text in which what stands between backticks is code."""
    for number, part in enumerate(text.split("`")):
        yield _element("code", part) if number % 2 else part


def _element(tag: str, *children: "Element | str | dict[str, str]", **attributes: str) -> Element:
    """An element with texts and elements in it; a dictionary holds attributes that Python has no name for."""
    element = Element(tag, attributes)
    last: Element | None = None
    for child in children:
        if isinstance(child, dict):
            element.attrib |= child
        elif not isinstance(child, str):
            element.append(child)
            last = child
        elif last is None:
            element.text = (element.text or "") + child
        else:
            last.tail = (last.tail or "") + child
    return element

"""The pages of `browse` and who may read them.

Every address begins with a secret token, so that other users and other pages in the browser can't guess it. The Host
header must name this machine, or a hostile site could point its own name here (DNS rebinding). No answer allows other
origins, and the policy of each page forbids all that isn't from here.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from swallow_spark.addresses import shown as shown_address
from swallow_spark.errors import CorpusError, printable
from swallow_spark.files.storage import is_http
from swallow_spark.report.browse import page as pages
from swallow_spark.report.browse import query, raw
from swallow_spark.report.browse.marks import KINDS, Marks
from swallow_spark.report.browse.source import ChangedCorpusError, Source, TooSlowError
from swallow_spark.report.browse.words import LANGUAGES, WORDS, preferred
from swallow_spark.report.render import clean, link

_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_MAX_FORM_BYTES: Final = 64 << 10
_MAX_PATH_CHARS: Final = 500  # Python refuses to read a number of thousands of digits
_MAX_EXCERPTS: Final = 10
_POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer, a browser's own form has the Origin "null"
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class _Guard:
    """Answers only requests of this machine's name that know the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        token = scope["path"].removeprefix("/").partition("/")[0]
        if not _is_here(headers.get("host", "")):
            await PlainTextResponse("wrong host\n", 403, _HEADERS)(scope, receive, send)
        elif not secrets.compare_digest(token.encode(), self._token.encode()):
            await PlainTextResponse("open the whole address that browse printed\n", 403, _HEADERS)(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD") and headers.get("origin") != f"http://{headers['host']}":
            await PlainTextResponse("wrong origin\n", 403, _HEADERS)(scope, receive, send)
        elif len(scope["path"]) > _MAX_PATH_CHARS:
            await PlainTextResponse("no such page\n", 404, _HEADERS)(scope, receive, send)
        else:

            async def guarded(message: Message) -> None:
                if message["type"] == "http.response.start":
                    own = {key for key, _ in message["headers"]}
                    more = [(k.encode(), v.encode()) for k, v in _HEADERS.items() if k.encode() not in own]
                    message["headers"] = [*message["headers"], *more]
                await send(message)

            await self._app(scope, receive, guarded)


def _is_here(host: str) -> bool:
    """Whether a Host header names this machine. Any port: the address may be forwarded through SSH."""
    name, _, port = host.rpartition(":") if host.rpartition(":")[2].isdigit() else (host, "", "")
    return name.lower() in _HOSTS and (not port or port.isascii())


def make_app(source: Source, marks: Marks, token: str) -> ASGIApp:
    """The web application; its only addresses begin with `/TOKEN/`."""
    browser = _Browser(source, marks, token)
    routes = [
        Route("/", browser.start),
        Route("/browse.css", browser.asset),
        Route("/browse.js", browser.asset),
        Mount(
            "/{language}",
            routes=[
                Route("/", browser.answering(browser.listing)),
                Route("/count", browser.answering(browser.count)),
                Route("/excerpts", browser.answering(browser.excerpts)),
                Route("/page/{doc_id:int}", browser.answering(browser.page)),
                Route("/page/{doc_id:int}/{way:str}", browser.answering(browser.neighbour)),
                Route("/raw/{doc_id:int}/{view:str}", browser.answering(browser.raw)),
                Route("/compare/{left:int}/{right:int}", browser.answering(browser.compare)),
                Route("/mark/{doc_id:int}", browser.mark, methods=["POST"]),
                Route("/marks", browser.answering(browser.marks_page)),
                Route("/marks/labels.jsonl", browser.answering(browser.labels)),
                Route("/marks/remove.txt", browser.answering(browser.removals)),
            ],
        ),
    ]
    return _Guard(Starlette(routes=[Mount(f"/{token}", routes=routes)]), token)


class _Browser:
    def __init__(self, source: Source, marks: Marks, token: str) -> None:
        self.source, self.marks_file, self.token = source, marks, token
        self.templates = Environment(
            loader=PackageLoader("swallow_spark.report.browse"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.filters.update(clean=clean, link=link, printable=printable, value=_value)
        assets = self.templates.loader
        assert assets
        self.assets = {
            name: assets.get_source(self.templates, name)[0].encode() for name in ("browse.css", "browse.js")
        }

    # ---- what all pages share

    def start(self, request: Request) -> Response:
        return RedirectResponse(f"/{self.token}/{preferred(request.headers.get('accept-language', ''))}/")

    def asset(self, request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        return Response(self.assets[name], media_type="text/css" if name.endswith(".css") else "text/javascript")

    def answering(self, answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """The same with a page for what may go wrong."""

        def answered(request: Request) -> Response:
            if request.path_params["language"] not in LANGUAGES:
                return PlainTextResponse("no such page\n", 404)
            try:
                return answer(request)
            except TooSlowError:
                return self._problem(request, "slow", 503)
            except (ChangedCorpusError, CorpusError) as error:
                return self._problem(request, "changed", 503, _first_line(error))

        answered.__name__ = answer.__name__
        return answered

    def _problem(self, request: Request, key: str, status: int, detail: str = "") -> Response:
        wanted = query.Filter.read(request.query_params, self.source)
        return self._render(request, "other.html.j2", wanted, status, message=key, detail=detail)

    def _render(
        self, request: Request, template: str, wanted: query.Filter, status: int = 200, **values: Any
    ) -> Response:
        language = request.path_params["language"]
        base = f"/{self.token}/{language}"

        def address(path: str, **more: Any) -> str:
            """An address with the filter, and `more` in its query."""
            asked = {**wanted.query(self.source), **more}
            return f"{base}/{path}" + (f"?{urlencode(asked)}" if asked else "")

        other = next(each for each in LANGUAGES if each != language)
        rest = request.url.path.partition(f"/{self.token}/{language}/")[2]
        html = self.templates.get_template(template).render(
            t=WORDS[language],
            language=language,
            other=(other, f"/{self.token}/{other}/{rest}" + (f"?{request.url.query}" if request.url.query else "")),
            root=f"/{self.token}",
            base=base,
            at=address,
            wanted=wanted,
            query=urlencode(wanted.query(self.source)),
            corpus=shown_address(self.source.location),
            num_marks=len(self.marks_file.all()),
            **values,
        )
        # Texts may hold what can't be encoded.
        return HTMLResponse(html.encode("utf-8", "replace"), status)

    # ---- lists

    def listing(self, request: Request) -> Response:
        wanted = query.Filter.read(request.query_params, self.source)
        after, before = (_integer(request.query_params.get(key)) for key in ("after", "before"))
        is_back = after is None and before is not None
        listed = query.page_of(self.source, wanted, before if is_back else after, is_back)
        has_next = listed.has_more if not is_back else True
        has_previous = listed.has_more if is_back else after is not None
        return self._render(
            request,
            "list.html.j2",
            wanted,
            listed=listed,
            older=listed.doc_ids[-1] if listed.doc_ids and has_next and listed.searched_to is None else None,
            newer=listed.doc_ids[0] if listed.doc_ids and has_previous else None,
            is_back=is_back,
            is_text=bool(wanted.find) and wanted.within == "text",
            stages=query.available(self.source),
            sorts=query.sorts(self.source),
            fields=query.FIELDS,
            subsets=self.source.named("subsets"),
            presets=self.source.presets,
            classifiers=self.source.named("scores/classifier="),
            reasons=sorted(self.source.reasons.get(wanted.preset, {}).items(), key=lambda each: -each[1]),
            crawls=list(self.source.crawls.values()),
            marks=self.marks_file,
        )

    def count(self, request: Request) -> Response:
        return JSONResponse(query.count(self.source, query.Filter.read(request.query_params, self.source)))

    def excerpts(self, request: Request) -> Response:
        asked = request.query_params.get("ids", "").split(",")[:_MAX_EXCERPTS]
        doc_ids = [doc_id for each in asked if (doc_id := _integer(each)) is not None]
        wanted = query.Filter.read(request.query_params, self.source)
        find = wanted.find if wanted.within == "text" else ""
        found = query.excerpts(self.source, doc_ids, find) if doc_ids else {}
        return JSONResponse({str(doc_id): clean(text) for doc_id, text in found.items()})

    # ---- one page

    def page(self, request: Request) -> Response:
        wanted = query.Filter.read(request.query_params, self.source)
        doc_id = request.path_params["doc_id"]
        found = pages.look_up(self.source, doc_id, wanted.preset) if doc_id < 1 << 63 else None
        if found is None:
            return self._problem(request, "no_page", 404)
        place = found["source"]
        return self._render(
            request,
            "page.html.j2",
            wanted,
            page=found,
            verdict=found["verdicts"].get(wanted.preset),
            cuts=self.source.cuts,
            mark=self.marks_file.of(doc_id),
            kinds=KINDS,
            # A remote file is read only if asked for.
            is_remote=bool(place) and (is_http(place["file"]) or "://" in place["file"]),
            place=shown_address(place["file"]) if place else "",
            end=request.query_params.get("end"),
        )

    def neighbour(self, request: Request) -> Response:
        """Goes to the next or previous page of the list."""
        wanted = query.Filter.read(request.query_params, self.source)
        doc_id, way = request.path_params["doc_id"], request.path_params["way"]
        if way not in ("next", "previous"):
            return self._problem(request, "no_page", 404)
        listed = query.page_of(self.source, wanted, doc_id, backward=way == "previous", limit=1)
        at = listed.doc_ids[0] if listed.doc_ids else doc_id
        if not listed.doc_ids and listed.searched_to is not None:
            return self._problem(request, "slow", 503)
        return self._to_page(request, at, wanted, {} if listed.doc_ids else {"end": way})

    def raw(self, request: Request) -> Response:
        doc_id, view = request.path_params["doc_id"], request.path_params["view"]
        words = WORDS[request.path_params["language"]]
        headers = {"content-security-policy": raw.POLICY + "; frame-ancestors 'self'"}
        rows = self._url(doc_id)
        if not rows:
            return PlainTextResponse(words["no_page"], 404, headers)
        try:
            found = raw.read(self.source, doc_id, rows[0][0])
        except raw.NoRawPageError as error:
            return PlainTextResponse(f"{words['no_raw']} {printable(str(error))}", 404, headers)
        if view == "page":
            return HTMLResponse(raw.shown(found, words["cut"]).encode("utf-8", "replace"), headers=headers)
        if view == "head":
            return PlainTextResponse(found.head, headers=headers)
        text, is_whole = raw.source_of(found)
        return PlainTextResponse(text if is_whole else f"[{words['cut']}]\n\n{text}", headers=headers)

    def _url(self, doc_id: int) -> list[tuple[Any, ...]]:
        """The URL of a page, if there is the page."""
        if doc_id >= 1 << 63:
            return []
        return self.source.query(f"SELECT url FROM {self.source.among('pages', [doc_id])} WHERE doc_id = ?", [doc_id])

    def compare(self, request: Request) -> Response:
        wanted = query.Filter.read(request.query_params, self.source)
        sides = [request.path_params[side] for side in ("left", "right")]
        found = [pages.text_of(self.source, side) if side < 1 << 63 else None for side in sides]
        if None in found:
            return self._problem(request, "no_page", 404)
        left, right = found[0] or {}, found[1] or {}
        lines, is_whole = pages.compare(left["text"], right["text"])
        is_whole = is_whole and all(len(side["text"]) == side["text_chars"] for side in (left, right))
        return self._render(request, "compare.html.j2", wanted, left=left, right=right, lines=lines, is_whole=is_whole)

    # ---- marks

    async def mark(self, request: Request) -> Response:
        """Keeps a mark, and goes back to the page."""
        if request.path_params["language"] not in LANGUAGES:
            return PlainTextResponse("no such page\n", 404)
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _MAX_FORM_BYTES:
                return PlainTextResponse("too long\n", 413)
        form = {key: values[-1] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
        return await run_in_threadpool(self._mark, request, form)

    def _mark(self, request: Request, form: dict[str, str]) -> Response:
        doc_id, kind = request.path_params["doc_id"], form.get("mark", "")
        try:
            rows = self._url(doc_id)
        except TooSlowError:
            return self._problem(request, "slow", 503)
        except ChangedCorpusError as error:
            return self._problem(request, "changed", 503, _first_line(error))
        if not rows or kind not in (*KINDS, "none"):
            return self._problem(request, "no_page", 404)
        try:
            self.marks_file.add(doc_id, rows[0][0], kind if kind != "none" else None, form.get("reason", ""))
        except OSError as error:
            return self._problem(request, "not_written", 500, f"{self.marks_file.path}: {error.strerror}")
        return self._to_page(request, doc_id, query.Filter.read(request.query_params, self.source), {})

    def _to_page(self, request: Request, doc_id: int, wanted: query.Filter, more: dict[str, str]) -> Response:
        asked = urlencode({**wanted.query(self.source), **more})
        address = f"/{self.token}/{request.path_params['language']}/page/{doc_id}"
        return RedirectResponse(f"{address}?{asked}" if asked else address, 303)

    def marks_page(self, request: Request) -> Response:
        wanted = query.Filter.read(request.query_params, self.source)
        return self._render(request, "other.html.j2", wanted, marks=self.marks_file.all(), path=self.marks_file.path)

    def labels(self, request: Request) -> Response:
        return _download(self.marks_file.labels(self.source), "labels.jsonl")

    def removals(self, request: Request) -> Response:
        return _download(self.marks_file.removals(), "remove.txt")


def _first_line(error: Exception) -> str:
    return printable(str(error).partition("\n")[0])[:500]


def _download(lines: Iterator[str], name: str) -> Response:
    first = list(islice(lines, 1))  # what goes wrong at once is told instead of an empty file
    encoded = (line.encode("utf-8", "replace") for line in chain(first, lines))
    return StreamingResponse(
        encoded,
        media_type="application/octet-stream",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


def _value(value: Any) -> str:
    """A number as it is shown."""
    if value is None:
        return "–"
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"


def _integer(text: str | None) -> int | None:
    """A doc_id in an address."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,19}", text) and int(text) < 1 << 63 else None

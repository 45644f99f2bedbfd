"""The rules of the house that a program can check. Each test says why; to bend a rule, argue in its list."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from heliograph import delivery_issues
from heliograph.billing import api as recharge
from heliograph.billing import prices
from heliograph.billing.prices import default
from heliograph.db.tables import ACCESS_FLAGS
from heliograph.http.parameters import DATES, PAGING, SEARCHING
from heliograph.media import MEDIA
from heliograph.routes import ROUTES, SECTIONS
from heliograph.transports.table import BUILT_IN
from support import quiet
from support.settings_tables import tables

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "src" / "heliograph"

LEVELS = (
    (
        "errors",
        "fields",
        "media",
        "clock",
        "ids",
        "htmlpage",
        "mailaddress",
        "webaddress",
        "option",
        "settings",
        "written",
        "phone",
        "texts",
        "countries",
        "logs",
        "terminal",
    ),
    ("limited",),
    ("db", "transports"),
    ("queue", "audit", "carriers"),
    ("billing", "files", "accounts", "links", "mail"),
    ("messaging",),
    ("services",),
    ("http",),
    ("contacts", "numbers", "statistics", "reference", "delivery_issues"),
    ("webhooks",),
    ("channels",),
    ("esme", "mailserver"),
    ("campaigns", "automations"),
    ("api", "web"),
    ("routes", "seed", "background", "mailroom"),
    ("app",),
    ("front",),
    ("connections",),
    ("process",),
    ("demo", "doctor", "commands"),
    ("cli", "__main__"),
)
"""From the ground up: a room may use the rooms below it and its neighbours, but never in a circle.

`api` stands for all api.py files: they lie beside their nouns, but belong to the surface.
"""

ONE_FILE_FEATURES = {"statistics.py", "reference.py", "delivery_issues.py"}
"""Features so small that one file holds what api.py and the noun hold elsewhere."""

IMPORTS_INSIDE_FUNCTIONS = {
    "__main__.py heliograph.cli": "the collector is switched off before it",
    "billing/gateways/chosen.py heliograph.billing.gateways.stripe": "half a second, and an SDK that few servers use",
    "files/stores.py heliograph.files.bucket": "a client for S3 that most servers do not use",
    "billing/currencies.py babel.numbers": "locale data that a server rarely needs",
    "billing/invoice.py heliograph.billing.lettering": "the same",
    "billing/invoice.py reportlab.pdfgen.canvas": "a tenth of a second that a server without invoices can save",
    "cli.py heliograph.demo": "an HTTP client, which takes a tenth of a second",
    "cli.py heliograph.doctor": "the same",
    "db/dialect.py heliograph.db.postgres": "the driver, a twentieth of a second that a server on SQLite can save",
    "db/migrate.py heliograph.db.upgrades": "Alembic, a tenth of a second that is needed once for each version",
    "files/worker.py heliograph.files.images": "each process converts one file, most of them without pictures",
    "files/worker.py heliograph.files.paper": "the same, without pages",
    "files/worker.py heliograph.files.sheets": "the same, without tables",
    "commands/domains.py heliograph.mail.nameservers": "a client for the DNS, which other commands can save",
    "commands/domains.py heliograph.mail.records": "the same",
    "mail/domains.py cryptography.hazmat.primitives": "keys, a hundredth of a second that a server without mail saves",
    "mail/domains.py cryptography.hazmat.primitives.asymmetric": "the same",
    "mail/domains.py cryptography.hazmat.primitives.asymmetric.rsa": "the same",
    "mail/domains.py cryptography.hazmat.primitives.serialization": "the same",
    "mail/signing.py cryptography.hazmat.primitives.asymmetric.padding": "the same",
    "mail/signing.py cryptography.hazmat.primitives.asymmetric.utils": "the same",
    "mail/signing.py cryptography.hazmat.primitives.hashes": "the same",
    "mail/signing.py dkim": "with a client for the DNS, a tenth of a second that a server without mail saves",
    "mail/signing.py dkim.canonicalization": "the same",
    "countries.py pycountry": "names that a server rarely needs",
    "doctor.py redis": "a seventh of a second that most commands can save",
    "http/throttle.py heliograph.http.shared": "two libraries, a quarter of a second that a server by itself can save",
    "transports/table.py heliograph.transports.http.template": "the same",
    "transports/table.py heliograph.transports.http.inbox": "the same",
    "transports/table.py heliograph.transports.http.transport": "an HTTP client, which takes a tenth of a second",
    "transports/table.py heliograph.transports.mm7.inbox": "the same",
    "transports/table.py heliograph.transports.mm7.transport": "an XML library that servers without MMS do not need",
    "transports/table.py heliograph.transports.sandbox.mms": "an XML library and a web server, for sandboxes alone",
    "webhooks/fetch.py aiohttp": "a tenth of a second that a server without pushes can save",
    "links/judge.py crawleruseragents": "patterns that only a server whose links are opened needs",
    "transports/sandbox/visits.py aiohttp": "a tenth of a second that a server whose links are not opened can save",
    "links/judge.py ua_parser": "a seventh of a second that only a server whose links are opened needs",
    "channels/email/channel.py css_inline": "a library that only mails with styles need",
    "mail/feedback.py flufl.bounce": "a library that only bounces without a report need",
    **dict.fromkeys(
        (f"mail/nameservers.py dns.{name}" for name in ("exception", "name", "resolver", "nameserver")),
        "a tenth of a second that servers without mail can save",
    ),
    "mail/text.py inscriptis": "a sixth of a second that only mails in HTML need",
    "mail/text.py inscriptis.model.config": "the same",
    "channels/voice/piper.py piper": "an extra that most installations do not have",
    "transports/sip/process.py heliograph.transports.sip.caller": "its library is not there on every platform",
    "mail/bounds.py selectolax.lexbor": "a parser that only a server with emails needs",
    "mailserver/authentic.py dkim": "a tenth of a second that a server without mails can save",
    "mailserver/authentic.py publicsuffixlist": "the same, for its rules",
    "mailserver/authentic.py spf": "the same",
    "mailserver/words.py mailparser_reply.parser": "the same, for its patterns",
    "mail/inspection.py selectolax.lexbor": "the same",
    "mail/inspection.py dkim": "with a client for the DNS, a tenth of a second that most commands can save",
    "phone.py phonenumbers.carrierdata": "44 MB of memory that a process without look-ups should not pay",
}
"""file and module -> why it cannot be imported at the top."""

BROAD_EXCEPTS = {
    "app.py House.ready": "whatever is wrong with the database, the answer is that it is not ready",
    "contacts/importer.py _next": "a reader that meets a defect meets it at each try; the customer gets a sentence",
    "db/database.py Database._checkpoint": "a checkpoint that fails is tried again, and must not end the others",
    "db/database.py Database._woken": "what is committed is answered, and one listener must not keep the others away",
    "db/group.py Groups._run_unit": "the error belongs to the caller, who is told",
    "db/group.py Groups.finish": "the writer must survive a lost database, and each caller is told",
    "db/writer.py LoopWriter._step": "the same",
    "db/writer.py Writer._answer": "one caller's defect must not keep the others from their answers",
    "doctor.py _database": "each driver has errors of its own, and the reason is the finding",
    "esme/server.py EsmeServer._take": "a defect must be an answer: an ESME waits for each of its submits",
    "mailserver/authentic.py _good": "keys and signatures are hostile; one that cannot be read is none",
    "mailserver/authentic.py _sent_by_its_own": "the same of policies",
    "mailserver/letter.py _read": "the parser raises anything at a hostile mail; its sender gets a sentence",
    "mailserver/server.py _Hall.handle_DATA": "a defect must be an answer: a sender waits for it, and sends again",
    "files/worker.py main": "parsers raise anything at a hostile file; the customer gets a sentence, the log the story",
    "http/server.py Server.__call__": "a defect must be an answer, and its story is in the log",
    "http/hot.py Hot.begin": "the same request goes the long way then, where a defect is an answer",
    "http/hot.py Hot.begin.tell": "a defect must be an answer, and its story is in the log",
    "mail/feedback.py read": "parsers raise anything at a hostile mail, and the SMTP server has to answer it",
    "messaging/deliver.py Delivery._settle": "what a carrier has taken would be sent again at each lease",
    "queue/upkeep.py Upkeep._work": "the failure of one duty must not end the others",
    "queue/worker.py JobLoop._run": "a defect in one job must not stop the others, and it is tried again",
    "queue/worker.py Loop._pause": "the loop must survive a database that is away for a while",
    "queue/worker.py Loop._work": "the loop must survive a database that is away for a while",
    "transports/sip/process.py main.one": "a defect in one call must not end the others; it is in the log",
    "transports/smpp/inbox.py Inbox._status": "what is not stored is answered with an error, and the carrier keeps it",
}
"""file and function -> why its loop must survive everything."""

OPTIONS = dict(tables())
"""Name of an options struct -> its table for docs/settings.md."""

MOST_LINES_OF_A_FILE = 500
MOST_LINES_OF_A_FUNCTION = 80
TABLES_OF_CODE = ("db/migrations/versions/",)
"""Their functions may be longer: they only list tables."""

MOST_LINES_OF_ROUTES = 400
MOST_LINES_OF_APP = 250

KNOWN_TO_TRANSPORTS = ("transports", "option", "settings", "media", "mailaddress")

GENERIC = (
    "messaging",
    "http",
    "contacts",
    "webhooks",
    "campaigns",
    "app",
    "front",
    "background",
    "carriers",
    "settings",
)
"""Rooms that are the same for all channels."""

NAMES_OF_CHANNELS = {
    "contacts/cleaning.py email": "a column of contacts",
    "contacts/contact.py email": "a column of contacts",
    "contacts/audience.py email": "a placeholder, and the column that fills it",
    "contacts/keyword.py email": "a column of contacts",
    "contacts/sheets.py email": "a column of contacts",
    "contacts/sheets.py fax": "a heading of a column",
    "messaging/housemail.py email": "the operator's own mails go out by the routes of email",
    "webhooks/payloads.py sms": "an older name of `from` in a push (facts D6)",
    "webhooks/samples.py post": "how a URL is called",
}
"""file and word -> why a generic room has the name of a medium or a channel in it."""

HTTP_NEEDS = {
    "accounts.account": "who asks",
    "accounts.vault": "whether the password is right",
    "db": "transactions, and the answers that are kept under an Idempotency-Key",
    "errors": "refusals",
    "fields": "the fields of envelope and page",
    "limited": "a line in the log when a limit refuses somebody",
    "settings": "how large bodies may be",
    "services": "what it hands to the handlers",
}
"""Room or module of the house -> what http needs of it. Everything else is a feature's."""


@cache
def trees() -> dict[str, ast.Module]:
    """Every source file as a tree, by its path below src/heliograph."""
    files = sorted(HOUSE.rglob("*.py"))
    return {file.relative_to(HOUSE).as_posix(): ast.parse(file.read_text(encoding="utf-8")) for file in files}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for name, tree in trees().items():
        for node in ast.walk(tree):
            yield name, node


def is_module(dotted: str) -> bool:
    path = dotted.removeprefix("heliograph").lstrip(".").replace(".", "/")
    return f"{path}.py" in trees() or f"{path}/__init__.py" in trees()


def imported(node: ast.AST) -> Iterator[str]:
    """The modules that an import statement names; `from package import module` names the module."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if is_module(inner) else str(node.module)


def imports() -> Iterator[tuple[str, int, str]]:
    """(file, line, module) of every import in the house."""
    for name, node in nodes():
        for module in imported(node):
            yield name, getattr(node, "lineno", 0), module


def own_imports() -> Iterator[tuple[str, int, str]]:
    """Imports from the house itself, without its name: (file, line, rest of the module)."""
    for name, line, module in imports():
        if module.startswith("heliograph."):
            yield name, line, module.removeprefix("heliograph.")


def room(path: str) -> str:
    """The level name of a file or a dotted module: its top-level package or module, or `api`."""
    parts = re.split(r"[/.]", path.removesuffix(".py"))
    return "api" if parts[-1] == "api" else parts[0]


def report(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(problems)


def test_every_room_has_its_level() -> None:
    """A room that is not in the order could be imported from anywhere, and soon would be."""
    known = {name for level in LEVELS for name in level}
    rooms = {room(name) for name in trees()} - {"__init__"}
    report([f"{name}: give it a place in LEVELS" for name in sorted(rooms - known)])


def test_imports_point_downwards() -> None:
    """What a lower room knows of a higher one cannot be read, tested or changed without it."""
    height = {name: level for level, names in enumerate(LEVELS) for name in names}
    report(
        [
            f"{name}:{line} imports {module}: {room(module)} is above {room(name)}; let app.py pass a function"
            for name, line, module in own_imports()
            if height.get(room(module), 0) > height.get(room(name), len(LEVELS))
        ]
    )


def test_rooms_do_not_import_in_circles() -> None:
    """Two rooms that need each other are one room with a wall in the wrong place."""
    needs: dict[str, set[str]] = {}
    for name, _, module in own_imports():
        if room(module) != room(name):
            needs.setdefault(room(name), set()).add(room(module))
    TopologicalSorter(needs).prepare()


def test_files_do_not_import_in_circles() -> None:
    """Files that need each other can only be read together. What both need belongs into a third, below them."""
    needs: dict[str, set[str]] = {}
    for name, _, module in own_imports():
        path = module.replace(".", "/")
        needs.setdefault(name, set()).add(f"{path}.py" if f"{path}.py" in trees() else f"{path}/__init__.py")
    TopologicalSorter(needs).prepare()


def test_http_stays_at_the_surface() -> None:
    """Rules that know of requests cannot be used by a worker, a campaign or the dashboard."""
    report(
        [
            f"{name}:{line} imports {module}: only api.py files, routes.py and the wiring may"
            for name, line, module in own_imports()
            if room(module) == "http"
            and room(name) not in ("http", "api", "routes", "app", "front", "connections", "background", "mailroom")
            and name not in ONE_FILE_FEATURES
        ]
    )


def strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, text) of every string that does something: documentation stands by itself."""
    documentation = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documentation:
            yield node.lineno, node.value


def test_http_names_no_feature() -> None:
    """A shell that knows its features by name has to be changed, and read, for each new one."""
    words = {section.title for section in SECTIONS} | set(MEDIA)
    words |= {part.strip("{}") for route in ROUTES for path in route.paths for part in path.split("/") if part}
    words |= {query.name for route in ROUTES for query in route.endpoint.query}
    words -= {query.name for query in (*PAGING, *SEARCHING, *DATES)}
    report(
        [
            f"{name}:{line} names {word}: let the endpoint say it"
            for name, tree in trees().items()
            if room(name) == "http"
            for line, text in strings(tree)
            for word in {text, *re.findall(r"/([\w-]+)", text)} & words
        ]
    )


def test_http_needs_no_feature() -> None:
    """What it needs of the house is in a short list; a feature hands it what it has to know."""
    needed = {module for name, _, module in own_imports() if room(name) == "http" and room(module) != "http"}
    rooms = {module if module in HTTP_NEEDS else room(module) for module in needed}
    compare(rooms, set(HTTP_NEEDS), "HTTP_NEEDS")


def test_the_route_table_is_a_table() -> None:
    """It is read, compared with the contract and merged line by line; what a row cannot hold is the endpoint's."""
    lines = (HOUSE / "routes.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < MOST_LINES_OF_ROUTES
    rows = [
        node
        for node in ast.walk(trees()["routes.py"])
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Route"
    ]
    assert rows
    report([f"routes.py:{row.lineno}: a row is one line" for row in rows if row.lineno != row.end_lineno])


def test_an_api_is_for_the_route_table_only() -> None:
    """A noun or a page that goes through an API's shapes is tied to the contract; it wants the noun beside it."""
    report(
        [
            f"{name}:{line} imports {module}: call the noun instead"
            for name, line, module in own_imports()
            if room(module) == "api" and room(name) not in ("api", "routes", "app", "front")
        ]
    )


def test_an_api_holds_no_sql() -> None:
    """SQL beside the shapes of the contract is a rule that the other users of the noun do not have."""
    report(
        [
            f"{name}:{line} imports {module}: SQL belongs to the noun"
            for name, line, module in imports()
            if room(name) == "api" and room(module) == "sqlalchemy"
        ]
    )


def test_transports_know_only_the_wire() -> None:
    """A transport that knows accounts or money cannot be tested against a peer alone, nor replaced."""
    report(
        [
            f"{name}:{line} imports {module}: transports import {', '.join(KNOWN_TO_TRANSPORTS)} and libraries"
            for name, line, module in own_imports()
            if room(name) == "transports" and room(module) not in KNOWN_TO_TRANSPORTS
        ]
    )


def test_generic_rooms_name_no_channel() -> None:
    """What a room knows of one channel, the next channel has to change: it asks the channel instead."""
    words = {*MEDIA, *(channel.name for channel in quiet.CHANNELS.values())}
    found = {
        f"{name} {node.value}"
        for name, node in nodes()
        if name.split("/")[0].removesuffix(".py") in GENERIC
        and isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value in words
    }
    compare(found, set(NAMES_OF_CHANNELS), "NAMES_OF_CHANNELS")
    report(
        [
            f"{name}:{line} imports {module}: reach the channel by channels/table.py"
            for name, line, module in own_imports()
            if name.split("/")[0].removesuffix(".py") in GENERIC
            and re.match(r"channels\.(?!(table|audience)$)", module)
        ]
    )


def test_media_are_named_once() -> None:
    """A medium that one of these lacks could be sent but not priced, or priced but not permitted."""
    assert set(prices.UNITS) - {"number"} == set(MEDIA)
    assert set(MEDIA) <= set(ACCESS_FLAGS)
    assert {name for kind in default().prices for name in kind[:1]} - {"number"} == set(MEDIA)
    assert {medium for medium, _ in (*recharge.PRICED.values(), *recharge.PRICED_ONLY.values())} <= set(MEDIA)
    assert {one.partition("_")[0].lower() for one in delivery_issues.TYPES} == set(MEDIA)
    assert set(BUILT_IN) <= set(MEDIA)


def test_the_wiring_is_short() -> None:
    """What is wired is read from top to bottom; work that is done there has no other home, and no test."""
    lines = (HOUSE / "app.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < MOST_LINES_OF_APP


def test_no_table_is_filled_from_elsewhere() -> None:
    """Such a table is as long as what happened to be imported; a worker then lacks what only the server imports."""
    problems = []
    for name, tree in trees().items():
        modules = {
            alias.asname or alias.name.split(".")[-1]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("heliograph")
            for alias in node.names
        }
        for node in ast.walk(tree):
            target = None
            if isinstance(node, ast.Assign | ast.AugAssign):
                first = node.targets[0] if isinstance(node, ast.Assign) else node.target
                target = first.value if isinstance(first, ast.Subscript) else None
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                fills = node.func.attr in ("append", "extend", "update", "setdefault", "add", "insert")
                target = node.func.value if fills else None
            filled = ast.unparse(target).split(".") if target is not None else []
            if filled and filled[0] in modules and filled[-1].isupper():
                problems.append(f"{name}:{node.lineno} fills {'.'.join(filled)}: let its own module name what it has")
    report(problems)


def test_imports_stand_at_the_top() -> None:
    """A hidden import hides a circle, and fails at three in the morning and not at the start."""
    found: set[str] = set()
    for name, node in nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found |= {f"{name} {module}" for inner in ast.walk(node) for module in imported(inner)}
    compare(found, set(IMPORTS_INSIDE_FUNCTIONS), "IMPORTS_INSIDE_FUNCTIONS")


def compare(found: set[str], listed: set[str], where: str) -> None:
    """Both ways, so that a list never outlives what it excuses."""
    new = [f"{one}: not in {where}" for one in sorted(found - listed)]
    gone = [f"{one}: in {where}, but no longer in the source" for one in sorted(listed - found)]
    report(new + gone)


def functions(node: ast.AST, path: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function below a node with its qualified name; an inner one after the one around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{path}.{child.name}".lstrip(".")
            if not isinstance(child, ast.ClassDef):
                yield name, child
            yield from functions(child, name)
        else:
            yield from functions(child, path)


def test_files_and_functions_stay_small() -> None:
    """What does not fit on a few screens is not read as a whole, and grows."""
    problems = []
    for name, tree in trees().items():
        lines = len((HOUSE / name).read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES_OF_A_FILE:
            problems.append(f"{name}: {lines} lines, at most {MOST_LINES_OF_A_FILE}")
        for function, node in functions(tree):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > MOST_LINES_OF_A_FUNCTION and not name.startswith(TABLES_OF_CODE):
                problems.append(f"{name}:{node.lineno} {function}: {size} lines, at most {MOST_LINES_OF_A_FUNCTION}")
    report(problems)


def swallows_everything(handler: ast.ExceptHandler) -> bool:
    """Whether a handler takes any exception and does not raise it again at its end."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    broad = any(one is None or getattr(one, "id", "") in ("Exception", "BaseException") for one in caught)
    last = handler.body[-1]
    return broad and not (isinstance(last, ast.Raise) and last.exc is None)


def suppresses_everything(node: ast.AST) -> bool:
    """Whether this is `contextlib.suppress(Exception)`: a broad except by another name."""
    if not isinstance(node, ast.Call) or ast.unparse(node.func).rsplit(".", 1)[-1] != "suppress":
        return False
    return any(ast.unparse(one) in ("Exception", "BaseException") for one in node.args)


def test_exceptions_are_caught_by_name() -> None:
    """A broad except turns a defect into silence. Only a loop that must survive may have one, and it logs."""
    found: set[str] = set()
    for name, tree in trees().items():
        owners = {
            inner: function
            for function, node in functions(tree)
            for inner in ast.walk(node)
            if isinstance(inner, ast.ExceptHandler)
        }
        handlers = [
            node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and swallows_everything(node)
        ]
        found |= {f"{name} {owners.get(handler, '(top)')}" for handler in handlers}
        found |= {f"{name} suppress" for node in ast.walk(tree) if suppresses_everything(node)}
    compare(found, set(BROAD_EXCEPTS), "BROAD_EXCEPTS")


def test_only_settings_read_the_environment() -> None:
    """An option that is read where it is used is in no list, has no type and no page in the manual."""
    report(
        [
            f"{name}:{node.lineno} reads the environment: add an option to settings.py"
            for name, node in nodes()
            if name != "settings.py"
            and (
                (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"))
                or (isinstance(node, ast.ImportFrom) and {one.name for one in node.names} & {"environ", "getenv"})
            )
        ]
    )


def test_only_the_command_line_prints() -> None:
    """A print in a server has no level, no request id, and breaks logs that are JSON."""
    report(
        [
            f"{name}:{node.lineno} prints: use structlog"
            for name, node in nodes()
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print" and room(name) != "cli"
        ]
    )


def test_only_the_writer_commits() -> None:
    """A commit in a rule would cut the transaction of its caller, and of every request in the same group, in two."""
    report(
        [
            f"{name}:{node.lineno} commits: take tx and return"
            for name, node in nodes()
            if room(name) != "db"
            and (
                (isinstance(node, ast.Attribute) and node.attr in ("commit", "rollback"))
                or (isinstance(node, ast.Constant) and str(node.value).strip().upper() in ("COMMIT", "ROLLBACK"))
            )
        ]
    )


@pytest.mark.parametrize("struct", OPTIONS)
def test_every_option_is_in_the_manual(struct: str) -> None:
    """An option that is not in docs/settings.md does not exist for those who run the program."""
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    table = OPTIONS[struct]
    assert table in page, f"docs/settings.md lacks the table of {struct} as it is now. Paste:\n\n{table}\n"


FOREIGN = re.compile(
    r"--(?:extra-)?index-url|--find[-]links|files\.pythonhosted\.org|https?://\S+/simple\b|registry\.(?:npmjs|yarnpkg)"
    r"|\"resolved\": \"http|(?<![\w.])/(?:work|root|home|Users)/\w"
)


def committed_files() -> list[Path]:
    """What git has, or would take. The owner of the folder does not matter (safe.directory): nothing is executed."""
    git = [
        "git",
        "-c",
        "safe.directory=*",
        "-C",
        str(ROOT),
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    listed = subprocess.run(git, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_files_name_no_registry_and_no_machine() -> None:
    """The project must build behind any mirror and in any folder; such a line works for its writer alone."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    problems = []
    for file in committed_files():
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found = [(number, FOREIGN.search(line)) for number, line in enumerate(lines, 1)]
        problems += [f"{file.relative_to(ROOT)}:{number}: {hit.group()}" for number, hit in found if hit]
    report(problems)


CITED = re.compile(r"\b([Ff]acts|[Cc]lients|[Uu]ser needs) ((?:[A-Z]\d*|\d+)\b(?:, (?:[A-Z]\d*|\d+)\b)*)")
PAGE = re.compile(r"[\w./-]*\w\.md\b")
DECISION = re.compile(r"\b[Dd]ecision (\d+)\b")


def texts() -> Iterator[tuple[Path, str]]:
    """What people have written, each file as one line: a citation may go over the end of a line, also in a comment."""
    for folder in ("src", "tests", "benchmarks", "docs"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in (".py", ".md", ".toml", ".html", ".lua"):
                yield file, re.sub(r"\s+(?:# +)?", " ", file.read_text(encoding="utf-8"))


def explained() -> set[str]:
    """What can be cited: sections and rows of facts, sections of clients, and the points of user needs."""
    page = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    facts = re.findall(r"^(?:## Facts |\| )([A-O]\d*)(?::| \|)", page, re.MULTILINE)
    clients = re.findall(r"^## Clients (\d+):", page, re.MULTILINE)
    needs = re.findall(r"^(\d+)\. ", page, re.MULTILINE)
    named = (("facts", facts), ("clients", clients), ("user needs", needs))
    return {f"{kind} {name}" for kind, names in named for name in names}


def test_what_is_cited_can_be_read() -> None:
    """A rule whose source cannot be opened can neither be checked nor changed."""
    known = explained()
    decisions = {int(file.name[:4]) for file in (ROOT / "docs" / "decisions").glob("*.md")}
    problems = []
    for file, text in texts():
        folders = (ROOT, ROOT / "docs", file.parent)
        cited = [f"{kind.lower()} {name}" for kind, names in CITED.findall(text) for name in names.split(", ")]
        wrong = [f"{one}: not in docs/sources.md" for one in cited if one not in known]
        wrong += [f"{one}: no page" for one in PAGE.findall(text) if not any((up / one).is_file() for up in folders)]
        wrong += [f"decision {one}: no page" for one in DECISION.findall(text) if int(one) not in decisions]
        problems += [f"{file.relative_to(ROOT)}: {one}" for one in wrong]
    report(problems)

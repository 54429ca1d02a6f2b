"""Every message in every language: nothing untranslated, stale, or broken on the way."""

from __future__ import annotations

import ast
import gettext
import re
import string
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import catalogues
import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from evenflow import lang, report, views, words
from evenflow.faults import CAUSES, COMMON, REGISTRY
from evenflow.faults.pages import headline, paragraphs, told
from evenflow.schema import Finding, Link, Run, Severity, Site
from evenflow.words.evidence import phrase
from evenflow.wrapping import breaks, wrap

LANGUAGES = catalogues.LANGUAGES
OWN = {"ru": re.compile("[а-яё]", re.I), "zh": re.compile("[\u4e00-\u9fff]")}


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    lang.set_language(None)


@pytest.fixture(scope="module")
def wanted() -> dict[object, object]:
    return {m.id: m for m in catalogues.gather() if m.id}


def translated(code: str) -> dict[object, object]:
    return {m.id: m for m in catalogues.stored(code) if m.id}


def pairs(code: str) -> Iterator[tuple[str, str]]:
    """(English, translation); of a plural the many against each form."""
    for message in catalogues.stored(code):
        if isinstance(message.id, str) and message.id:
            yield message.id, message.string
        elif message.id:
            yield from ((message.id[1], form) for form in message.string)


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_catalogue_holds_what_the_source_says_and_nothing_else(
    code: str, wanted: dict[object, object]
) -> None:
    have = translated(code)
    assert not wanted.keys() - have.keys(), "not in the catalogue; run: make words"
    assert not have.keys() - wanted.keys(), "stale; run: make words"


@pytest.mark.parametrize("code", LANGUAGES)
def test_nothing_is_empty_or_fuzzy(code: str) -> None:
    forms = {"ru": 3, "zh": 1}[code]
    for message in catalogues.stored(code):
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        strings = (message.string,) if isinstance(message.id, str) else tuple(message.string)
        assert all(strings), message.id
        assert len(strings) == (1 if isinstance(message.id, str) else forms), message.id


@pytest.mark.parametrize("code", LANGUAGES)
def test_what_is_installed_is_what_was_translated(code: str) -> None:
    with catalogues.path(code, "mo").open("rb") as file:
        installed = gettext.GNUTranslations(file)
    for message in catalogues.stored(code):
        if isinstance(message.id, str) and message.id:
            assert installed.gettext(message.id) == message.string, "run: make words"
        elif message.id:
            for n in (1, 2, 5, 21):
                assert installed.ngettext(*message.id, n) in message.string, "run: make words"


def fields(text: str) -> set[tuple[str, str | None]]:
    return {(name, how) for _, name, _, how in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("code", LANGUAGES)
def test_placeholders_and_code_are_kept(code: str) -> None:
    for english, said in pairs(code):
        if re.search(r"\{\w+(!r)?\}", english):
            assert fields(said) == fields(english), english
        for quoted in re.findall(r"`[^`]+`", english):
            assert quoted in said, (quoted, said)
        for command in re.findall(r"evenflow (?:run|check|demo|rules|report|explain)\b", english):
            assert command in said, (command, said)


def test_no_word_mixes_alphabets() -> None:
    """A Latin letter in a Russian word looks right and cannot be found."""
    for english, said in pairs("ru"):
        mixed = re.findall(r"[а-яё]+[a-z]+|[a-z]+[а-яё]+", said, re.I)
        assert not mixed, (mixed, english)


#: Shorter ones ("of {x} at {y}") a language may do without.
_LONG = re.compile("[A-Za-z]{4,}")


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_translation_is_in_its_language(code: str) -> None:
    for english, said in pairs(code):
        plain = re.sub(r"\{\w+(!r)?\}", "", english)
        if all(word in ("evenflow", "softmax", "steps") for word in _LONG.findall(plain)):
            continue
        assert OWN[code].search(said), (english, said)


# -- in which language ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("env", "code"),
    [
        ({}, "en"),
        ({"LANG": "ru_RU.UTF-8"}, "ru"),
        ({"LANG": "zh_CN"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_ALL": "C", "LANG": "ru_RU.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_TW.UTF-8", "LANG": "ru_RU"}, "zh"),
        ({"EVENFLOW_LANG": "ru", "LANG": "zh_CN"}, "ru"),
        ({"EVENFLOW_LANG": " ZH-cn "}, "zh"),
        ({"EVENFLOW_LANG": "", "LANG": "ru_RU.KOI8-R"}, "ru"),
    ],
)
def test_who_says_the_language(
    env: dict[str, str], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EVENFLOW_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert lang.language() == code
    lang.set_language("zh")
    assert lang.language() == "zh"


def test_an_unknown_variable_is_told_once_and_english_spoken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVENFLOW_LANG", "klingon")
    monkeypatch.setattr(lang, "_complained", False)
    assert words.title("EF101") == words.title("EF101") == "Vanishing gradient"
    said = capsys.readouterr().err
    assert said.count("EVENFLOW_LANG='klingon' is not a language Evenflow speaks") == 1
    with pytest.raises(ValueError, match="'klingon' is not a language Evenflow speaks; choose"):
        lang.set_language("klingon")


def test_numbers_and_plurals() -> None:
    lang.set_language("ru")
    assert words.number(12345) == "12\u00a0300" or words.number(12345) == "12\u00a0345"
    said = [
        lang.ngettext("{count} error", "{count} errors", n).format(count=n) for n in (1, 3, 5, 21)
    ]
    assert said == ["1 ошибка", "3 ошибки", "5 ошибок", "21 ошибка"]
    assert words.change(-3) == "меньше в 1\u00a0000 раз"
    lang.set_language("zh")
    assert words.number(12345) == "12,345"
    assert words.change(1) == "原来的 10 倍"
    lang.set_language("en")
    assert words.change(1) == "10 times larger"


# -- what is rendered -------------------------------------------------------------------------
def english_left(text: str, code: str) -> list[str]:
    """Stretches of five plain English words in a row: a sentence nobody translated."""
    text = re.sub(r"`[^`]*`|\([^)]*et al\.[^)]*\)", "", text)
    found = re.findall(r"(?:\b[a-z]{2,}\b[ ,]+){4}\b[a-z]{2,}\b", text)
    assert OWN[code].search(text), text
    return found


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("rule", REGISTRY)
def test_rule_pages(rule: str, code: str) -> None:
    lang.set_language("en")
    page = told(REGISTRY[rule])
    parts = list(paragraphs(REGISTRY[rule]))
    lang.set_language(code)
    said = told(REGISTRY[rule])
    assert said.count("\n## ") == page.count("\n## ")
    assert len(said.split("\n\n")) == len(parts)
    assert not english_left(said, code)
    assert not english_left(headline(REGISTRY[rule]), code)
    assert all(cell_len(line) <= 96 for line in wrap(said, 96).split("\n"))
    for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?: %|e-?\d+)", " ".join(page.split())):
        assert number in said, number


def run() -> Run:
    sites = tuple(
        Site(i, "MLP", f"layers.{i}", "linear" if i % 2 else "sigmoid", "affine") for i in range(12)
    )
    steps = np.arange(0, 2001, 10)
    return Run("run", {}, sites, (), steps, {}, np.arange(2001), np.ones(2001))


def finding(code: str, **keys: object) -> Finding:
    plain: dict[str, object] = {
        "name": REGISTRY[code].name,
        "severity": Severity.error,
        "sites": (1, 3),
        "first_step": 40,
        "last_step": 2000,
        "evidence": {"decades": 12.06, "gradient_norm": 3e-9},
        "threshold": {"decades": 3.0},
    }
    return Finding(code=code, **{**plain, **keys})  # type: ignore[arg-type]


def all_findings() -> Iterator[Finding]:
    for code in REGISTRY:
        yield finding(code)
        yield finding(code, sites=(), params=tuple(f"a.{i}" for i in range(9)), first_step=0)
        yield finding(code, sites=tuple(range(1, 12, 2)), last_step=40, evidence={}, threshold={})
        yield finding(
            code,
            severity=Severity.warning,
            last_step=1500,
            chain=(
                Link("cause", "EF703", 12, 1),
                Link("event", code, 40, 3),
                Link("end", "frozen", 2000, 3),
            ),
        )
    for cause in CAUSES:
        yield finding("EF101", cause=cause)


@pytest.mark.parametrize("code", LANGUAGES)
def test_findings_causes_and_remedies(code: str) -> None:
    lang.set_language(code)
    for found in all_findings():
        said = words.message(found, run())
        assert not english_left(said, code), said
        assert re.search(r"layers\.|a\.0|" + OWN[code].pattern, said)
        for text in words.advice(found):
            assert not english_left(text, code), text
        if len(found.chain) > 1:
            assert words.without_chain(said) != said
            assert "->" not in words.without_chain(said)
    own = [(label.name, rule.code) for rule in REGISTRY.values() for label in rule.labels]
    for key, fault in (*((key, "") for key in COMMON), *own):
        said = phrase(key, 0.5, 0.25, fault)
        assert re.search(OWN[code].pattern + "|softmax", said), said


@pytest.mark.parametrize("width", [40, 80, 100])
@pytest.mark.parametrize("code", LANGUAGES)
def test_the_terminal_report(code: str, width: int) -> None:
    lang.set_language(code)
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    report.text(run(), list(all_findings())[:7], console)
    said = console.export_text()
    console.file.close()
    wide = [line for line in said.split("\n") if cell_len(line) > width]
    assert not wide
    assert not english_left(said, code)


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_page_says_its_language(code: str) -> None:
    lang.set_language(code)
    page = views.html(run(), list(all_findings())[:7])
    assert f'<html lang="{lang.TAGS[code]}">' in page
    body = re.sub(r"<(style|script)\b.*?</\1>", "", page.partition("<body>")[2], flags=re.S)
    assert not english_left(re.sub(r"<[^>]+>", "\n", body), code)
    labels = re.findall(r'(?:title|aria-label)="([^"]+)"', body)
    assert labels
    assert not [label for label in labels if re.search(r"[a-z]+ [a-z]+ [a-z]+", label)]


def test_json_keeps_its_keys_and_names() -> None:
    found = list(all_findings())[:3]
    lang.set_language("en")
    english = report.as_json(run(), found)
    lang.set_language("zh")
    chinese = report.as_json(run(), found)
    assert chinese.keys() == english.keys()
    for a, b in zip(english["findings"], chinese["findings"], strict=True):
        words = {"message", "remedies"}
        assert {k: a[k] for k in a.keys() - words} == {k: b[k] for k in b.keys() - words}
        assert all(a[k] != b[k] for k in words)


def test_lines_break_between_characters_but_not_before_punctuation() -> None:
    text = (
        "从第 40 步起，layers.1 linear 处梯度消失：梯度沿途损失 12.1 个数量级"
        "（阈值 3.0 个数量级）。"
    ) * 3
    for width in range(16, 60):
        lines = wrap(text, width).split("\n")
        assert all(cell_len(line) <= width for line in lines)
        assert not any(line[0] in "，：。）" or line[-1] in "（" for line in lines)
        at = [0, *breaks(text, width), len(text)]
        assert "".join(text[a:b] for a, b in pairwise(at)) == text


def evidence_keys(path: Path) -> set[str]:
    """Names of numbers in a rule's source: keys of what is called evidence or threshold."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        given = isinstance(node, ast.keyword) and node.arg in ("evidence", "threshold")
        named = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "evidence"
        if given or named:
            dicts = [d for d in ast.walk(node.value) if isinstance(d, ast.Dict)]
            found |= {k.value for d in dicts for k in d.keys if isinstance(k, ast.Constant)}
    return found


def test_every_number_of_evidence_has_a_name() -> None:
    used: dict[str, set[str]] = {}
    for path in (catalogues.SOURCE / "faults").glob("ef*.py"):
        code = path.name[:5].upper()
        own = {label.name for label in REGISTRY[code].labels}
        keys = evidence_keys(path)
        assert not keys - own - COMMON.keys(), f"name them in {path.name}"
        used |= {key: used.get(key, set()) | {code} for key in keys}
    assert {"decades", "layers_affected", "nonfinite"} <= used.keys()
    assert not COMMON.keys() - used.keys() - {"target_rms"}, "measured by no rule"


# -- what was never marked --------------------------------------------------------------------
#: Files whose every sentence must go through the catalogues.
SPOKEN = (
    "words",
    "report",
    "faults/causes.py",
    "faults/remedies.py",
    "faults/labels.py",
    "ledger/render.py",
    "ledger/stored.py",
    "ledger/nearby.py",
)
SPOKEN += tuple(f"cli/{n}.py" for n in ("judging", "runs", "demo", "explain", "rules", "options"))
SPOKEN += tuple(f"cli/{n}.py" for n in ("check", "report", "after_run", "preflight", "factory"))
SPOKEN += ("cli/activations.py", "cli/checkup.py", "experiments/forks", "script/target.py")
SPOKEN += ("forecast/rendering.py", "forecast/beside.py", "forecast/advise.py")
_SENTENCE = re.compile(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}")
_MARKS = ("_", "N_", "ngettext")


def unmarked(source: str) -> list[str]:
    """English sentences of a module that no mark stands around.

    Docstrings are no messages, and `catalogues.commands` gathers the help of commands.
    """
    tree = ast.parse(source)
    fine: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _MARKS:
            fine.update(ast.walk(node))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Remedy":
            fine.update(node.args[:1])
        if isinstance(node, ast.keyword) and node.arg == "help":
            fine.update(ast.walk(node))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            fine.add(node.value)
    texts = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and n not in fine]
    return [n.value for n in texts if isinstance(n.value, str) and _SENTENCE.search(n.value)]


def files() -> list[Path]:
    found: list[Path] = []
    for name in SPOKEN:
        path = catalogues.SOURCE / name
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return found


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(catalogues.SOURCE)))
def test_no_sentence_is_left_unmarked(path: Path) -> None:
    known = ("from evenflow.", "default-src 'none'", "device-width, initial", "no code object")
    assert not [t for t in unmarked(path.read_text("utf-8")) if not any(k in t for k in known)]


def test_an_unmarked_sentence_is_found() -> None:
    assert unmarked('print(f"there is no {x} of this kind here")')
    assert not unmarked('print(_("there is no {x} of this kind here").format(x=x))')
    assert not unmarked('Remedy("Put something else here.", then=N_("And look at it again."))')
    assert unmarked('Remedy("Put something else here.", then="And look at it again.")')


@pytest.mark.parametrize("render", [words.title, lambda code: headline(REGISTRY[code])])
def test_it_is_looked_up_when_shown(render: Callable[[str], str]) -> None:
    seen = set()
    for code in lang.LANGUAGES:
        lang.set_language(code)
        seen.add(render("EF101"))
    assert len(seen) == len(lang.LANGUAGES)

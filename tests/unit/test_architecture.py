"""The rules by which the packages hang together, read from the source text: no module is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import streamseg

ROOT = Path(streamseg.__file__).parent
ALL_PUBLIC = ("core",)  # packages whose every module is for everybody
# Where threads are started or locked outside the engine, and why
MAY_IMPORT_THREADING: dict[str, str] = {
    "core.folders": "files made side by side share their folder",
    "core.native_stderr": "it does nothing where there is more than one thread",
    "segment.runtimes.litert": "an interpreter does one thing at a time", "segment.runtimes.keras": "as litert",
    "segment.runtimes.pool": "a model file is opened once for all threads",
    "pictures": "the default model is loaded once for all threads",
    "batch.methods": "the pictures under way share the copies of a method",
    "serve.engine": "the method's threads take from one queue", "serve.loaded": "a method is loaded once for them all"}
# Attributes that a contract declares with a default: nobody asks whether an object has them.
DECLARED = {"info", "notes", "damaged", "capabilities", "statistics", "reduce", "kept", "growing", "result",
            "finish", "commit", "abort", "lost", "counts", "runs_on", "dear", "reduced"}


@dataclass(frozen=True)
class Import:
    """``module`` imports ``target``, both as tuples of names below ``streamseg``."""

    module: tuple[str, ...]
    target: tuple[str, ...]
    line: int
    at_top: bool

    def __str__(self) -> str:
        return f"{'.'.join(self.module)}:{self.line} imports {'.'.join(self.target)}"


@cache
def trees() -> dict[tuple[str, ...], ast.Module]:
    """The syntax tree of every module, by its name below ``streamseg``; () is the package itself."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[parts[:-1] if parts[-1] == "__init__" else parts] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def is_package(module: tuple[str, ...]) -> bool:
    return (ROOT.joinpath(*module) / "__init__.py").exists()


@cache
def imports() -> tuple[Import, ...]:
    """Every import of a module of streamseg by another; ``at_top``: not within a function."""
    return tuple(found for module, tree in trees().items() for found in _imports_of(module, tree))


def _imports_of(module: tuple[str, ...], tree: ast.Module) -> Iterator[Import]:
    inside = {id(node) for function in ast.walk(tree)
              if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) for node in ast.walk(function)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = _base(module, node)
        if base is None:
            continue
        for alias in node.names:
            target = (*base, alias.name) if (*base, alias.name) in trees() else base
            if target != module:
                yield Import(module, target, node.lineno, id(node) not in inside)


def _base(module: tuple[str, ...], node: ast.ImportFrom) -> tuple[str, ...] | None:
    """The module that ``node`` imports from; None where it is none of streamseg's."""
    named = tuple(node.module.split(".")) if node.module else ()
    if node.level == 0:
        return named[1:] if named[:1] == ("streamseg",) else None
    package = module if is_package(module) else module[:-1]
    return (*package[:len(package) - node.level + 1], *named)


def public_of(package: str) -> set[str]:
    """The modules that a package lists in ``PUBLIC``, a tuple of names in its ``__init__``."""
    for node in trees()[(package,)].body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if any(isinstance(target, ast.Name) and target.id == "PUBLIC" for target in targets):
            return set(ast.literal_eval(node.value))  # type: ignore[attr-defined]
    return set()


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports within functions come later and make no cycle; those for type checkers count."""
    graph: dict[tuple[str, ...], set[tuple[str, ...]]] = {module: set() for module in trees()}
    for item in imports():
        if item.at_top:
            graph[item.module].add(item.target)
            if item.target[:1] != item.module[:1]:  # Python runs its package's __init__ first
                graph[item.module].add(item.target[:1])
    cycles = [part for part in strongly_connected(graph) if len(part) > 1]
    assert not cycles, "\n".join(" <-> ".join(".".join(module) or "streamseg" for module in cycle) for cycle in cycles)


def test_the_batch_imports_at_the_top() -> None:
    """Nothing in it is light and heavy at once: what help pages need stands in modules of its own."""
    later = [str(item) for item in imports() if item.module[:1] == ("batch",) and not item.at_top]
    assert not later, "\n".join(later)


def strongly_connected(graph: dict[tuple[str, ...], set[tuple[str, ...]]]) -> list[list[tuple[str, ...]]]:
    """The strongly connected components of ``graph`` (Kosaraju: two walks, the second against the arrows)."""
    order: list[tuple[str, ...]] = []
    seen: set[tuple[str, ...]] = set()

    def walk(start: tuple[str, ...], arrows: dict[tuple[str, ...], set[tuple[str, ...]]],
             out: list[tuple[str, ...]]) -> None:
        stack = [(start, iter(sorted(arrows[start])))]
        seen.add(start)
        while stack:
            node, rest = stack[-1]
            following = next((item for item in rest if item not in seen), None)
            if following is None:
                stack.pop()
                out.append(node)
            else:
                seen.add(following)
                stack.append((following, iter(sorted(arrows[following]))))

    for node in graph:
        if node not in seen:
            walk(node, graph, order)
    against: dict[tuple[str, ...], set[tuple[str, ...]]] = {node: set() for node in graph}
    for node, targets in graph.items():
        for target in targets:
            against[target].add(node)
    seen.clear()
    parts = []
    for node in reversed(order):
        if node not in seen:
            part: list[tuple[str, ...]] = []
            walk(node, against, part)
            parts.append(part)
    return parts


def test_a_cycle_is_found() -> None:
    a, b, c = ("a",), ("b",), ("c",)
    parts = strongly_connected({a: {b}, b: {a, c}, c: set()})
    assert sorted(sorted(part) for part in parts) == [[a, b], [c]]


def test_other_packages_import_public_modules_only() -> None:
    """A package's ``__init__``, a module in its PUBLIC, or, with a public package in it, one of that."""
    private = [str(item) for item in imports()
               if len(item.target) > 1 and item.module[:1] != item.target[:1]
               and item.target[0] not in ALL_PUBLIC and item.target[1] not in public_of(item.target[0])]
    assert not private, "\n".join(private)


@pytest.mark.parametrize("package", sorted({module[0] for module in trees() if len(module) > 1} - set(ALL_PUBLIC)))
def test_public_modules_are_there(package: str) -> None:
    missing = {name for name in public_of(package) if (package, name) not in trees()}
    assert not missing


def test_threads_belong_to_the_engine() -> None:
    importing = {".".join(module) for module, tree in trees().items() if module[:1] != ("engine",)
                 for node in ast.walk(tree)
                 if (isinstance(node, ast.Import) and any(alias.name == "threading" for alias in node.names))
                 or (isinstance(node, ast.ImportFrom) and node.level == 0 and node.module == "threading")}
    assert importing == set(MAY_IMPORT_THREADING)


def test_nobody_asks_whether_an_object_has_what_its_contract_declares() -> None:
    asked = [f"{'.'.join(module)}:{node.lineno}: {name}" for module, tree in trees().items()
             for node in ast.walk(tree) if (name := _probed(node)) in DECLARED]
    assert not asked, "\n".join(asked)


def _probed(node: ast.AST) -> str | None:
    """The attribute that a call of getattr or hasattr asks for, where it stands there as a text."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr") \
            and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
        return str(node.args[1].value)
    return None

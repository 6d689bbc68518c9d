"""Flags from the fields of Options: one field, one flag; every default stays in Options."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import Field, fields
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ..options import GROUPS, Options
from ..validation import default_of
from .session import Session

F = TypeVar("F", bound=Callable[..., Any])
_FILES = ("FILE", "PATH")


class Flag(click.Option):
    """An option listed under the heading ``group`` of --help."""

    def __init__(self, *arguments: Any, group: str = "Options", **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.group = group


class Command(click.Command):
    """A command whose --help lists the flags under their groups' headings, and its examples last."""

    def __init__(self, *arguments: Any, examples: str = "", **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a list a group, in the order of GROUPS; --help, --json and their like last."""
        groups: dict[str, list[tuple[str, str]]] = {heading: [] for heading in GROUPS}
        for item in self.get_params(ctx):
            record = item.get_help_record(ctx)
            if record is not None and isinstance(item, click.Option):
                groups.setdefault(getattr(item, "group", "Options"), []).append(record)
        for heading, records in groups.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        write_examples(formatter, self.examples)


def write_examples(formatter: click.HelpFormatter, examples: str) -> None:
    """Write command lines without wrapping, so that they can be copied."""
    with formatter.section("Examples"):
        for line in examples.strip().splitlines():
            formatter.write(f"{'':{formatter.current_indent}}{line.strip()}\n")


class Assignment(click.ParamType):
    """NAME=VALUE. Completes the method's parameters where the field is Options.set."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None,
                ctx: click.Context | None) -> tuple[str, str]:
        """('block', '15') from 'block=15'."""
        if isinstance(value, tuple):
            return value
        name, equals, rest = str(value).partition("=")
        if not (name.strip() and equals):
            self.fail(f"{value!r} is not NAME=VALUE, as block=15", param, ctx)
        return name.strip(), rest

    def shell_complete(self, ctx: click.Context, param: click.Parameter,
                       incomplete: str) -> list[CompletionItem]:
        """'block=' and the like, of the method that is on the command line."""
        if param.name != "set":
            return []
        from ..errors import StreamsegError
        from ..segment import method_class, parameters
        try:
            known = parameters(method_class(ctx.params.get("method") or "default"))
        except StreamsegError:
            return []
        return [CompletionItem(f"{name}=", help=rules.get("help"))
                for name, rules in known.items() if name.startswith(incomplete)]


class Number(click.ParamType):
    """A number; the message for anything else says so in plain words."""

    def __init__(self, kind: type[int] | type[float]) -> None:
        self.name = "whole number" if kind is int else "number"
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float:
        """1.5 from '1.5'."""
        try:
            return self._kind(value)
        except ValueError:
            seconds = isinstance(param, click.Option) and param.metavar == "S"
            what = "number of seconds, as 90 or 1.5" if seconds else self.name
            self.fail(f"{value!r} is not a {what}", param, ctx)


class MethodName(click.ParamType):
    """A method's name; completes the registered ones. The method is checked when it is created."""

    name = "NAME"

    def shell_complete(self, ctx: click.Context, param: click.Parameter,
                       incomplete: str) -> list[CompletionItem]:
        """The registered names; of a list a,b,c those that may follow the last comma."""
        from ..segment import METHODS
        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(before + comma + name) for name in METHODS if name.startswith(last)]


def option_flags(only: Collection[str] | None = None, *, of: type[Any] = Options,
                 text: str = "help") -> Callable[[F], F]:
    """Give a command a flag for each field of ``of``, or for those named in ``only``. ``text``: which of the
    field's texts is its help, 'help' or 'live'.

    Flags that are not on the command line are None (mappings: empty): ``given_options`` leaves them out.
    """
    def decorate(command: F) -> F:
        for item in reversed(fields(of)):
            if only is None or item.name in only:
                command = _flag(item, text)(command)
        return command
    return decorate


def given_options(values: dict[str, Any], *, of: type[Any] = Options) -> dict[str, Any]:
    """The keyword arguments for ``of`` from a command's flags: only those on the command line."""
    mappings = {item.name for item in fields(of) if isinstance(default_of(item), dict)}
    return {name: dict(value) if name in mappings else " ".join(value) if isinstance(value, tuple) else value
            for name, value in values.items() if value is not None and value != ()}


def _flag(item: Field[Any], text: str) -> Callable[[F], F]:
    default, rules = default_of(item), item.metadata
    settings: dict[str, Any] = {"group": rules["group"], "help": rules[text], "cls": Flag}
    spelling = rules["flag"] or f"--{item.name.replace('_', '-')}"
    if isinstance(default, bool):
        return click.option(spelling, item.name, is_flag=True, default=None, **settings)
    if isinstance(default, dict):
        return click.option(spelling, item.name, type=Assignment(), multiple=True,
                            **{**settings, "help": rules[text] + " May be given several times."})
    if rules["choices"]:
        settings["type"] = click.Choice(rules["choices"])
    else:
        settings |= {"type": _kind(item), "metavar": rules["metavar"]}
    if default is not None and default != "default":  # `methods` says which method is the default
        shown = f"{default:g}" if isinstance(default, float) else default
        settings["help"] += f" [default: {shown}]"
    if rules.get("several"):
        settings["help"] += " May be given several times."
        return click.option(spelling, item.name, multiple=True, **settings)
    made = click.option(spelling, item.name, default=None, **settings)
    if item.name != "method":
        return made
    short = click.option("--greenscreen", "method", flag_value="greenscreen", cls=Flag, group=rules["group"],
                         help="A person before a screen of one colour: the same as --method greenscreen.")
    return lambda command: made(short(command))


def _kind(item: Field[Any]) -> click.ParamType:
    """How a flag's text is parsed. Options checks ranges and frame rates: its messages name the option."""
    if item.name == "method":
        return MethodName()
    if item.metadata["metavar"] in _FILES:
        return click.Path()  # for completion; nothing is checked here
    kinds: dict[str, click.ParamType] = {"int": Number(int), "float": Number(float)}
    return kinds.get(str(item.type).removesuffix(" | None"), click.STRING)


def general_flags(command: F) -> F:
    """--json, --quiet and --verbose, which go into the Session and not to the command."""
    for names, text in ((("--verbose", "-v"), "Show each stage's times, and where an error came from."),
                        (("--quiet", "-q"), "Show nothing but errors."),
                        (("--json",), "Print one JSON object on standard output, and no table.")):
        # eager: parsed before the other flags, whose errors are reported as --json requires
        command = click.option(*names, is_flag=True, expose_value=False, callback=_remember, cls=Flag,
                               is_eager=True, help=text)(command)
    return command


def _remember(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    session = ctx.ensure_object(Session)
    setattr(session, str(param.name), value)
    if session.quiet and session.verbose:
        raise click.UsageError("--quiet and --verbose exclude each other", ctx)

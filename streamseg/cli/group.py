"""The command group: what `streamseg --help` lists."""

from __future__ import annotations

import difflib
import importlib
import os

import click
from click.shell_completion import ShellComplete, get_completion_class

from .. import __version__
from .flags import Command, write_examples

# Name -> module:command, and what `streamseg --help` says of it. A command's module is imported when it is asked for:
# all together take four times as long as the one that is wanted.
COMMANDS = {
    "run": ("run:run", "Remove the background of files."),
    "batch": ("batch:batch", "Take the background out of many files; resumes."),
    "demo": ("demo:demo", "Show what it does, with no file of yours."),
    "methods": ("methods:methods", "List the methods, or explain one."),
    "compare": ("compare:compare", "Draw methods side by side."),
    "eval": ("eval:evaluate", "Score mattes against the truth."),
    "info": ("info:info", "Show versions, codecs, devices and runtimes, or a model file."),
    "doctor": ("doctor:doctor", "Try camera, codecs, folders and one frame; tell remedies."),
    "bench": ("bench:bench", "Measure speed, memory and start-up on this machine."),
    "live": ("live:live", "Replace the background of a camera live, for calls."),
    "cameras": ("cameras:cameras", "List the cameras, with sizes and rates."),
    "serve": ("serve:serve", "Serve background removal over HTTP."),
    "watch": ("watch:watch", "Work on what comes into a folder, each once."),
}
EXAMPLES = """
    streamseg demo
    streamseg run in.mp4 -o out.mp4 --background blur
    streamseg run in.mp4 -o cutout.mov
    streamseg live --to virtual --background blur
    streamseg methods
    streamseg compare in.mp4 --methods threshold,grabcut -o sheet.png
"""
COMPLETION_EXAMPLES = """
    streamseg completion bash > ~/.local/share/bash-completion/completions/streamseg
    streamseg completion zsh > ~/.zfunc/_streamseg
    streamseg completion fish > ~/.config/fish/completions/streamseg.fish
"""


class Group(click.Group):
    """A group whose commands are imported when they are wanted, and whose --help ends with examples, as theirs do."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, sorted."""
        return sorted({*COMMANDS, *self.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, None where there is none."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            module, _, name = COMMANDS[cmd_name][0].partition(":")
            self.add_command(getattr(importlib.import_module("." + module, __package__), name), cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]
                        ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's. Before its version 8.4 it says of a wrong name no more than that it is wrong."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            hint = ""
            if near and error.format_message() == error.message:
                hint = f" Did you mean '{near[0]}'?"
            elif not near and os.path.exists(args[0]):
                hint = " To remove a file's background: streamseg run FILE -o OUTPUT"
            if not hint:
                raise
            raise click.UsageError(error.message + hint, ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        told = {name: line for name, (_, line) in COMMANDS.items()}
        told |= {name: command.get_short_help_str() for name, command in self.commands.items() if name not in told}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(told.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, and where there are more."""
        write_examples(formatter, EXAMPLES)
        formatter.write("\n`streamseg COMMAND --help` describes each command.\n")


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="streamseg %(version)s")
def group() -> None:
    """Remove the background of videos and pictures. Sound, timing and colours are kept."""


@group.command("completion", cls=Command, short_help="Print the script for completion in a shell.",
               examples=COMPLETION_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that lets SHELL complete commands, flags, methods and choices."""
    made = get_completion_class(shell)
    assert made is not None  # click has all three
    # ShellComplete's own source(): BashComplete's starts a bash to look at its version
    click.echo(ShellComplete.source(made(group, {}, "streamseg", "_STREAMSEG_COMPLETE")))


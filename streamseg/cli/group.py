"""The command group: what `streamseg --help` lists."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from .. import __version__
from .batch import batch
from .bench import bench
from .cameras import cameras
from .compare import compare
from .demo import demo
from .eval import evaluate
from .flags import Command, write_examples
from .info import info
from .live import live
from .methods import methods
from .run import run
from .serve import serve
from .watch import watch

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
    """A group whose --help ends with examples, as its commands' do."""

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


for command in (run, batch, demo, methods, compare, evaluate, info, bench, live, cameras, serve, watch):
    group.add_command(command)

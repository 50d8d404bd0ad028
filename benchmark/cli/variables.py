"""Read the Makefile's variables, NAME=VALUE, as the options of a command."""

from __future__ import annotations

from collections.abc import Iterator

import click

from benchmark.errors import UserError, unknown

MARK = "--variables"
"""Behind this word every other one is a variable."""


class VariablesCommand(click.Command):
    """A command whose options may be given as variables, too: `--variables SEEDS=3 DRY_RUN=1` is `--seeds=3 --dry-run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words of the command line, variables among them.

        Raises:
            UserError: for a variable that is none of the command's; the known ones are named.
        """
        if MARK in args:
            place = args.index(MARK)
            args = [*args[:place], *(word for variable in args[place + 1 :] for word in self._words(variable, ctx))]
        return super().parse_args(ctx, args)

    def _words(self, variable: str, ctx: click.Context) -> Iterator[str]:
        """Say a variable in the words of the command line."""
        name, _, value = variable.partition("=")
        known = dict(_variables(self))
        if name not in known:
            raise unknown("variable", name, known)
        parameter = known[name]
        if not value:
            return  # NAME= is how make's users take a variable back
        if isinstance(parameter, click.Argument):
            yield from value.split()
        elif not parameter.is_flag:
            yield f"{parameter.opts[-1]}={value}"
        else:
            try:
                yield from parameter.opts[-1:] if click.BOOL.convert(value, parameter, ctx) else parameter.secondary_opts[-1:]
            except click.BadParameter:
                raise UserError(f"{name} is {value!r}: 1 or 0, yes or no was expected") from None


class VariablesGroup(click.Group):
    """A group of such commands."""

    command_class = VariablesCommand


def _variables(command: click.Command) -> Iterator[tuple[str, click.Option | click.Argument]]:
    """The variables of a command: its options in capitals, and STUDY for the studies that it takes as words."""
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            yield "STUDY", parameter
        elif isinstance(parameter, click.Option):
            yield parameter.opts[-1].lstrip("-").replace("-", "_").upper(), parameter

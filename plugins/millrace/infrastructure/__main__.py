"""Make, change or delete a stack of Millrace on AWS: `make deploy`, `make destroy`."""

from __future__ import annotations

import argparse
import re
import sys

from millrace.aws.errors import is_of_aws
from millrace.errors import MillraceError
from millrace.infrastructure.account import open_account
from millrace.infrastructure.deploy import ask_person, deploy, destroy
from millrace.infrastructure.template import FOLDER, Template

MAIN = "millrace"
TEMPLATES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def main(arguments: list[str] | None = None) -> int:
    """Do it; 0 if the stack is then as it should be."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except MillraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nNo longer watching. CloudFormation goes on by itself: the same command, a while"
            " later, says how it stands.",
            file=sys.stderr,
        )
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.stack is None:
        options.stack = MAIN if options.template == MAIN else f"{MAIN}-{options.template}"
    account = open_account()
    print(
        f"Stack {options.stack}, account {account.number}, {account.region}, as {account.caller}."
    )
    try:
        if options.command == "destroy":
            destroy(account.cloudformation, options.stack, ask_person)
            return
        text = (FOLDER / f"{options.template}.yaml").read_text(encoding="utf-8")
        template = Template.read(text)
        ask = None if options.yes else ask_person
        deploy(account.cloudformation, options.stack, template, dict(options.values), ask)
    except Exception as error:
        if not is_of_aws(error):
            raise
        raise MillraceError(f"AWS refuses: {error}; mend what it names") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m millrace.infrastructure", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("deploy", "destroy"):
        command = commands.add_parser(name)
        command.add_argument(
            "--template", default=MAIN, choices=TEMPLATES, help="its file in include/cloudformation"
        )
        command.add_argument(
            "--stack", type=_stack, help=f"its name ({MAIN}, or {MAIN}-<template> for another)"
        )
        if name == "deploy":
            command.add_argument("--yes", action="store_true", help="do not ask")
            command.add_argument("values", nargs="*", metavar="Parameter=value", type=_value)
    return parser


def _stack(text: str) -> str:
    """A name that can be part of a repository's and a function's."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name; write up to 40 of a-z, 0-9 and -")
    return text


def _value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no value; write Parameter=value")
    return name, value


if __name__ == "__main__":
    sys.exit(main())

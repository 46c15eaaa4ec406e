#!/usr/bin/python3
"""Writes the man pages megaphone(1) and megaphone.json(5) from what the binary's --help says.

    manual.py FOLDER DATE EXAMPLE BINARY…

DATE is that of the pages, EXAMPLE a configuration that megaphone.json(5) shows. BINARY is a command that starts the binary.
"""

import pathlib
import re
import sys

from usage import Usage


def escaped(text):
    """Text for roff: dashes are those that one types, and no line is taken for a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha").replace("~", "\\(ti").replace("`", "\\(ga")
    return re.sub(r"^\.", r"\\&.", text, flags=re.MULTILINE)


def bold(text):
    return f"\\fB{escaped(text)}\\fR"


def with_values(text):
    """A synopsis: what one types as it is in bold, and what stands for something else in italics."""
    return re.sub(r"\b[A-Z][A-Z_/]*\b", lambda value: f"\\fI{value[0]}\\fR", escaped(text))


def entry(head, *paragraphs):
    return "\n.br\n".join([f".TP\n{head}", *paragraphs]).replace("\n.br\n", "\n", 1) + "\n"


def sentence(text):
    return text[0].upper() + text[1:].rstrip(".") + "." if text else ""


def page(name, number, date, version, what, sections):
    head = f'.TH {name} {number} {date} "megaphone {version}"\n.nh\n.ad l\n.SH NAME\n{escaped(name)} \\- {escaped(what)}\n'
    return head + "".join(f".SH {title}\n{text}" for title, text in sections if text)


def commands(usage):
    return "".join(entry(with_values(command.synopsis), escaped(sentence(command.purpose))) for command in usage.commands if command.purpose)


def modes(usage):
    text = "The options of each mode of\n.BR \"megaphone bench\" :\n"
    for mode in usage.modes:
        text += f".SS {escaped(mode.name)}\n{escaped(sentence(mode.purpose))}\n"
        text += "".join(entry(f"{bold(option.name)} \\fI{escaped(option.form)}\\fR", escaped(sentence(option.meaning))) for option in mode.options)
    return text


def keys(usage):
    return "".join(
        entry(bold(key.path), escaped(sentence(key.meaning)), f"Values: {escaped(key.form)}. Default: {escaped(key.default)}.")
        for key in usage.keys)


def main():
    folder, date, example = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    usage = Usage(sys.argv[4:])
    (folder / "megaphone.1").write_text(page("megaphone", 1, date, usage.version, usage.purpose, [
        ("SYNOPSIS", "\n.br\n".join(with_values(command.synopsis) for command in usage.commands) + "\n"),
        ("COMMANDS", commands(usage)),
        ("CONFIGURATION", escaped(usage.configuration) + "\n.PP\nAll keys are described in\n.BR megaphone.json (5).\n"),
        ("LOAD GENERATOR", modes(usage)),
        ("EXIT STATUS", escaped(usage.status) + "\n"),
        ("FILES", entry("/etc/megaphone/megaphone.json", "The configuration.")
            + entry("/etc/megaphone/secrets", "Environment variables for the service, if this file exists.")
            + entry("/run/megaphone/admin.sock", "The socket over which operators\\(aq commands reach the service.")),
        ("SEE ALSO", ".BR megaphone.json (5),\n.BR systemctl (1)\n.PP\n/usr/share/doc/megaphone/operating.md is the manual for operators.\n"),
    ]), encoding="utf-8")
    (folder / "megaphone.json.5").write_text(page("megaphone.json", 5, date, usage.version, "configuration of megaphone", [
        ("DESCRIPTION", "The file is JSON, in which comments and trailing commas are allowed. Each part of a key but the last is an object:\n"
            + bold("Ecm:Link:To") + " is the member To of the object Link in the object Ecm.\n.PP\n" + escaped(usage.configuration) + "\n"),
        ("KEYS", keys(usage)),
        ("EXAMPLES", f".nf\n{escaped(example.read_text(encoding='utf-8'))}.fi\n"),
        ("SEE ALSO", ".BR megaphone (1)\n"),
    ]), encoding="utf-8")


main()

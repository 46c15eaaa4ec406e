"""What `megaphone --help` and `megaphone bench … --help` say, taken apart: the one source of the man pages and of the completion."""

import re
import subprocess
import sys
from dataclasses import dataclass, field


@dataclass
class Command:
    """One command of the usage."""

    name: str  # as it is written; "" for what stands without a command
    synopsis: str
    purpose: str
    options: list[str] = field(default_factory=list)  # names, with their two dashes; of the service's keys no one
    takes_keys: bool = False


@dataclass
class Key:
    """One entry of the table of keys."""

    path: str
    default: str
    form: str
    meaning: str


@dataclass
class Option:
    """One option of a mode of `megaphone bench`."""

    name: str
    form: str
    meaning: str


@dataclass
class Mode:
    """One mode of `megaphone bench`."""

    name: str
    purpose: str
    options: list[Option]


def parts(pattern, text):
    """The groups of a pattern that all of the text must fit."""
    match = re.fullmatch(pattern, text)
    if not match:
        sys.exit(f"usage.py: the binary's help has a line that is not understood here: {text!r}")
    return match.groups()


class Usage:
    """All of it, of one binary."""

    def __init__(self, binary):
        """binary: the command that starts it, as a list; it need not be built for this machine, if the command emulates one."""
        text = self._ask(binary, "--help")
        title, usage, configuration, keys, status = text.strip("\n").split("\n\n")
        self.version, self.purpose = parts(r"megaphone (\S+): (.*)", title)
        self.commands = self._commands(usage.split("\n")[1:])
        self.configuration = configuration.replace("\n", " ")
        self.keys = self._keys(keys.split("\n")[1:])
        self.status = status.partition(": ")[2].replace("\n", " ")

        bench = self._ask(binary, "bench", "--help").split("\n\n")
        modes = [line.split(None, 1) for line in next(part for part in bench if part.startswith("Modes:\n")).split("\n")[1:]]
        self.modes = [Mode(name, purpose, self._options(self._ask(binary, "bench", name, "--help"))) for name, purpose in modes]

    @staticmethod
    def _ask(binary, *arguments):
        return subprocess.run([*binary, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout

    @staticmethod
    def _commands(lines):
        """A line has a command, or more of what the last one does, or what holds for all that name no configuration file."""
        commands = []
        for line in lines:
            if entry := re.fullmatch(r"  (megaphone .*?)(?: {2,}(.*))?", line):
                synopsis, purpose = entry[1], entry[2] or ""
                name = re.match(r"megaphone \[?([a-z]+)\b", synopsis)
                commands.append(Command(
                    name[1] if name else "", synopsis, purpose,
                    re.findall(r"--(?:[a-z]+|[A-Z][a-z]+(?::[A-Z][a-z]+)+)\b", synopsis), "--SECTION:KEY" in synopsis))
            elif line.startswith("      all of them "):
                shared = re.findall(r"\[(--[^] ]+[^]]*)\]", line)
                for command in commands:
                    if command.name and "--config" not in command.options:
                        command.synopsis += "".join(f" [{option}]" for option in shared)
                        command.options += [option.split()[0] for option in shared]
            else:
                commands[-1].purpose += " " + line.strip()
        return commands

    @staticmethod
    def _keys(lines):
        keys = []
        for line in lines:
            if line.startswith("      "):
                keys[-1].meaning = f"{keys[-1].meaning} {line.strip()}".strip()
            else:
                keys.append(Key(*parts(r"  (\S+) +(\S.*?) {2,}(.+)", line), ""))
        return keys

    @staticmethod
    def _options(text):
        return [Option(*parts(r"  (--\S+) (\S+) +(.+)", line)) for line in text.partition("Options:\n")[2].strip("\n").split("\n")]

#!/usr/bin/python3
"""Writes completion for bash (megaphone.bash) and zsh (_megaphone), from what the binary's --help says.

    completion.py FOLDER BINARY…

BINARY is a command that starts the binary.
"""

import pathlib
import re
import sys

from usage import Usage

# What both shells understand. A key's positions in lists are 0, or as in the word that is completed.
COMMON = r"""
# _megaphone_candidates INDEX FIRST SECOND BEFORE WORD: what WORD may be, the one at INDEX, one a line; FILE stands for the name of any file.
_megaphone_candidates() {
  local command=run mode= position
  if [ "$1" -gt 1 ] && [ "${2#-}" = "$2" ]; then command=$2; fi
  if [ "$1" -gt 2 ] && [ "$command" = bench ]; then mode=$3; fi
  if [ "$1" = 1 ] && [ "${5#-}" = "$5" ]; then
    printf '%s\n' COMMANDS
  elif [ "$1:$command" = 2:bench ]; then
    printf '%s\n' MODES
  elif [ "${4#--}" != "$4" ]; then
    _megaphone_values "$mode" "$4"
  else
    position=$(printf '%s\n' "$5" | sed -nE 's/^--[A-Za-z:]*:([0-9]+)(:.*)?$/\1/p')
    _megaphone_options "$command" "$mode" | sed "s/:N/:${position:-0}/; s/:M/:0/"
  fi
}

_megaphone_options() {
  case $1:$2 in
OPTIONS
  esac
}

_megaphone_values() {
  case $1:$2 in
VALUES
  esac
}
"""

BASH = """# Completion of megaphone for bash, made from what `megaphone --help` says.
""" + COMMON + r"""
_megaphone() {
  local cur prev words cword found
  _get_comp_words_by_ref -n := cur prev words cword
  found=$(_megaphone_candidates "$cword" "${words[1]}" "${words[2]}" "$prev" "$cur")
  COMPREPLY=()
  if [[ $'\n'$found$'\n' == *$'\nFILE\n'* ]]; then _filedir; fi
  COMPREPLY+=($(compgen -X FILE -W "$found" -- "$cur"))
  __ltrim_colon_completions "$cur"
}

complete -F _megaphone megaphone
"""

ZSH = """#compdef megaphone
# Completion of megaphone for zsh, made from what `megaphone --help` says.
""" + COMMON + r"""
_megaphone() {
  local -a found
  found=(${(f)"$(_megaphone_candidates $((CURRENT - 1)) "${words[2]}" "${words[3]}" "${words[CURRENT - 1]}" "${words[CURRENT]}")"})
  if (( ${found[(Ie)FILE]} )); then _files; fi
  compadd -- ${found:#FILE}
}

_megaphone "$@"
"""


def choices(form):
    """The values that a form names, in words or as A|B; FILE where it is the name of a file."""
    if form == "full path":
        return ["FILE"]
    parts = re.split(r"\||, or | or |, ", form)
    return [part for part in parts if part == "FILE" or len(parts) > 1 and re.fullmatch(r"[a-z0-9.:-]+", part)]


def case(pattern, words):
    return f"    {pattern}) printf '%s\\n' {' '.join(words)} ;;" if words else None


def options(usage):
    keys = [f"--{key.path}" for key in usage.keys if "CATEGORY" not in key.path]
    for command in usage.commands:
        yield case(f"{command.name}:*", command.options + keys if command.takes_keys else command.options)
    for mode in usage.modes:
        yield case(f"bench:{mode.name}", [option.name for option in mode.options])


def values(usage):
    yield case(":--config", ["FILE"])
    for key in usage.keys:
        path = re.sub(r":[NM]\b", ":[0-9]*", key.path).replace("CATEGORY", "*")
        yield case(f":--{path}", choices(key.form))
    for mode in usage.modes:
        for option in mode.options:
            yield case(f"{mode.name}:{option.name}", choices(option.form))


def main():
    folder, usage = pathlib.Path(sys.argv[1]), Usage(sys.argv[2:])
    commands = [command.name for command in usage.commands if command.name]
    for name, text in ("megaphone.bash", BASH), ("_megaphone", ZSH):
        text = text.replace("COMMANDS", " ".join(commands)).replace("MODES", " ".join(mode.name for mode in usage.modes))
        text = text.replace("OPTIONS", "\n".join(filter(None, options(usage)))).replace("VALUES", "\n".join(filter(None, values(usage))))
        (folder / name).write_text(text, encoding="utf-8")


main()

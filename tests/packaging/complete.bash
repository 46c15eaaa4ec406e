# Prints what bash completes the last word of $1 to; FILES stands for names of files.
. /usr/share/bash-completion/bash_completion
. /usr/share/bash-completion/completions/megaphone
_filedir() { COMPREPLY+=(FILES); }

# As readline cuts lines: at colons, too. What it inserts begins behind the last one.
read -ra COMP_WORDS <<<"$(sed 's/:/ : /g' <<<"$1")"
[[ $1 != *' ' ]] || COMP_WORDS+=("")
COMP_LINE=$1 COMP_POINT=${#1} COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_megaphone
word=${1##* }
for reply in "${COMPREPLY[@]}"; do printf '%s\n' "${word%"${word##*:}"}$reply"; done

# Prints what zsh completes the last word of $1 to; FILES stands for names of files.
words=(${(s: :)1})
[[ $1 != *' ' ]] || words+=("")
CURRENT=$#words
_files() { print FILES }
compadd() { shift; for match in ${(M)@:#$words[CURRENT]*}; do print -r -- $match; done }
. /usr/share/zsh/vendor-completions/_megaphone

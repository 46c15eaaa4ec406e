%%% @doc Text that came from a socket, made safe for a line of the log or the output of a command. No processes, no I/O.
-module(ejabberd_megaphone_text).

-export([sanitize/1, term/1, failure/3]).

%% Characters of any text.
-define(MAX_TEXT, 200).
%% Characters of a term, which may contain a whole packet.
-define(MAX_TERM, 120).

%% @doc At most 200 characters of `Text', in UTF-8. Replaced by `?' are bytes that are not UTF-8, and characters that would break or reorder
%% the line: control characters and line breaks (C0, C1, U+2028, U+2029), and marks of direction.
-spec sanitize(Text :: unicode:chardata()) -> binary().
sanitize(Text) when is_binary(Text) ->
    sanitize(Text, ?MAX_TEXT, <<>>);
sanitize(Text) ->
    case unicode:characters_to_binary(Text) of
        Binary when is_binary(Binary) -> sanitize(Binary);
        {_Why, Binary, _Rest} -> sanitize(<<Binary/binary, "?">>)
    end.

sanitize(_Text, 0, Safe) -> Safe;
sanitize(<<>>, _Left, Safe) -> Safe;
sanitize(<<Character/utf8, Rest/binary>>, Left, Safe) -> sanitize(Rest, Left - 1, <<Safe/binary, (safe(Character))/utf8>>);
sanitize(<<_, Rest/binary>>, Left, Safe) -> sanitize(Rest, Left - 1, <<Safe/binary, "?">>).

safe(C) when C < 16#20; C >= 16#7F, C =< 16#9F -> $?;
safe(C) when C =:= 16#2028; C =:= 16#2029 -> $?;
safe(C) when C =:= 16#61C; C =:= 16#200E; C =:= 16#200F; C >= 16#202A, C =< 16#202E; C >= 16#2066, C =< 16#2069 -> $?;
safe(C) -> C.

%% @doc A term, truncated.
-spec term(term()) -> binary().
term(Term) -> sanitize(io_lib:format("~0tp", [Term], [{chars_limit, ?MAX_TERM}])).

%% @doc An exception in a few words: its reason and where it was raised. The terms in the reason may be what a client sent, and are left out.
-spec failure(error | exit | throw, Reason :: term(), erlang:stacktrace()) -> binary().
failure(Class, Reason, Stack) -> sanitize([atom_to_list(Class), " ", name(Reason) | where(Stack)]).

name(Reason) when is_atom(Reason) -> atom_to_list(Reason);
name(Reason) when is_tuple(Reason), is_atom(element(1, Reason)) -> atom_to_list(element(1, Reason));
name(_Reason) -> "without a name".

where([{Module, Function, Arity, _} | _]) when is_integer(Arity) -> io_lib:format(" in ~s:~s/~b", [Module, Function, Arity]);
where([{Module, Function, Arguments, At} | _]) -> where([{Module, Function, length(Arguments), At}]);
where(_) -> "".

%%% @doc What came from a socket, made fit for a line of the log or the output of a command. No processes, no I/O.
-module(ejabberd_megaphone_text).

-export([shown/1, term/1, failure/3]).

%% Characters that are shown of anything.
-define(MOST, 200).
%% Characters of a term, which may have a whole packet in it.
-define(MOST_OF_TERM, 120).

%% @doc At most 200 characters of `Said', in UTF-8. There is a `?' for each of those that would break or reorder the line, and for
%% each byte that is no UTF-8: control characters and line breaks (C0, C1, U+2028, U+2029), and marks of direction.
-spec shown(Said :: unicode:chardata()) -> binary().
shown(Said) when is_binary(Said) ->
    shown(Said, ?MOST, <<>>);
shown(Said) ->
    case unicode:characters_to_binary(Said) of
        Text when is_binary(Text) -> shown(Text);
        {_Why, Text, _Rest} -> shown(<<Text/binary, "?">>)
    end.

shown(_Said, 0, Shown) -> Shown;
shown(<<>>, _Left, Shown) -> Shown;
shown(<<Character/utf8, Rest/binary>>, Left, Shown) -> shown(Rest, Left - 1, <<Shown/binary, (harmless(Character))/utf8>>);
shown(<<_, Rest/binary>>, Left, Shown) -> shown(Rest, Left - 1, <<Shown/binary, "?">>).

harmless(C) when C < 16#20; C >= 16#7F, C =< 16#9F -> $?;
harmless(C) when C =:= 16#2028; C =:= 16#2029 -> $?;
harmless(C) when C =:= 16#61C; C =:= 16#200E; C =:= 16#200F; C >= 16#202A, C =< 16#202E; C >= 16#2066, C =< 16#2069 -> $?;
harmless(C) -> C.

%% @doc A term, cut short.
-spec term(term()) -> binary().
term(Term) -> shown(io_lib:format("~0tp", [Term], [{chars_limit, ?MOST_OF_TERM}])).

%% @doc An exception in a few words: what it was, and where. What it was about may be what a client said, and is left out.
-spec failure(error | exit | throw, Reason :: term(), erlang:stacktrace()) -> binary().
failure(Class, Reason, Stack) -> shown([atom_to_list(Class), " ", name(Reason) | where(Stack)]).

name(Reason) when is_atom(Reason) -> atom_to_list(Reason);
name(Reason) when is_tuple(Reason), is_atom(element(1, Reason)) -> atom_to_list(element(1, Reason));
name(_Reason) -> "without a name".

where([{Module, Function, Arity, _} | _]) when is_integer(Arity) -> io_lib:format(" in ~s:~s/~b", [Module, Function, Arity]);
where([{Module, Function, Arguments, At} | _]) -> where([{Module, Function, length(Arguments), At}]);
where(_) -> "".

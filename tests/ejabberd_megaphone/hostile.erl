%%% Bytes that no honest peer sends, for tests and properties.
-module(hostile).

-export([bytes/1, spoilt/1, with_failing/3]).

-include_lib("proper/include/proper.hrl").

%% Invalid UTF-8: bytes that never occur; truncated characters; overlong; a surrogate; beyond the last character.
-define(INVALID, [<<16#FF>>, <<16#80>>, <<16#C3>>, <<16#E2, 16#82>>, <<16#F0, 16#9F, 16#98>>, <<16#C0, 16#80>>, <<16#ED, 16#A0, 16#80>>,
                <<16#F4, 16#90, 16#80, 16#80>>]).

%% A generator: any of these parts, invalid UTF-8 and random bytes, in any order.
bytes(Parts) ->
    ?LET(Chosen, list(oneof([oneof(Parts ++ ?INVALID), binary(3)])), iolist_to_binary(Chosen)).

%% `Whole' with invalid UTF-8 inserted at every place, with and without the rest behind it.
spoilt(Whole) ->
    [<<(binary:part(Whole, 0, At))/binary, Invalid/binary, Rest/binary>>
     || At <- lists:seq(0, byte_size(Whole)),
        Invalid <- ?INVALID,
        Rest <- [binary:part(Whole, At, byte_size(Whole) - At), <<>>]].

%% Calls `Test' while the module is replaced by one with only this function, which raises an exception with all its arguments. No bytes are
%% known that bring that about.
with_failing({Module, Function, Arity}, Class, Test) ->
    Arguments = [{var, 1, list_to_atom("A" ++ integer_to_list(Nth))} || Nth <- lists:seq(1, Arity)],
    Fails = {call, 1, {remote, 1, {atom, 1, erlang}, {atom, 1, Class}}, [{tuple, 1, [{atom, 1, badmatch} | Arguments]}]},
    {ok, Module, Binary} = compile:forms([{attribute, 1, module, Module},
                                          {attribute, 1, export, [{Function, Arity}]},
                                          {function, 1, Function, Arity, [{clause, 1, Arguments, [], [Fails]}]}]),
    {module, Module} = code:load_binary(Module, "failing", Binary),
    try Test()
    after
        code:purge(Module),
        {module, Module} = code:load_file(Module)
    end.

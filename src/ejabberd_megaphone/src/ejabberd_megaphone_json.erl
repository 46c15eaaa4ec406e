%%% @doc JSON, by whichever codec ejabberd has: from 24.06 on its module `misc' has one (OTP's own from OTP 27 on); before, there was jiffy.
%%% Objects are maps with binary keys, strings are binaries.
-module(ejabberd_megaphone_json).

-export([decode/1, encode/1]).

%% @doc Raises an exception for what is not JSON.
-spec decode(Text :: binary()) -> term().
decode(Text) ->
    case misc_has(json_decode) of
        true -> apply(misc, json_decode, [Text]);
        false -> apply(jiffy, decode, [Text, [return_maps]])
    end.

%% @doc The keys of maps may be atoms here.
-spec encode(term()) -> binary().
encode(Term) ->
    case misc_has(json_encode) of
        true -> iolist_to_binary(apply(misc, json_encode, [Term]));
        false -> iolist_to_binary(apply(jiffy, encode, [Term]))
    end.

%% A module that is not loaded yet exports nothing.
misc_has(Function) ->
    _ = code:ensure_loaded(misc),
    erlang:function_exported(misc, Function, 1).

%%% @doc How many bytes may be buffered inside the module for all sessions of a link together (`buffer_total'), and how many are:
%%% packets that sessions have not taken yet, and output for paused clients. Any process may reserve and release.
-module(ejabberd_megaphone_budget).

-export([packet_bytes/1, new/1, try_reserve/2, reserve/2, release/2, reserved/1]).
-export_type([budget/0]).

-opaque budget() :: {atomics:atomics_ref(), Limit :: pos_integer()}.

%% @doc What a packet counts while it is buffered. An empty one takes memory as well.
-spec packet_bytes(Content :: binary()) -> pos_integer().
packet_bytes(Content) -> byte_size(Content) + 32.

%% @doc A budget of `Limit' bytes, none of which is reserved.
-spec new(Limit :: pos_integer()) -> budget().
new(Limit) -> {atomics:new(1, [{signed, true}]), Limit}.

%% @doc Reserves `Bytes'. False, and nothing is reserved, if that would exceed the limit.
-spec try_reserve(budget(), Bytes :: non_neg_integer()) -> boolean().
try_reserve({Reserved, Limit}, Bytes) ->
    case atomics:add_get(Reserved, 1, Bytes) of
        Total when Total > Limit -> ok = atomics:sub(Reserved, 1, Bytes), false;
        _ -> true
    end.

%% @doc Reserves `Bytes' regardless of the limit.
-spec reserve(budget(), Bytes :: non_neg_integer()) -> ok.
reserve({Reserved, _Limit}, Bytes) -> atomics:add(Reserved, 1, Bytes).

%% @doc Gives back `Bytes' that are no longer buffered.
-spec release(budget(), Bytes :: integer()) -> ok.
release({Reserved, _Limit}, Bytes) -> atomics:sub(Reserved, 1, Bytes).

%% @doc How many bytes are reserved at this moment.
-spec reserved(budget()) -> integer().
reserved({Reserved, _Limit}) -> atomics:get(Reserved, 1).

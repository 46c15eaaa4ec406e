%%% @doc The bytes that wait inside the module for all sessions of a link together, and their bound (`buffer_total'): packets
%%% that sessions have not taken up yet, and output for paused clients. Any process may count.
-module(ejabberd_megaphone_waiting).

-export([packet_bytes/1, new/1, try_add/2, add/2, remove/2, bytes/1]).
-export_type([count/0]).

-opaque count() :: {atomics:atomics_ref(), Limit :: pos_integer()}.

%% @doc What a packet counts while it waits. An empty one takes room as well.
-spec packet_bytes(Content :: binary()) -> pos_integer().
packet_bytes(Content) -> byte_size(Content) + 32.

%% @doc Nothing waits, and never more than `Limit' bytes shall.
-spec new(Limit :: pos_integer()) -> count().
new(Limit) -> {atomics:new(1, [{signed, true}]), Limit}.

%% @doc Counts `Bytes' that are to wait. False, and nothing is counted, when there would be too many.
-spec try_add(count(), Bytes :: non_neg_integer()) -> boolean().
try_add({Count, Limit}, Bytes) ->
    case atomics:add_get(Count, 1, Bytes) of
        Total when Total > Limit -> ok = atomics:sub(Count, 1, Bytes), false;
        _ -> true
    end.

%% @doc Counts `Bytes' that wait whatever the bound is.
-spec add(count(), Bytes :: non_neg_integer()) -> ok.
add({Count, _Limit}, Bytes) -> atomics:add(Count, 1, Bytes).

%% @doc Counts `Bytes' that wait no more.
-spec remove(count(), Bytes :: integer()) -> ok.
remove({Count, _Limit}, Bytes) -> atomics:sub(Count, 1, Bytes).

%% @doc How many wait at this moment.
-spec bytes(count()) -> integer().
bytes({Count, _Limit}) -> atomics:get(Count, 1).

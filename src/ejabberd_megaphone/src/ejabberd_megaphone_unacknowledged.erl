%%% @doc What has been sent on a link that can be resumed, and that the ECM has not acknowledged (section 7 of the link protocol): as it was
%%% written, batch by batch. Positions count the bytes behind the welcome. A value: no processes, no I/O.
%%%
%%% Between `start' and `acknowledged' there is at most the beginning of one batch: batches are dropped as a whole, and only a link that is
%%% resumed needs to know where in a batch a packet begins.
-module(ejabberd_megaphone_unacknowledged).

-export([new/0, add/3, acknowledge/2, cut/2, batches/1, bytes/1, acknowledged/1, sent/1]).
-export_type([unacknowledged/0]).

-record(unacknowledged,
        {start = 0 :: non_neg_integer(),                % of the first batch that is kept
         acknowledged = 0 :: non_neg_integer(),
         sent = 0 :: non_neg_integer(),
         batches = queue:new() :: queue:queue({Bytes :: pos_integer(), iodata()})}).

-opaque unacknowledged() :: #unacknowledged{}.

%% @doc Nothing has been sent.
-spec new() -> unacknowledged().
new() -> #unacknowledged{}.

%% @doc Adds what is sent next: whole packets.
-spec add(Bytes :: pos_integer(), Batch :: iodata(), unacknowledged()) -> unacknowledged().
add(Bytes, Batch, #unacknowledged{sent = Sent, batches = Batches} = Before) ->
    Before#unacknowledged{sent = Sent + Bytes, batches = queue:in({Bytes, Batch}, Batches)}.

%% @doc The ECM has received the first `Received' bytes, of those that were sent. Less than is known changes nothing.
-spec acknowledge(Received :: non_neg_integer(), unacknowledged()) -> unacknowledged().
acknowledge(Received, #unacknowledged{acknowledged = Known} = Before) when Received =< Known ->
    Before;
acknowledge(Received, #unacknowledged{sent = Sent} = Before) when Received =< Sent ->
    drop(Before#unacknowledged{acknowledged = Received}).

drop(#unacknowledged{start = Start, acknowledged = Acknowledged, batches = Batches} = Before) ->
    case queue:peek(Batches) of
        {value, {Bytes, _}} when Start + Bytes =< Acknowledged ->
            drop(Before#unacknowledged{start = Start + Bytes, batches = queue:drop(Batches)});
        _ ->
            Before
    end.

%% @doc Goes back to what an ECM that has received the first `Received' bytes has not received. `error': it cannot have received exactly those.
-spec cut(Received :: non_neg_integer(), unacknowledged()) -> {ok, unacknowledged()} | error.
cut(Received, #unacknowledged{acknowledged = Known, sent = Sent}) when Received < Known; Received > Sent ->
    error;
cut(Received, Before) ->
    #unacknowledged{start = Start, batches = Batches} = Now = acknowledge(Received, Before),
    case {Received - Start, queue:out(Batches)} of
        {0, _} ->
            {ok, Now};
        {Offset, {{value, {Bytes, Batch}}, Others}} ->
            Packets = iolist_to_binary(Batch),
            case ejabberd_megaphone_wire:whole_packets(Packets, Offset) of
                Offset ->
                    Rest = binary:part(Packets, Offset, Bytes - Offset),
                    {ok, Now#unacknowledged{start = Received, batches = queue:in_r({Bytes - Offset, Rest}, Others)}};
                _ ->
                    error
            end
    end.

%% @doc What is kept, to be sent again: after cut/2, exactly what is not acknowledged.
-spec batches(unacknowledged()) -> [{Bytes :: pos_integer(), iodata()}].
batches(#unacknowledged{batches = Batches}) -> queue:to_list(Batches).

%% @doc How many bytes are not acknowledged.
-spec bytes(unacknowledged()) -> non_neg_integer().
bytes(#unacknowledged{acknowledged = Acknowledged, sent = Sent}) -> Sent - Acknowledged.

%% @doc How many bytes the ECM is known to have received.
-spec acknowledged(unacknowledged()) -> non_neg_integer().
acknowledged(#unacknowledged{acknowledged = Acknowledged}) -> Acknowledged.

%% @doc How many bytes have been sent, since the link came up.
-spec sent(unacknowledged()) -> non_neg_integer().
sent(#unacknowledged{sent = Sent}) -> Sent.

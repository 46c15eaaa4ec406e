%%% @doc Our direction of a link that can be resumed: what is pending, what has been sent and is not acknowledged, and which of it goes out next.
%%% At most ?WINDOW bytes are unacknowledged (section 7 of the link protocol). A value: no processes, no I/O.
%%%
%%% Acknowledgements, pings and pongs overtake what is pending, and have a part of the window to themselves: so a link stays alive while its
%%% window is full, and two full windows do not wait for each other's acknowledgements.
-module(ejabberd_megaphone_window).

-export([new/0, add/2, add_alive/3, set_ack/2, next/1, acknowledge/2, disconnect/1, cut/2, sent_again/1]).
-export([pending/1, unacknowledged/1, acknowledged/1, sent/1]).
-export_type([window/0, batch/0]).

-include("ejabberd_megaphone.hrl").

%% Bytes at which a batch is sent; larger ones save nothing.
-define(BATCH, 262144).
%% Bytes of the window that only pings, pongs and acknowledgements may use, and the last of them, for acknowledgements alone.
-define(LINK_RESERVE, 65536).
-define(ACK_RESERVE, 8192).

-record(window,
        {unacknowledged = ejabberd_megaphone_unacknowledged:new() :: ejabberd_megaphone_unacknowledged:unacknowledged(),
         pending = queue:new() :: queue:queue(binary()),
         pending_bytes = 0 :: non_neg_integer(),
         alive = {0, []} :: {Bytes :: non_neg_integer(), iodata()},
         ack = none :: non_neg_integer() | none}).

-opaque window() :: #window{}.
%% What goes out next: how many bytes, how many of them were pending, and how many are pings and pongs.
-type batch() :: {Bytes :: pos_integer(), Pending :: non_neg_integer(), Alive :: non_neg_integer(), iodata()}.

-spec new() -> window().
new() -> #window{}.

%% @doc Adds whole packets, behind all that is pending.
-spec add(Packets :: binary(), window()) -> window().
add(Packets, #window{pending = Pending, pending_bytes = Before} = Window) ->
    Window#window{pending = queue:in(Packets, Pending), pending_bytes = Before + byte_size(Packets)}.

%% @doc Adds a ping or a pong.
-spec add_alive(Bytes :: pos_integer(), Packet :: iodata(), window()) -> window().
add_alive(Bytes, Packet, #window{alive = {Before, Packets}} = Window) -> Window#window{alive = {Before + Bytes, [Packets | Packet]}}.

%% @doc The next batch begins with the acknowledgement of that many bytes, which stands for earlier ones.
-spec set_ack(Received :: non_neg_integer(), window()) -> window().
set_ack(Received, Window) -> Window#window{ack = Received}.

%% @doc Takes out what is to be written next, which counts as sent. `none': there is nothing, or no room for it.
-spec next(window()) -> {batch(), window()} | none.
next(#window{unacknowledged = Unacknowledged} = Window0) ->
    Room = ?WINDOW - ejabberd_megaphone_unacknowledged:bytes(Unacknowledged),
    {AckBytes, Ack, Window1} = take_ack(Room, Window0),
    {AliveBytes, Alive, Window2} = take_alive(Room - AckBytes, Window1),
    {Bytes, Packets, Window3} = take_pending(Room - AckBytes - AliveBytes - ?LINK_RESERVE, 0, [], Window2),
    case AckBytes + AliveBytes + Bytes of
        0 ->
            none;
        Total ->
            Batch = [Ack, Alive | Packets],
            Sent = ejabberd_megaphone_unacknowledged:add(Total, Batch, Unacknowledged),
            {{Total, Bytes, AliveBytes, Batch}, Window3#window{unacknowledged = Sent}}
    end.

take_ack(_Room, #window{ack = none} = Window) ->
    {0, [], Window};
take_ack(Room, #window{ack = Received} = Window) ->
    case ejabberd_megaphone_control:packet({ack, Received}) of
        {Bytes, Packet} when Bytes =< Room -> {Bytes, Packet, Window#window{ack = none}};
        _ -> {0, [], Window}
    end.

take_alive(Room, #window{alive = {Bytes, Packets}} = Window) when Bytes > 0, Bytes =< Room - ?ACK_RESERVE ->
    {Bytes, Packets, Window#window{alive = {0, []}}};
take_alive(_Room, Window) ->
    {0, [], Window}.

take_pending(_Room, Bytes, Packets, Window) when Bytes >= ?BATCH ->
    {Bytes, Packets, Window};
take_pending(Room, Bytes, Packets, #window{pending = Pending, pending_bytes = Left} = Window) ->
    case queue:out(Pending) of
        {{value, Next}, Others} when byte_size(Next) =< Room ->
            Size = byte_size(Next),
            take_pending(Room - Size, Bytes + Size, [Packets | Next], Window#window{pending = Others, pending_bytes = Left - Size});
        {{value, Next}, Others} when Room > 0 ->
            %% The whole packets that have room.
            Size = ejabberd_megaphone_wire:whole_packets(Next, Room),
            <<First:Size/binary, Rest/binary>> = Next,
            {Bytes + Size, [Packets | First], Window#window{pending = queue:in_r(Rest, Others), pending_bytes = Left - Size}};
        _ ->
            {Bytes, Packets, Window}
    end.

%% @doc The ECM has received the first `Received' bytes, of those that were sent.
-spec acknowledge(Received :: non_neg_integer(), window()) -> window().
acknowledge(Received, #window{unacknowledged = Before} = Window) ->
    Window#window{unacknowledged = ejabberd_megaphone_unacknowledged:acknowledge(Received, Before)}.

%% @doc Drops the acknowledgement, pings and pongs that were about to be sent: on another connection they mean nothing. Returns how many bytes of
%% pings and pongs there were.
-spec disconnect(window()) -> {Alive :: non_neg_integer(), window()}.
disconnect(#window{alive = {Bytes, _}} = Window) -> {Bytes, Window#window{alive = {0, []}, ack = none}}.

%% @doc Prepares for a connection of an ECM that has received the first `Received' bytes. `error': it cannot have received exactly those.
-spec cut(Received :: non_neg_integer(), window()) -> {ok, window()} | error.
cut(Received, #window{unacknowledged = Before} = Window) ->
    case ejabberd_megaphone_unacknowledged:cut(Received, Before) of
        {ok, Now} -> {ok, Window#window{unacknowledged = Now}};
        error -> error
    end.

%% @doc After cut/2: what has to be sent again.
-spec sent_again(window()) -> [{Bytes :: pos_integer(), iodata()}].
sent_again(#window{unacknowledged = Unacknowledged}) -> ejabberd_megaphone_unacknowledged:batches(Unacknowledged).

%% @doc Bytes that are pending.
-spec pending(window()) -> non_neg_integer().
pending(#window{pending_bytes = Bytes}) -> Bytes.

%% @doc Bytes that were sent and are not acknowledged.
-spec unacknowledged(window()) -> non_neg_integer().
unacknowledged(#window{unacknowledged = Unacknowledged}) -> ejabberd_megaphone_unacknowledged:bytes(Unacknowledged).

%% @doc Bytes that the ECM is known to have received.
-spec acknowledged(window()) -> non_neg_integer().
acknowledged(#window{unacknowledged = Unacknowledged}) -> ejabberd_megaphone_unacknowledged:acknowledged(Unacknowledged).

%% @doc Bytes that were sent, since the link came up.
-spec sent(window()) -> non_neg_integer().
sent(#window{unacknowledged = Unacknowledged}) -> ejabberd_megaphone_unacknowledged:sent(Unacknowledged).

%%% @doc The ECM's direction of a link that can be resumed: how many bytes have been received, when that is to be acknowledged, and the packets
%%% that are kept because they cannot be handled yet, which are not received until they are (section 7 of the link protocol). A value:
%%% no processes, no I/O.
-module(ejabberd_megaphone_received).

-export([new/1, connect/2, disconnect/1, arrived/3, keep/3, take_kept/1, needs_no_ack/2, needs_ack/1, delay_is_over/1, count/1]).
-export_type([received/0, decision/0]).

-define(HEADER, 32).
%% What may exceed the ECM's window: another kind of ECM may not count what is heeded ahead.
-define(SLACK, 65536).

-record(received,
        {window :: pos_integer(),
         count = 0 :: non_neg_integer(),                % bytes that have been received since the link came up
         acknowledged = 0 :: non_neg_integer(),         % of them
         quiet = 0 :: non_neg_integer(),                % of those that are not acknowledged, bytes that call for no acknowledgement
         base = 0 :: integer(),                         % what an offset in the connection lacks to be a count of bytes
         is_delayed = false :: boolean(),               % delay_is_over/1 will be called
         is_due = false :: boolean(),                   % an acknowledgement does not wait for more
         kept = [] :: [{ejabberd_megaphone_wire:id(), binary()}]}).     % last first

%% none: of a link that cannot be resumed, on which nothing is counted.
-opaque received() :: #received{} | none.
%% Whether the ECM is to be told what has been received: now, after a delay, or not yet.
-type decision() :: {now, Bytes :: non_neg_integer(), received()} | {delayed | no, received()}.

%% @doc Nothing has been received from an ECM that may leave `Window' bytes unacknowledged. `none': the link cannot be resumed.
-spec new(Window :: pos_integer() | none) -> received().
new(none) -> none;
new(Window) -> #received{window = Window}.

%% @doc A connection, on which counting begins at this offset.
-spec connect(Offset :: non_neg_integer(), received()) -> received().
connect(_Offset, none) -> none;
connect(Offset, #received{count = Count} = Received) -> Received#received{base = Count - Offset, acknowledged = Count, quiet = 0}.

%% @doc The connection has ended. The ECM sends again what was kept.
-spec disconnect(received()) -> received().
disconnect(Received) -> Received#received{kept = [], is_due = false}.

%% @doc All packets before this offset of the connection have been handled; or, while packets are kept, heeded or kept. `too_much': more would
%% have to be kept than the ECM may send.
-spec arrived(Offset :: non_neg_integer(), IsKeeping :: boolean(), received()) -> decision() | too_much.
arrived(_Offset, _IsKeeping, none) ->
    {no, none};
arrived(Offset, false, #received{base = Base} = Received) ->
    decide(Received#received{count = Base + Offset});
arrived(Offset, true, #received{window = Window, base = Base, count = Count}) when Base + Offset - Count > Window + ?SLACK ->
    too_much;
arrived(_Offset, true, Received) ->
    {no, Received}.

decide(#received{window = Window, count = Count, acknowledged = Acknowledged, quiet = Quiet, is_delayed = IsDelayed, is_due = IsDue} = Received) ->
    if
        IsDue; Count - Acknowledged >= Window div 8, Count > Acknowledged ->
            {now, Count, Received#received{acknowledged = Count, quiet = 0, is_due = false}};
        Count - Acknowledged > Quiet, not IsDelayed ->
            {delayed, Received#received{is_delayed = true}};
        true ->
            {no, Received}
    end.

%% @doc The delay is over, at the end of which everything is acknowledged that calls for it.
-spec delay_is_over(received()) -> decision().
delay_is_over(#received{count = Count, acknowledged = Acknowledged, quiet = Quiet} = Received) ->
    decide(Received#received{is_delayed = false, is_due = Count - Acknowledged > Quiet}).

%% @doc Keeps a packet behind those that are kept.
-spec keep(ejabberd_megaphone_wire:id(), Content :: binary(), received()) -> received().
keep(Id, Content, #received{kept = Kept} = Received) -> Received#received{kept = [{Id, Content} | Kept]}.

%% @doc Takes out the packets that are kept, in order, to be handled now; arrived/3 follows.
-spec take_kept(received()) -> {[{ejabberd_megaphone_wire:id(), binary()}], received()}.
take_kept(#received{kept = Kept} = Received) -> {lists:reverse(Kept), Received#received{kept = []}}.

%% @doc This packet alone calls for no acknowledgement.
-spec needs_no_ack(Content :: binary(), received()) -> received().
needs_no_ack(_Content, none) -> none;
needs_no_ack(Content, #received{quiet = Quiet} = Received) -> Received#received{quiet = Quiet + ?HEADER + byte_size(Content)}.

%% @doc The packet that has been taken last calls for an acknowledgement at once.
-spec needs_ack(received()) -> received().
needs_ack(Received) -> Received#received{is_due = true}.

%% @doc How many bytes have been received since the link came up.
-spec count(received()) -> non_neg_integer().
count(#received{count = Count}) -> Count.

%%% @doc Delivery of packets to the processes of their sessions, with back pressure. A session has at most ?MAILBOX_HIGH packets in its
%%% mailbox. Further ones stay in the receiver's backlog, the ECM is asked to pause that client, and if that does not help, or if all
%%% sessions of the link together would exceed `buffer_total', the session has to be reset.
%%%
%%% Every byte of a packet is reserved in the link's budget from its arrival until the session takes it. What a session leaves in its
%%% mailbox when its process ends is released by release_mailbox/2, in the receiver: nobody else delivers to it.
%%%
%%% taken/3 runs in the processes of sessions, everything else in the receiver.
-module(ejabberd_megaphone_delivery).

-export([deliver/4, taken/3, deliver_backlog/3, discard_backlog/3, release_mailbox/2]).

-import(ejabberd_megaphone_budget, [packet_bytes/1]).

-include("ejabberd_megaphone.hrl").

%% Packets that a session may have in its mailbox, and the number at which it is sent more again.
-define(MAILBOX_HIGH, 64).
-define(MAILBOX_LOW, 16).
%% Bytes of a packet that a session with nothing buffered may always have, so that others that use up `buffer_total' do not end it.
-define(ALWAYS_ALLOWED, 4096).

%% @doc Delivers a packet, or puts it into the backlog, which is returned if it has changed. `reset': a limit was passed, and the session
%% has to be reset for that reason.
-spec deliver(#session{}, Content :: binary(), #link{}, ejabberd_megaphone_backlog:backlog()) ->
          ok | {ok, ejabberd_megaphone_backlog:backlog()} | {reset, Reason :: binary()}.
deliver(#session{id = Id, c2s = C2S, packets = Packets}, Content, #link{budget = Budget} = Link, Backlog) ->
    case may_buffer(Packets, packet_bytes(Content), Budget) of
        true ->
            case ejabberd_megaphone_backlog:is_member(Id, Backlog) of
                true -> put_in_backlog(Id, Content, Link, Backlog);
                false -> send(Id, C2S, Content, Link, Backlog)
            end;
        false ->
            {reset, <<"buffer_total">>}
    end.

may_buffer(0, Bytes, Budget) when Bytes =< ?ALWAYS_ALLOWED -> ejabberd_megaphone_budget:reserve(Budget, Bytes), true;
may_buffer(_Packets, Bytes, Budget) -> ejabberd_megaphone_budget:try_reserve(Budget, Bytes).

send(Id, C2S, Content, #link{sessions = Sessions}, Backlog) ->
    C2S ! {ejabberd_megaphone, {packet, compact(Content)}},
    case count(Sessions, Id, 1, packet_bytes(Content)) of
        ?MAILBOX_HIGH ->
            case count(Sessions, Id, ?BACKLOGGED, 0) of
                Packets when Packets > ?BACKLOGGED + ?MAILBOX_LOW ->
                    %% The session will pass the low mark, and taken/3 will tell the receiver.
                    {ok, ejabberd_megaphone_backlog:add(Id, Backlog)};
                _ ->
                    count(Sessions, Id, -?BACKLOGGED, 0),
                    ok
            end;
        _ ->
            ok
    end.

%% The session may have ended meanwhile, and its row may have been deleted.
count(Sessions, Id, Packets, Bytes) ->
    try ets:update_counter(Sessions, Id, [{#session.packets, Packets}, {#session.bytes, Bytes}]) of
        [Total, _] -> Total
    catch
        error:badarg -> 0
    end.

%% A small packet in a mailbox must not keep alive the large buffer in which it arrived.
compact(Content) ->
    case binary:referenced_byte_size(Content) > 2 * byte_size(Content) of
        true -> binary:copy(Content);
        false -> Content
    end.

put_in_backlog(Id, Content, #link{budget = Budget, counters = Counters, has_control = HasControl} = Link, Backlog) ->
    case ejabberd_megaphone_backlog:put(Id, compact(Content), HasControl, Backlog) of
        {ok, NewBacklog} ->
            {ok, NewBacklog};
        {pause, NewBacklog} ->
            ejabberd_megaphone_counters:add(Counters, pauses),
            ejabberd_megaphone_sender:control(Link, {pause, Id}),
            {ok, NewBacklog};
        full ->
            ejabberd_megaphone_budget:release(Budget, packet_bytes(Content)),
            {reset, <<"buffer_limit">>}
    end.

%% @doc Called by a session that has taken a packet out of its mailbox.
-spec taken(#link{}, ejabberd_megaphone_wire:id(), Content :: binary()) -> ok.
taken(#link{sessions = Sessions, receiver = Receiver, budget = Budget}, Id, Content) ->
    Bytes = packet_bytes(Content),
    ejabberd_megaphone_budget:release(Budget, Bytes),
    case count(Sessions, Id, -1, -Bytes) of
        ?BACKLOGGED + ?MAILBOX_LOW -> ejabberd_megaphone_receiver:mailbox_is_low(Receiver, Id);
        _ -> ok
    end.

%% @doc Delivers from the backlog of a session whose mailbox has room again.
-spec deliver_backlog(ejabberd_megaphone_wire:id(), #link{}, ejabberd_megaphone_backlog:backlog()) -> ejabberd_megaphone_backlog:backlog().
deliver_backlog(Id, #link{sessions = Sessions} = Link, Backlog) ->
    case {ejabberd_megaphone_backlog:is_member(Id, Backlog), ets:lookup(Sessions, Id)} of
        {true, [#session{c2s = C2S, packets = Packets}]} when is_pid(C2S) ->
            {Left, Contents, NewBacklog} = ejabberd_megaphone_backlog:take(Id, max(0, ?MAILBOX_HIGH - (Packets - ?BACKLOGGED)), Backlog),
            lists:foreach(fun(Content) -> C2S ! {ejabberd_megaphone, {packet, Content}} end, Contents),
            InMailbox = count(Sessions, Id, length(Contents), lists:sum([packet_bytes(Content) || Content <- Contents])),
            _ = case Left of
                    %% A fast session may have passed the low mark before the new packets were counted, and will not pass it again.
                    more -> [ejabberd_megaphone_receiver:mailbox_is_low(self(), Id) || InMailbox =< ?BACKLOGGED + ?MAILBOX_LOW];
                    _ ->
                        count(Sessions, Id, -?BACKLOGGED, 0),
                        [ejabberd_megaphone_sender:control(Link, {resume, Id}) || Left =:= resume]
                end,
            NewBacklog;
        _ ->
            discard_backlog(Id, Link, Backlog)
    end.

%% @doc Discards the backlog of a session that is over.
-spec discard_backlog(ejabberd_megaphone_wire:id(), #link{}, ejabberd_megaphone_backlog:backlog()) -> ejabberd_megaphone_backlog:backlog().
discard_backlog(Id, #link{budget = Budget}, Backlog) ->
    {Bytes, Others} = ejabberd_megaphone_backlog:delete(Id, Backlog),
    ejabberd_megaphone_budget:release(Budget, Bytes),
    Others.

%% @doc Releases what was in the mailbox of a session whose process has ended.
-spec release_mailbox(ejabberd_megaphone_wire:id(), #link{}) -> ok.
release_mailbox(Id, #link{sessions = Sessions, budget = Budget}) ->
    _ = case ets:lookup(Sessions, Id) of
            [#session{bytes = Bytes}] ->
                ejabberd_megaphone_budget:release(Budget, Bytes),
                ets:update_element(Sessions, Id, {#session.bytes, 0});
            [] ->
                false
        end,
    ok.

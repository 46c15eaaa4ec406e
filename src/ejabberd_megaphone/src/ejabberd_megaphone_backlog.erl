%%% @doc The packets that a link's receiver keeps for sessions that do not keep up: in order, up to a limit for each session, with a
%%% note whether the ECM was asked to pause the session's client. A value: no processes, no I/O. The decisions are those of
%%% ejabberd_megaphone_delivery.
-module(ejabberd_megaphone_backlog).

-export([new/0, is_member/2, add/2, put/4, take/3, delete/2]).
-export_type([backlog/0]).

-import(ejabberd_megaphone_budget, [packet_bytes/1]).

%% Bytes in the backlog of a session at which its client is asked to pause, and the most there may be: more than a link can hold in
%% rings and socket buffers, so that no client is reset for what was in flight when it was asked to pause.
-define(HIGH_WATERMARK, 65536).
-define(LIMIT, 16777216).

-record(entry,
        {bytes = 0 :: non_neg_integer(),               % packet_bytes/1 of all packets
         packets = queue:new() :: queue:queue(binary()),
         is_paused = false :: boolean()}).

-opaque backlog() :: #{ejabberd_megaphone_wire:id() => #entry{}}.

%% @doc The backlog without any session in it.
-spec new() -> backlog().
new() -> #{}.

%% @doc Whether packets for this session have to go through the backlog, even if none is in it at the moment.
-spec is_member(ejabberd_megaphone_wire:id(), backlog()) -> boolean().
is_member(Id, Backlog) -> is_map_key(Id, Backlog).

%% @doc Sends the packets for this session through the backlog from now on.
-spec add(ejabberd_megaphone_wire:id(), backlog()) -> backlog().
add(Id, Backlog) -> Backlog#{Id => #entry{}}.

%% @doc Appends a packet. `pause': the high watermark was passed, so the client must be asked to pause; returned once, and only if it
%% `CanPause', which takes a link with control. `full': the limit would be passed, and nothing has changed. The packet must not be a
%% reference into a larger buffer.
-spec put(ejabberd_megaphone_wire:id(), binary(), CanPause :: boolean(), backlog()) -> {ok | pause, backlog()} | full.
put(Id, Content, CanPause, Backlog) ->
    #{Id := #entry{bytes = Before, packets = Packets, is_paused = IsPaused} = Entry} = Backlog,
    Bytes = Before + packet_bytes(Content),
    if
        Bytes > ?LIMIT ->
            full;
        true ->
            MustPause = CanPause andalso not IsPaused andalso Bytes > ?HIGH_WATERMARK,
            New = Entry#entry{bytes = Bytes, packets = queue:in(Content, Packets), is_paused = IsPaused orelse MustPause},
            {if MustPause -> pause; true -> ok end, Backlog#{Id := New}}
    end.

%% @doc Takes out the oldest packets of a session, at most `Count'. `more': others are left. `resume' and `done': none is left, and the
%% session is no longer a member; its client was, or was not, asked to pause.
-spec take(ejabberd_megaphone_wire:id(), Count :: non_neg_integer(), backlog()) -> {more | resume | done, [binary()], backlog()}.
take(Id, Count, Backlog) ->
    #{Id := #entry{bytes = Bytes, packets = Packets, is_paused = IsPaused} = Entry} = Backlog,
    {Oldest, Left} = queue:split(min(Count, queue:len(Packets)), Packets),
    Taken = queue:to_list(Oldest),
    case queue:is_empty(Left) of
        true -> {if IsPaused -> resume; true -> done end, Taken, maps:remove(Id, Backlog)};
        false -> {more, Taken, Backlog#{Id := Entry#entry{bytes = Bytes - bytes(Taken), packets = Left}}}
    end.

%% @doc Discards the packets of a session, if there are any, and returns how many bytes they were.
-spec delete(ejabberd_megaphone_wire:id(), backlog()) -> {Bytes :: non_neg_integer(), backlog()}.
delete(Id, Backlog) ->
    case maps:take(Id, Backlog) of
        {#entry{bytes = Bytes}, Others} -> {Bytes, Others};
        error -> {0, Backlog}
    end.

bytes(Packets) -> lists:sum([packet_bytes(Packet) || Packet <- Packets]).

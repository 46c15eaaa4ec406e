%%% @doc What a receiver holds back for sessions that do not keep up: packets in their order, up to a bound for each session, and
%%% whether its client has been asked to pause. Nothing but data; who asks, counts and resets is the receiver.
-module(ejabberd_megaphone_held).

-export([new/0, is_held/2, add/2, put/4, take/3, forget/2]).
-export_type([held/0]).

-import(ejabberd_megaphone_waiting, [packet_bytes/1]).

%% Bytes that wait for one session before its client is asked to pause, and at most: more than a link can hold in its rings and
%% socket buffers, so that no client is reset for what was under way when it was asked to pause.
-define(PAUSE_MARK, 65536).
-define(LIMIT, 16777216).

-record(one,
        {bytes = 0 :: non_neg_integer(),               % packet_bytes/1 of all of them
         packets = queue:new() :: queue:queue(binary()),
         paused = false :: boolean()}).

-opaque held() :: #{ejabberd_megaphone_wire:id() => #one{}}.

%% @doc Nothing is held back for anybody.
-spec new() -> held().
new() -> #{}.

%% @doc Whether packets of this session are held back, be there any or not.
-spec is_held(ejabberd_megaphone_wire:id(), held()) -> boolean().
is_held(Id, Held) -> is_map_key(Id, Held).

%% @doc From now on they are.
-spec add(ejabberd_megaphone_wire:id(), held()) -> held().
add(Id, Held) -> Held#{Id => #one{}}.

%% @doc Holds a packet back. `pause': so much waits now that the client must be asked to pause, which is said once, and only to who
%% can be asked. `full': it is too much, and nothing has changed. The packet must not keep alive a larger buffer.
-spec put(ejabberd_megaphone_wire:id(), binary(), MayPause :: boolean(), held()) -> {ok | pause, held()} | full.
put(Id, Content, MayPause, Held) ->
    #{Id := #one{bytes = Before, packets = Packets, paused = Paused} = One} = Held,
    Bytes = Before + packet_bytes(Content),
    if
        Bytes > ?LIMIT ->
            full;
        true ->
            MustPause = MayPause andalso not Paused andalso Bytes > ?PAUSE_MARK,
            New = One#one{bytes = Bytes, packets = queue:in(Content, Packets), paused = Paused orelse MustPause},
            {if MustPause -> pause; true -> ok end, Held#{Id := New}}
    end.

%% @doc Takes out at most so many packets, the oldest first. `more': others are still held back. `resume' and `done': none is any more,
%% nor will be, and the client was, or was not, asked to pause.
-spec take(ejabberd_megaphone_wire:id(), Count :: non_neg_integer(), held()) -> {more | resume | done, [binary()], held()}.
take(Id, Count, Held) ->
    #{Id := #one{bytes = Bytes, packets = Packets, paused = Paused} = One} = Held,
    {Now, Later} = queue:split(min(Count, queue:len(Packets)), Packets),
    Taken = queue:to_list(Now),
    case queue:is_empty(Later) of
        true -> {if Paused -> resume; true -> done end, Taken, maps:remove(Id, Held)};
        false -> {more, Taken, Held#{Id := One#one{bytes = Bytes - bytes(Taken), packets = Later}}}
    end.

%% @doc Throws away what is held back for a session, if anything is.
-spec forget(ejabberd_megaphone_wire:id(), held()) -> {Bytes :: non_neg_integer(), held()}.
forget(Id, Held) ->
    case maps:take(Id, Held) of
        {#one{bytes = Bytes}, Others} -> {Bytes, Others};
        error -> {0, Held}
    end.

bytes(Packets) -> lists:sum([packet_bytes(Packet) || Packet <- Packets]).

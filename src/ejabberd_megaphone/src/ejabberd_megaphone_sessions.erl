%%% @doc The table of a link's sessions: rows of #session{}. The link's owner owns the table, and is told of what others change. Ids that are over
%%% stay in it for a while.
-module(ejabberd_megaphone_sessions).

-export([new/0, opened/3, refused/2, close/2, abort/2, none_ended/0, remember/3]).
-export_type([ended/0]).

-include("ejabberd_megaphone.hrl").

%% Ended ids that are remembered, so that packets that arrive for them later do not open sessions.
-define(REMEMBERED, 65536).

%% The ids that are remembered, and how many they are.
-opaque ended() :: {queue:queue(ejabberd_megaphone_wire:id()), non_neg_integer()}.

%% @doc A table without rows, which the calling process owns.
-spec new() -> ets:tid().
new() -> ets:new(?MODULE, [public, set, {keypos, #session.id}, {write_concurrency, true}]).

%% @doc Called by the receiver: a session is open.
-spec opened(#link{}, ejabberd_megaphone_wire:id(), C2S :: pid()) -> ok.
opened(#link{owner = Owner, sessions = Sessions, counters = Counters}, Id, C2S) ->
    true = ets:insert_new(Sessions, #session{id = Id, c2s = C2S}),
    ejabberd_megaphone_counters:add(Counters, sessions_opened),
    gen_server:cast(Owner, {opened, Id, C2S}).

%% @doc Called by the receiver: a session was refused, so that further packets for that id are to be dropped.
-spec refused(#link{}, ejabberd_megaphone_wire:id()) -> ok.
refused(#link{owner = Owner, sessions = Sessions}, Id) ->
    true = ets:insert_new(Sessions, #session{id = Id, c2s = ended}),
    gen_server:cast(Owner, {refused, Id}).

%% @doc Called by whoever ends a session: its c2s process, the receiver or the owner. True for the first of them; false if the session was
%% over already.
-spec close(#link{}, ejabberd_megaphone_wire:id()) -> boolean().
close(#link{owner = Owner, sessions = Sessions, counters = Counters}, Id) ->
    OpenToEnded = [{#session{id = Id, c2s = '$1', packets = '_', bytes = '$2'}, [{is_pid, '$1'}],
                    [{#session{id = Id, c2s = ended, bytes = '$2'}}]}],
    try ets:select_replace(Sessions, OpenToEnded) of
        1 ->
            ejabberd_megaphone_counters:add(Counters, sessions_ended),
            gen_server:cast(Owner, {ended, Id}),
            true;
        0 ->
            false
    catch
        error:badarg -> false                  % the table is gone, and its owner with it
    end.

%% @doc Closes a session whose c2s process is to be told that its socket is closed. True if it was open.
-spec abort(#link{}, ejabberd_megaphone_wire:id()) -> boolean().
abort(#link{sessions = Sessions} = Link, Id) ->
    case ets:lookup(Sessions, Id) of
        [#session{c2s = C2S}] when is_pid(C2S) -> C2S ! {tcp_closed, Id}, close(Link, Id);
        _ -> false
    end.

-spec none_ended() -> ended().
none_ended() -> {queue:new(), 0}.

%% @doc Keeps the id of a session whose process has ended, and forgets the oldest of them for it.
-spec remember(ejabberd_megaphone_wire:id(), ets:tid(), ended()) -> ended().
remember(Id, _Sessions, {Ended, Count}) when Count < ?REMEMBERED ->
    {queue:in(Id, Ended), Count + 1};
remember(Id, Sessions, {Ended0, Count}) ->
    {{value, Oldest}, Ended} = queue:out(Ended0),
    ets:delete(Sessions, Oldest),
    {queue:in(Id, Ended), Count}.

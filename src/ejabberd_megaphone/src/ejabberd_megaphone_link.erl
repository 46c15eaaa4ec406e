%%% @doc The owner of a link's sessions. It outlives the link's socket: every session monitors this process, and when the link
%%% is lost they are told one after the other, at `close_rate', instead of all waking up at once. It stays for as long as there is
%%% a process of theirs, which may wait to be resumed (XEP-0198), and sleep meanwhile.
-module(ejabberd_megaphone_link).
-behaviour(gen_server).

-export([start/4, options/1, find/1, greeted/2, opened/3, end_session/2, refused/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("ejabberd_megaphone.hrl").
-include("logger.hrl").

%% Ids that have ended lately, and that are not to be taken for new ones when more comes for them.
-define(REMEMBERED, 65536).
%% ms between two steps of closing.
-define(STEP, 20).
%% ms after which sessions that are still there are told again.
-define(AGAIN, 1000).
%% ms in which the other end has to close the connection once everything is over.
-define(LINGER, 2000).

-record(state,
        {link :: #link{},
         options :: #options{},
         keeper :: pid(),
         live = 0 :: integer(),                              % sessions that are open
         processes = 0 :: non_neg_integer(),                 % c2s processes, of sessions that are open or not any more
         ended = queue:new() :: queue:queue(ejabberd_megaphone_wire:id()),
         ended_count = 0 :: non_neg_integer(),
         %% Whether all sessions are being closed, and how far that is; over: none is open any more.
         closing = no :: no | start | {more, term()} | told | over,
         told = 0 :: integer()}).                            % sessions told to close that have not ended yet

%%% API

%% @doc Starts the owner of a new link, for the process that receives. `ignore': its listener has just been stopped.
-spec start(connection(), Listener :: pid(), {endpoint(), endpoint()},
            {ejabberd_megaphone_shared:key(), counters:counters_ref()}) -> {ok, #link{}} | ignore.
start(Connection, Listener, SockPeerName, Shared) ->
    case gen_server:start(?MODULE, {Connection, self(), Listener, SockPeerName, Shared}, []) of
        {ok, Owner} -> {ok, gen_server:call(Owner, link)};
        ignore -> ignore
    end.

-spec options(#link{}) -> #options{}.
options(#link{options = Key}) -> ejabberd_megaphone_shared:get(Key).

%% @doc The link that a session belongs to.
-spec find(Owner :: pid()) -> {ok, #link{}} | error.
find(Owner) ->
    try ets:lookup(?LINKS, Owner) of
        [Link] -> {ok, Link};
        [] -> error
    catch
        error:badarg -> error
    end.

%% @doc Called by the receiver: the other end has said hello.
-spec greeted(#link{}, ejabberd_megaphone_control:hello()) -> #link{}.
greeted(Link, #{name := Name, max_packet := MaxPacket}) ->
    Greeted = Link#link{name = Name, max_out = MaxPacket},
    gen_server:call(Link#link.owner, {update, Greeted}),
    Greeted.

%% @doc Called by the receiver: a session has begun.
-spec opened(#link{}, ejabberd_megaphone_wire:id(), C2S :: pid()) -> ok.
opened(#link{owner = Owner, sessions = Sessions, counters = Counters}, Id, C2S) ->
    true = ets:insert_new(Sessions, #session{id = Id, c2s = C2S}),
    ejabberd_megaphone_counters:add(Counters, sessions_opened),
    gen_server:cast(Owner, {opened, Id, C2S}).

%% @doc Called by the receiver: a session was not begun, and what else comes for that id shall be dropped.
-spec refused(#link{}, ejabberd_megaphone_wire:id()) -> ok.
refused(#link{owner = Owner, sessions = Sessions}, Id) ->
    true = ets:insert_new(Sessions, #session{id = Id, c2s = ended}),
    gen_server:cast(Owner, {refused, Id}).

%% @doc Called by whoever ends a session: its c2s process, the receiver or the owner. True for the first of them; false when
%% it was over already.
-spec end_session(#link{}, ejabberd_megaphone_wire:id()) -> boolean().
end_session(#link{owner = Owner, sessions = Sessions, counters = Counters}, Id) ->
    OpenToEnded = [{#session{id = Id, c2s = '$1', load = '_', bytes = '$2'}, [{is_pid, '$1'}],
                    [{#session{id = Id, c2s = ended, bytes = '$2'}}]}],
    try ets:select_replace(Sessions, OpenToEnded) of
        1 ->
            ejabberd_megaphone_counters:add(Counters, sessions_ended),
            gen_server:cast(Owner, {ended, Id}),
            true;
        0 ->
            false
    catch
        error:badarg -> false                  % the table and its owner are gone
    end.

%%% The process.

%% @private
-spec init({connection(), pid(), pid(), {endpoint(), endpoint()},
            {ejabberd_megaphone_shared:key(), counters:counters_ref()}}) -> {ok, #state{}} | ignore.
init({Connection, Receiver, Listener, SockPeerName, {OptionsKey, Counters}}) ->
    process_flag(trap_exit, true),
    link(Receiver),
    Sessions = ets:new(ejabberd_megaphone_sessions,
                       [public, set, {keypos, #session.id}, {write_concurrency, true}]),
    Queued = atomics:new(1, [{signed, true}]),
    #options{buffer_total = BufferTotal} = Options = ejabberd_megaphone_shared:get(OptionsKey),
    Waiting = ejabberd_megaphone_waiting:new(BufferTotal),
    {ok, Sender} = ejabberd_megaphone_sender:start_link(Connection, Receiver, {Queued, Waiting, Counters}),
    Link = #link{owner = self(), receiver = Receiver, sender = Sender, sessions = Sessions, queued = Queued,
                 waiting = Waiting, counters = Counters, options = OptionsKey, sock_peer_name = SockPeerName},
    case ejabberd_megaphone_keeper:add_link(Link, Listener) of
        {ok, Keeper} ->
            ejabberd_megaphone_counters:add(Counters, links_opened),
            {ok, #state{link = Link, options = Options, keeper = Keeper}};
        {error, no_listener} ->
            %% An end with `ignore' would not reach it.
            exit(Sender, shutdown),
            ignore
    end.

%% @private
-spec handle_call(link | {update, #link{}}, gen_server:from(), #state{}) -> {reply, #link{} | ok, #state{}}.
handle_call(link, _From, State) ->
    {reply, State#state.link, State};
handle_call({update, Link}, _From, State) ->
    ets:insert(?LINKS, Link),
    {reply, ok, State#state{link = Link}}.

%% @private
-spec handle_cast(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_cast({opened, Id, C2S}, State) ->
    _ = erlang:monitor(process, C2S, [{tag, {'DOWN', Id}}]),
    {noreply, State#state{live = State#state.live + 1, processes = State#state.processes + 1}};
handle_cast({refused, Id}, State) ->
    {noreply, remember(Id, State)};
handle_cast({ended, Id}, State) ->
    ejabberd_megaphone_receiver:ended((State#state.link)#link.receiver, Id),
    next(State#state{live = State#state.live - 1, told = max(0, State#state.told - 1)});
handle_cast(close, #state{closing = no} = State) ->
    %% The listener is no more.
    ejabberd_megaphone_receiver:drain((State#state.link)#link.receiver),
    next(close_sessions(State));
handle_cast(close, State) ->
    {noreply, State}.

%% @private
-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal | shutdown, #state{}}.
handle_info({{'DOWN', Id}, _Ref, process, _C2S, _Reason}, #state{link = Link} = State) ->
    %% As a rule it has said so itself before.
    _ = case end_session(Link, Id) of
            true when Link#link.sender =/= undefined -> ejabberd_megaphone_sender:finish(Link, Id);
            _ -> ok
        end,
    ejabberd_megaphone_receiver:gone(Link#link.receiver, Id),
    next(remember(Id, State#state{processes = State#state.processes - 1}));
handle_info(close_some, State) ->
    next(close_some(State));
handle_info(linger, State) ->
    exit((State#state.link)#link.receiver, shutdown),
    {noreply, State};
handle_info({'EXIT', Pid, _Reason}, #state{link = #link{receiver = Pid}} = State) ->
    next(lost(State));
handle_info({'EXIT', Pid, Reason}, #state{link = #link{sender = Pid, receiver = Receiver, counters = Counters} = Link} = State)
  when Reason =/= normal ->
    _ = [?WARNING_MSG("Nothing more can be sent on link ~ts: ~ts", [ejabberd_megaphone:peer(Link), ejabberd_megaphone_text:term(Reason)])
         || ejabberd_megaphone_log:allows(send_failed, Counters)],
    exit(Receiver, shutdown),
    {noreply, State};
handle_info({'EXIT', Pid, _Reason}, #state{keeper = Pid} = State) ->
    {stop, shutdown, State};                    % without its table nothing can be sent
handle_info(_Unknown, State) ->
    {noreply, State}.

%% @private
-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, _State) ->
    try ets:delete(?LINKS, self()) of
        true -> ok
    catch
        error:badarg -> ok                     % the keeper and its table have gone first
    end.

%%% Closing.

lost(#state{link = #link{sender = undefined}} = State) ->
    State;
lost(#state{link = #link{sender = Sender} = Link0} = State) ->
    Link = Link0#link{sender = undefined},
    ets:insert(?LINKS, Link),
    exit(Sender, shutdown),
    ejabberd_megaphone_counters:add(Link#link.counters, links_lost),
    _ = [?INFO_MSG("Closing the ~b sessions of link ~ts, at most ~b per second",
                   [State#state.live, ejabberd_megaphone:peer(Link), (State#state.options)#options.close_rate])
         || State#state.live > 0, ejabberd_megaphone_log:allows(link_lost, Link#link.counters)],
    close_sessions(State#state{link = Link}).

close_sessions(#state{closing = no, link = #link{sessions = Sessions}} = State) ->
    ets:safe_fixtable(Sessions, true),
    self() ! close_some,
    State#state{closing = start};
close_sessions(State) ->
    State.

%% Sessions are told that their connection is closed. Each is awake from then on until it has ended, so that not only their
%% rate but also their number is bounded: to those that come in a quarter of a second.
close_some(#state{live = Live} = State) when Live =< 0 ->
    State;
close_some(#state{closing = told} = State) ->
    %% Whoever is still there came while the others were told, or is busy.
    erlang:send_after(?AGAIN, self(), close_some),
    State#state{closing = start, told = 0};
close_some(#state{closing = Closing, told = Told, options = #options{close_rate = Rate}} = State) ->
    erlang:send_after(?STEP, self(), close_some),
    case Told < max(1, Rate div 4) of
        true -> tell(select(Closing, max(1, Rate * ?STEP div 1000), State), State);
        false -> State
    end.

select(start, Count, #state{link = #link{sessions = Sessions}}) ->
    ets:select(Sessions, [{#session{c2s = '$1', _ = '_'}, [{is_pid, '$1'}], ['$1']}], Count);
select({more, Continuation}, _Count, _State) ->
    ets:select(Continuation).

tell('$end_of_table', State) ->
    State#state{closing = told};
tell({Sessions, Continuation}, State) ->
    lists:foreach(fun(C2S) -> C2S ! {tcp_closed, self()} end, Sessions),
    State#state{closing = {more, Continuation}, told = State#state.told + length(Sessions)}.

%% What is left to do after a session has ended or some were told to.
next(#state{closing = Closing, live = Live} = State) when Closing =:= no; Closing =/= over, Live > 0 ->
    {noreply, State};
next(#state{closing = over, processes = 0, link = #link{sender = undefined}} = State) ->
    {stop, normal, State};
next(#state{closing = over} = State) ->
    {noreply, State};
next(#state{link = #link{sender = undefined}} = State) ->
    next(State#state{closing = over});
next(#state{link = #link{sender = Sender}} = State) ->
    %% The link itself is sound. It ends behind the last byte of its last session.
    ejabberd_megaphone_sender:stop(Sender),
    erlang:send_after(?LINGER, self(), linger),
    {noreply, State#state{closing = over}}.

%% The ids that were over last, of those whose process has ended.
remember(Id, #state{ended = Ended, ended_count = Count} = State) when Count < ?REMEMBERED ->
    State#state{ended = queue:in(Id, Ended), ended_count = Count + 1};
remember(Id, #state{ended = Ended0, link = #link{sessions = Sessions}} = State) ->
    {{value, Oldest}, Ended} = queue:out(Ended0),
    ets:delete(Sessions, Oldest),
    State#state{ended = queue:in(Id, Ended)}.

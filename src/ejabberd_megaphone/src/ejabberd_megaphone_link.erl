%%% @doc The owner of a link: what lasts of it, whatever connection carries it. It owns the table of sessions, monitors their processes, and
%%% starts the link's receiver and sender, which are linked to it. Every session monitors this process and no socket.
%%%
%%% A link is given its connection by connect/4, and hears from receiver or sender when that has ended. At present that is the end of the
%%% link, too: its sessions are told one after the other, at `close_rate', instead of all waking up at once. The owner stays as long as
%%% there is a process of theirs, which may wait to be resumed (XEP-0198), asleep.
-module(ejabberd_megaphone_link).
-behaviour(gen_server).

-export([start/4, connect/4, disconnected/1, send_failed/2, options/1, find/1, opened/3, end_session/2, refused/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("ejabberd_megaphone.hrl").
-include("logger.hrl").

%% Ended ids that are remembered, so that packets that arrive for them later do not open sessions.
-define(REMEMBERED, 65536).
%% ms between two steps of closing.
-define(STEP, 20).
%% ms after which sessions that are still there are told to close again.
-define(AGAIN, 1000).
%% ms within which the ECM has to close the connection after its last session was closed.
-define(LINGER, 2000).

-record(state,
        {link :: #link{},
         options :: #options{},
         registry :: pid(),
         connecting :: pid() | undefined,                    % the process that is about to call connect/4
         open = 0 :: integer(),                              % open sessions
         processes = 0 :: non_neg_integer(),                 % c2s processes, including those of sessions that are over
         ended = queue:new() :: queue:queue(ejabberd_megaphone_wire:id()),
         ended_count = 0 :: non_neg_integer(),
         %% Whether all sessions are being closed, and how far that is. `told': all have been told; `over': none is open any more.
         closing = no :: no | start | {more, term()} | told | over,
         told = 0 :: integer()}).                            % sessions that were told to close and have not ended yet

%%% API

%% @doc Starts a link, for the process that has accepted a connection and hands it over by connect/4. If that process ends before, the link
%% does so, too. `none': without a hello. `ignore': the listener has just been stopped.
-spec start(Listener :: pid(), Addresses :: {endpoint(), endpoint()}, ejabberd_megaphone_control:hello() | none, listener_terms()) ->
          {ok, #link{}} | ignore.
start(Listener, Addresses, Hello, Terms) ->
    case gen_server:start(?MODULE, {self(), Listener, Addresses, Hello, Terms}, []) of
        {ok, Owner} -> {ok, gen_server:call(Owner, link)};
        ignore -> ignore
    end.

%% @doc Called by the process that owns the connection's socket, which has to be passive. From now on the link owns it: `Greeting' is sent
%% on it first, and what the splitter has left is read first.
-spec connect(#link{}, connection(), ejabberd_megaphone_splitter:splitter(), Greeting :: ejabberd_megaphone_control:outgoing() | none) ->
          ok | {error, term()}.
connect(#link{owner = Owner, receiver = Receiver}, {Transport, Socket} = Connection, Splitter, Greeting) ->
    case Transport:controlling_process(Socket, Receiver) of
        ok -> gen_server:cast(Owner, {connect, Connection, Splitter, Greeting});
        Error -> Error
    end.

%% @doc Called by the receiver: the connection has ended, or is dead.
-spec disconnected(#link{}) -> ok.
disconnected(#link{owner = Owner}) -> gen_server:cast(Owner, disconnected).

%% @doc Called by the sender: nothing can be written to the connection any more.
-spec send_failed(Owner :: pid(), Reason :: term()) -> ok.
send_failed(Owner, Reason) -> gen_server:cast(Owner, {send_failed, Reason}).

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
-spec end_session(#link{}, ejabberd_megaphone_wire:id()) -> boolean().
end_session(#link{owner = Owner, sessions = Sessions, counters = Counters}, Id) ->
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

%%% The process.

%% @private
-spec init({Connecting :: pid(), Listener :: pid(), {endpoint(), endpoint()}, ejabberd_megaphone_control:hello() | none, listener_terms()}) ->
          {ok, #state{}} | ignore.
init({Connecting, Listener, Addresses, Hello, {OptionsKey, Counters}}) ->
    process_flag(trap_exit, true),
    link(Connecting),
    #options{buffer_total = BufferTotal} = Options = ejabberd_megaphone_shared:get(OptionsKey),
    Sessions = ets:new(ejabberd_megaphone_sessions, [public, set, {keypos, #session.id}, {write_concurrency, true}]),
    Link1 = with_hello(Hello, #link{owner = self(), sessions = Sessions, queued = atomics:new(1, [{signed, true}]),
                                    budget = ejabberd_megaphone_budget:new(BufferTotal), counters = Counters,
                                    options = OptionsKey, addresses = Addresses}),
    {ok, Sender} = ejabberd_megaphone_sender:start_link(Link1),
    Link2 = Link1#link{sender = Sender},
    {ok, Receiver} = ejabberd_megaphone_receiver:start_link(Link2, Options),
    Link = Link2#link{receiver = Receiver},
    case ejabberd_megaphone_registry:add_link(Link, Listener) of
        {ok, Registry} ->
            ejabberd_megaphone_counters:add(Counters, links_opened),
            {ok, #state{link = Link, options = Options, registry = Registry, connecting = Connecting}};
        {error, no_listener} ->
            %% `ignore' would be a normal exit, which ends neither of them.
            exit(Sender, shutdown),
            exit(Receiver, shutdown),
            ignore
    end.

with_hello(none, Link) -> Link;
with_hello(#{name := Name, max_packet := MaxPacket}, Link) -> Link#link{has_control = true, name = Name, max_out = MaxPacket}.

%% @private
-spec handle_call(link, gen_server:from(), #state{}) -> {reply, #link{}, #state{}}.
handle_call(link, _From, State) ->
    {reply, State#state.link, State}.

%% @private
-spec handle_cast(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_cast({connect, Connection, Splitter, Greeting}, #state{link = #link{receiver = Receiver} = Link} = State) ->
    ejabberd_megaphone_sender:connect(Link, Connection, Greeting),
    ejabberd_megaphone_receiver:connect(Receiver, Link, Connection, Splitter),
    {noreply, State#state{connecting = undefined}};
handle_cast(disconnected, State) ->
    next(lost(State));
handle_cast({send_failed, Reason}, State) ->
    next(lost(log_send_failed(Reason, State)));
handle_cast({opened, Id, C2S}, State) ->
    _ = erlang:monitor(process, C2S, [{tag, {'DOWN', Id}}]),
    {noreply, State#state{open = State#state.open + 1, processes = State#state.processes + 1}};
handle_cast({refused, Id}, State) ->
    {noreply, remember(Id, State)};
handle_cast({ended, Id}, State) ->
    ejabberd_megaphone_receiver:ended((State#state.link)#link.receiver, Id),
    next(State#state{open = State#state.open - 1, told = max(0, State#state.told - 1)});
handle_cast(close, #state{closing = no} = State) ->
    %% The listener was stopped.
    ejabberd_megaphone_receiver:drain((State#state.link)#link.receiver),
    next(close_sessions(State));
handle_cast(close, State) ->
    {noreply, State}.

%% @private
-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal | shutdown, #state{}}.
handle_info({{'DOWN', Id}, _Ref, process, _C2S, _Reason}, #state{link = Link} = State) ->
    %% As a rule the session has been ended by its process before.
    _ = case end_session(Link, Id) of
            true when Link#link.sender =/= undefined -> ejabberd_megaphone_sender:send_end(Link, Id);
            _ -> ok
        end,
    ejabberd_megaphone_receiver:process_ended(Link#link.receiver, Id),
    next(remember(Id, State#state{processes = State#state.processes - 1}));
handle_info(close_some, State) ->
    next(close_some(State));
handle_info(linger, State) ->
    next(lost(State));
handle_info({'EXIT', Pid, _Reason}, #state{link = #link{receiver = Pid}} = State) ->
    next(lost(State));
handle_info({'EXIT', Pid, Reason}, #state{link = #link{sender = Pid}} = State) when Reason =/= normal ->
    next(lost(log_send_failed(Reason, State)));
handle_info({'EXIT', Pid, _Reason}, #state{connecting = Pid} = State) ->
    next(lost(State));
handle_info({'EXIT', Pid, _Reason}, #state{registry = Pid} = State) ->
    {stop, shutdown, State};                    % without the table of links nothing can be sent
handle_info(_Unknown, State) ->
    {noreply, State}.

log_send_failed(Reason, #state{link = #link{counters = Counters} = Link} = State) ->
    _ = [?WARNING_MSG("Nothing more can be sent on link ~ts: ~ts", [ejabberd_megaphone:peer(Link), ejabberd_megaphone_text:term(Reason)])
         || Link#link.sender =/= undefined, ejabberd_megaphone_log:allows(send_failed, Counters)],
    State.

%% @private
-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, _State) ->
    try ets:delete(?LINKS, self()) of
        true -> ok
    catch
        error:badarg -> ok                     % the registry has ended before, and its table with it
    end.

%%% The end.

%% The link is over. Its socket closes with the receiver, which owns it.
lost(#state{link = #link{sender = undefined}} = State) ->
    State;
lost(#state{link = #link{sender = Sender, receiver = Receiver, counters = Counters} = Link0} = State) ->
    Link = Link0#link{sender = undefined},
    ets:insert(?LINKS, Link),
    exit(Receiver, shutdown),
    exit(Sender, shutdown),
    ejabberd_megaphone_counters:add(Counters, links_lost),
    _ = [?INFO_MSG("Closing the ~b sessions of link ~ts, at most ~b per second",
                   [State#state.open, ejabberd_megaphone:peer(Link), (State#state.options)#options.close_rate])
         || State#state.open > 0, ejabberd_megaphone_log:allows(link_lost, Counters)],
    close_sessions(State#state{link = Link}).

close_sessions(#state{closing = no, link = #link{sessions = Sessions}} = State) ->
    ets:safe_fixtable(Sessions, true),
    self() ! close_some,
    State#state{closing = start};
close_sessions(State) ->
    State.

%% Tells sessions that their connection is closed. Each of them is awake from then on until it has ended, so that their number is limited as
%% well as their rate: to those of a quarter of a second.
close_some(#state{open = Open} = State) when Open =< 0 ->
    State;
close_some(#state{closing = told} = State) ->
    %% Those that are left were opened while the others were told, or are busy.
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

%% What follows the end of a session, or of the connection.
next(#state{closing = Closing, open = Open} = State) when Closing =:= no; Closing =/= over, Open > 0 ->
    {noreply, State};
next(#state{closing = over, processes = 0, link = #link{sender = undefined}} = State) ->
    {stop, normal, State};
next(#state{closing = over} = State) ->
    {noreply, State};
next(#state{link = #link{sender = undefined}} = State) ->
    next(State#state{closing = over});
next(#state{link = #link{sender = Sender}} = State) ->
    %% The connection is sound, and ends behind the last byte of the last session.
    ejabberd_megaphone_sender:stop(Sender),
    erlang:send_after(?LINGER, self(), linger),
    {noreply, State#state{closing = over}}.

%% Keeps the ids that ended last, and forgets the oldest of them for it. Their processes have ended.
remember(Id, #state{ended = Ended, ended_count = Count} = State) when Count < ?REMEMBERED ->
    State#state{ended = queue:in(Id, Ended), ended_count = Count + 1};
remember(Id, #state{ended = Ended0, link = #link{sessions = Sessions}} = State) ->
    {{value, Oldest}, Ended} = queue:out(Ended0),
    ets:delete(Sessions, Oldest),
    State#state{ended = queue:in(Id, Ended)}.

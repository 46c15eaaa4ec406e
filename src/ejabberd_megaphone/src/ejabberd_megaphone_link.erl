%%% @doc The owner of a link: what lasts of it, whatever connection carries it. It owns the table of sessions, monitors their processes, and
%%% starts the link's receiver and sender, which are linked to it. Every session monitors this process and no socket.
%%%
%%% A link is given its connection by connect/4, and hears from receiver or sender when that has ended. If it can be resumed (section 7 of the
%%% link protocol), it is cut then, and its sessions notice nothing: another connection may take it up within `resume_timeout'. Otherwise it
%%% is lost: its sessions are told one after the other, at `close_rate', instead of all waking up at once. The owner stays as long as there
%%% is a process of theirs, which may wait to be resumed (XEP-0198), asleep.
%%%
%%% ```
%%% up   -> cut    its connection has ended without `close'
%%% cut  -> up     another connection has taken it up
%%% cut  -> lost   none has in time, or none will: the ECM's process or its slot have begun anew
%%% up   -> lost   its connection has ended, and it cannot be resumed
%%% '''
-module(ejabberd_megaphone_link).
-behaviour(gen_server).

-export([start/4, take_up/3, connect/4, disconnected/3, send_failed/3, closed_by_ecm/2, superseded/2, listener_stopped/2, end_now/1]).
-export([options/1, find/1]).
-export_type([greeting/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("ejabberd_megaphone.hrl").
-include("logger.hrl").

%% ms within which the ECM has to close the connection after its last session was closed.
-define(LINGER, 2000).

%% A link waits for another connection.
-record(cut,
        {since = erlang:monotonic_time(millisecond) :: integer(),
         timer :: reference(),
         again = 0 :: non_neg_integer()}).                   % bytes that will be sent again

-type greeting() :: ejabberd_megaphone_control:outgoing() | none.

-record(state,
        {link :: #link{},
         options :: #options{},
         registry :: pid(),
         connecting :: pid() | undefined,                    % the process that is about to call connect/4
         connection = none :: connection() | none,
         %% Of a link that can be resumed. The token is in a fun, because a process that crashes logs its state.
         token = fun() -> <<>> end :: fun(() -> binary()),
         cut = none :: #cut{} | none,
         is_for_good = false :: boolean(),                   % the end of its connection is the end of the link
         is_ending = false :: boolean(),                     % this process ends with the sender
         open = 0 :: integer(),                              % open sessions
         processes = 0 :: non_neg_integer(),                 % c2s processes, including those of sessions that are over
         ended = ejabberd_megaphone_sessions:none_ended() :: ejabberd_megaphone_sessions:ended(),
         closing = no :: no | ejabberd_megaphone_closing:closing() | over}).    % over: no session is open any more

%%% API

%% @doc Starts a link, for the process that has accepted a connection and hands it over by connect/4, with this greeting. If that process ends
%% before, the link does so, too. `none': without a hello. `ignore': the listener has just been stopped.
-spec start(Listener :: pid(), Addresses :: {endpoint(), endpoint()}, ejabberd_megaphone_control:hello() | none, listener_terms()) ->
          {ok, #link{}, greeting()} | ignore.
start(Listener, Addresses, Hello, Terms) ->
    case gen_server:start(?MODULE, {self(), Listener, Addresses, Hello, Terms}, []) of
        {ok, Owner} ->
            {Link, Greeting} = gen_server:call(Owner, link),
            {ok, Link, Greeting};
        ignore ->
            ignore
    end.

%% @doc Called by ejabberd_megaphone_links:take_up/4, for the link that the hello asks for. `none': it may not have it, or not any more.
-spec take_up(Owner :: pid(), ejabberd_megaphone_control:hello(), ejabberd_megaphone_links:connecting()) ->
          {ok, #link{}, greeting()} | none | {error, Why :: iolist()}.
take_up(Owner, #{resume := #{token := Token, received := Received}, max_packet := MaxPacket}, By) ->
    try gen_server:call(Owner, {take_up, Token, Received, MaxPacket, By}, infinity)
    catch exit:_ -> none                               % it has just ended
    end.

%% @doc Called by the process that owns the connection's socket, which has to be passive. From now on the link owns it: `Greeting' is sent
%% on it first, and what the splitter has left is read first.
-spec connect(#link{}, connection(), ejabberd_megaphone_splitter:splitter(), greeting()) -> ok | {error, term()}.
connect(#link{owner = Owner, receiver = Receiver}, {Transport, Socket, _} = Connection, Splitter, Greeting) ->
    case Transport:controlling_process(Socket, Receiver) of
        ok -> gen_server:cast(Owner, {connect, self(), Connection, Splitter, Greeting});
        Error -> Error
    end.

%% @doc Called by the receiver: the connection with that TCP socket has ended, or is dead.
-spec disconnected(#link{}, gen_tcp:socket(), Why :: iodata()) -> ok.
disconnected(#link{owner = Owner}, Port, Why) -> gen_server:cast(Owner, {disconnected, Port, Why}).

%% @doc Called by the sender: nothing can be written any more to the connection with that TCP socket.
-spec send_failed(Owner :: pid(), gen_tcp:socket(), Reason :: term()) -> ok.
send_failed(Owner, Port, Reason) -> gen_server:cast(Owner, {send_failed, Port, Reason}).

%% @doc Called by the receiver: the ECM has said that the link ends for good.
-spec closed_by_ecm(#link{}, Reason :: binary()) -> ok.
closed_by_ecm(#link{owner = Owner}, Reason) -> gen_server:cast(Owner, {closed_by_ecm, Reason}).

%% @doc Called by the registry: see ejabberd_megaphone_links:superseded_by/1.
-spec superseded(Owner :: pid(), slot | process) -> ok.
superseded(Owner, By) -> gen_server:cast(Owner, {superseded, By}).

%% @doc Called by the registry: the listener has stopped. If that is for good, the sessions are closed, else the link may come back by another.
-spec listener_stopped(Owner :: pid(), IsForGood :: boolean()) -> ok.
listener_stopped(Owner, IsForGood) -> gen_server:cast(Owner, {listener_stopped, IsForGood}).

%% @doc Called by the registry, which is about to end: sends what is queued, and that the link ends for good, and ends.
-spec end_now(Owner :: pid()) -> ok.
end_now(Owner) -> gen_server:cast(Owner, end_now).

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

%%% The process.

%% @private
-spec init({Connecting :: pid(), Listener :: pid(), {endpoint(), endpoint()}, ejabberd_megaphone_control:hello() | none, listener_terms()}) ->
          {ok, #state{}} | ignore.
init({Connecting, Listener, Addresses, Hello, {OptionsKey, Counters}}) ->
    process_flag(trap_exit, true),
    link(Connecting),
    #options{buffer_total = BufferTotal} = Options = ejabberd_megaphone_shared:get(OptionsKey),
    Sessions = ejabberd_megaphone_sessions:new(),
    Link0 = #link{owner = self(), sessions = Sessions, queued = atomics:new(2, [{signed, true}]),
                  budget = ejabberd_megaphone_budget:new(BufferTotal), counters = Counters, options = OptionsKey, addresses = Addresses},
    Link1 = ejabberd_megaphone_links:with_hello(Hello, Options, Link0),
    {ok, Sender} = ejabberd_megaphone_sender:start_link(Link1),
    Link2 = Link1#link{sender = Sender},
    {ok, Receiver} = ejabberd_megaphone_receiver:start_link(Link2, Options),
    Link = Link2#link{receiver = Receiver},
    case ejabberd_megaphone_registry:add_link(Link, Listener) of
        {ok, Registry} ->
            ejabberd_megaphone_counters:add(Counters, links_opened),
            Token = binary:encode_hex(crypto:strong_rand_bytes(16)),
            {ok, #state{link = Link, options = Options, registry = Registry, connecting = Connecting, token = fun() -> Token end}};
        {error, no_listener} ->
            %% `ignore' would be a normal exit, which ends neither of them.
            exit(Sender, shutdown),
            exit(Receiver, shutdown),
            ignore
    end.

%% @private
-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}} | {stop, normal, term(), #state{}}.
handle_call(link, _From, #state{link = Link} = State) ->
    {reply, {Link, greeting(#{}, State)}, State};
handle_call({take_up, Token, Received, MaxPacket, By}, {Connecting, _}, State) ->
    case may_resume(State) andalso MaxPacket >= (State#state.link)#link.max_out
        andalso ejabberd_megaphone_control:is_equal(Token, (State#state.token)()) of
        true -> prepare(Received, MaxPacket, By, Connecting, cut("its ECM has connected again", State));
        false -> {reply, none, State}
    end.

greeting(_More, #state{link = #link{has_control = false}}) ->
    none;
greeting(_More, #state{link = #link{identity = none, pieces = Pieces}, options = Options}) ->
    {welcome, Options, Pieces, none};
greeting(More, #state{link = #link{pieces = Pieces}, options = #options{resume_timeout = Timeout} = Options, token = Token}) ->
    {welcome, Options, Pieces, More#{token => Token(), timeout => Timeout}}.

%% @private
-spec handle_cast(term(), #state{}) -> {noreply, #state{}} | {stop, normal | shutdown, #state{}}.
handle_cast({connect, Connecting, Connection, Splitter, Greeting}, #state{connecting = Connecting, link = Link0} = State) ->
    #link{receiver = Receiver} = Link = Link0#link{is_cut = false},
    ejabberd_megaphone_sender:connect(Link, Connection, Greeting),
    _ = [ejabberd_megaphone_sender:control(Link, drain) || Link#link.has_control, ejabberd_megaphone_registry:is_draining()],
    ejabberd_megaphone_registry:connected(Link, (State#state.options)#options.resume_timeout),
    ejabberd_megaphone_receiver:connect(Receiver, Link, Connection, Splitter),
    {noreply, resumed(State#state{link = Link, connecting = undefined, connection = Connection})};
handle_cast({connect, _AnotherWasFaster, Connection, _, _}, State) ->
    ejabberd_megaphone_connection:abort(Connection),
    {noreply, State};
handle_cast({disconnected, Port, Why}, #state{connection = {_, _, Port}} = State) ->
    next(disconnected(Why, State));
handle_cast({send_failed, Port, Reason}, #state{connection = {_, _, Port}} = State) ->
    next(send_failed(Reason, State));
handle_cast({closed_by_ecm, Reason}, #state{link = #link{counters = Counters} = Link} = State) ->
    _ = [?INFO_MSG("Link ~ts is closed by its ECM: ~ts", [ejabberd_megaphone:peer(Link), ejabberd_megaphone_text:sanitize(Reason)])
         || ejabberd_megaphone_log:allows(link_down, Counters)],
    {noreply, State#state{is_for_good = true}};
handle_cast({superseded, process}, #state{cut = none} = State) ->
    {noreply, State#state{is_for_good = true}};
handle_cast({superseded, _By}, State) ->
    next(lost("its ECM has begun anew", State));
handle_cast(end_now, #state{connection = Connection, link = #link{sender = Sender}} = State) when Connection =:= none; Sender =:= undefined ->
    {stop, shutdown, State};
handle_cast(end_now, #state{link = #link{sender = Sender}} = State) ->
    ejabberd_megaphone_sender:close(Sender, <<"the server is shutting down">>),
    {noreply, State#state{is_ending = true}};
handle_cast({opened, Id, C2S}, State) ->
    _ = erlang:monitor(process, C2S, [{tag, {'DOWN', Id}}]),
    {noreply, State#state{open = State#state.open + 1, processes = State#state.processes + 1}};
handle_cast({refused, Id}, State) ->
    {noreply, remember(Id, State)};
handle_cast({ended, Id}, State) ->
    ejabberd_megaphone_receiver:ended((State#state.link)#link.receiver, Id),
    next(ended(State#state{open = State#state.open - 1}));
handle_cast({listener_stopped, IsForGood}, #state{closing = no, connection = Connection, cut = Cut} = State) ->
    next(case not IsForGood andalso may_resume(State) of
             false -> close_for_good(State);
             true when Connection =:= none, Cut =:= none -> lost("", State);        % it has not been connected yet
             true -> cut("its listener has stopped", State)
         end);
handle_cast(_ClosingOrStale, State) ->
    {noreply, State}.

close_for_good(#state{connection = none} = State) ->
    lost("ejabberd is stopping", State);
close_for_good(#state{link = #link{receiver = Receiver}} = State) ->
    ejabberd_megaphone_receiver:drain(Receiver),
    close_sessions(State).

%% @private
-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal | shutdown, #state{}}.
handle_info({{'DOWN', Id}, _Ref, process, _C2S, _Reason}, #state{link = Link} = State) ->
    %% As a rule the session has been ended by its process before.
    _ = case ejabberd_megaphone_sessions:close(Link, Id) of
            true when Link#link.sender =/= undefined -> ejabberd_megaphone_sender:send_end(Link, Id);
            _ -> ok
        end,
    ejabberd_megaphone_receiver:process_ended(Link#link.receiver, Id),
    next(remember(Id, State#state{processes = State#state.processes - 1}));
handle_info(close_some, State) ->
    next(close_some(State));
handle_info(linger, State) ->
    next(lost("", State));
handle_info({timeout, Timer, cut}, #state{cut = #cut{timer = Timer}, options = #options{resume_timeout = Timeout}} = State) ->
    next(lost(io_lib:format("it did not come back within ~b s", [Timeout div 1000]), State));
handle_info({'EXIT', Pid, _Reason}, #state{link = #link{receiver = Pid}} = State) ->
    next(lost("it has violated the protocol", State));
handle_info({'EXIT', Pid, _Reason}, #state{link = #link{sender = Pid}, is_ending = true} = State) ->
    {stop, shutdown, State};
handle_info({'EXIT', Pid, Reason}, #state{link = #link{sender = Pid}} = State) when Reason =/= normal ->
    next(lost("", log_send_failed(Reason, State)));
handle_info({'EXIT', Pid, _Reason}, #state{connecting = Pid, cut = none} = State) ->
    next(lost("", State));
handle_info({'EXIT', Pid, _Reason}, #state{connecting = Pid} = State) ->
    {noreply, State#state{connecting = undefined}};
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

%%% Cut and resumed.

may_resume(#state{link = #link{identity = Identity, sender = Sender}, closing = Closing, is_for_good = IsForGood}) ->
    Identity =/= none andalso Sender =/= undefined andalso Closing =:= no andalso not IsForGood.

disconnected(Why, #state{link = #link{counters = Counters} = Link} = State) ->
    case may_resume(State) of
        true ->
            cut(Why, State);
        false ->
            _ = [?INFO_MSG("Link ~ts is down: ~ts", [ejabberd_megaphone:peer(Link), Why]) || ejabberd_megaphone_log:allows(link_down, Counters)],
            lost(Why, State)
    end.

send_failed(Reason, #state{is_for_good = true} = State) ->
    %% An ECM that has said so need not wait until the last that it sent is acknowledged.
    disconnected(["nothing more can be sent: ", ejabberd_megaphone_text:term(Reason)], State);
send_failed(Reason, State) ->
    case may_resume(State) of
        true -> cut(["nothing more can be sent: ", ejabberd_megaphone_text:term(Reason)], State);
        false -> lost("", log_send_failed(Reason, State))
    end.

%% Its connection is ended at once, whatever state that is in, and whatever receiver and sender are doing with it.
cut(_Why, #state{cut = #cut{}} = State) ->
    State;
cut(Why, #state{link = #link{sender = Sender, receiver = Receiver, counters = Counters} = Link0, connection = Connection,
                options = #options{resume_timeout = Timeout}} = State) ->
    _ = [ejabberd_megaphone_connection:abort(Connection) || Connection =/= none],
    try {ejabberd_megaphone_receiver:disconnect(Receiver), ejabberd_megaphone_sender:disconnect(Sender)} of
        {_Received, Unacknowledged} ->
            Link = Link0#link{is_cut = true},
            ets:insert(?LINKS, Link),
            ejabberd_megaphone_counters:add(Counters, links_cut),
            _ = [?INFO_MSG("Link ~ts is cut: ~ts. Its ~b sessions wait for it for at most ~b s; ~b bytes are not acknowledged",
                           [ejabberd_megaphone:peer(Link), Why, State#state.open, Timeout div 1000, Unacknowledged])
                 || ejabberd_megaphone_log:allows(link_cut, Counters)],
            State#state{link = Link, connection = none, cut = #cut{timer = erlang:start_timer(Timeout, self(), cut)}}
    catch
        exit:_ -> State                                % one of them has just ended, which ends the link
    end.

%% Another connection is about to take the link up.
prepare(Received, MaxPacket, {Listener, Addresses, OptionsKey}, Connecting,
        #state{cut = #cut{} = Cut, link = #link{sender = Sender, max_out = MaxOut, pieces = Pieces} = Link0} = State) ->
    %% What is sent again was cut for the ECM as it was.
    Link = Link0#link{addresses = Addresses, options = OptionsKey, pieces = Pieces andalso MaxPacket =:= MaxOut},
    case ejabberd_megaphone_sender:take_up(Sender, Received) of
        {ok, Again} ->
            case ejabberd_megaphone_registry:move_link(Link, Listener) of
                ok ->
                    link(Connecting),
                    Taken = ejabberd_megaphone_receiver:disconnect(Link#link.receiver),
                    Next = State#state{link = Link, connecting = Connecting, cut = Cut#cut{again = Again},
                                       options = ejabberd_megaphone_shared:get(OptionsKey)},
                    {reply, {ok, Link, greeting(#{received => Taken}, Next)}, Next};
                {error, no_listener} ->
                    {reply, none, State}
            end;
        error ->
            Why = io_lib:format("~b bytes are said to be received, which were not sent or do not end with a packet", [Received]),
            case next(lost(Why, State)) of
                {noreply, Lost} -> {reply, {error, Why}, Lost};
                {stop, Reason, Lost} -> {stop, Reason, {error, Why}, Lost}
            end
    end;
prepare(_Received, _MaxPacket, _By, _Connecting, State) ->
    {reply, none, State}.

resumed(#state{cut = none} = State) ->
    State;
resumed(#state{cut = #cut{since = Since, timer = Timer, again = Again}, link = #link{counters = Counters} = Link} = State) ->
    _ = erlang:cancel_timer(Timer),
    ets:insert(?LINKS, Link),
    ejabberd_megaphone_counters:add(Counters, links_resumed),
    ejabberd_megaphone_counters:add(Counters, bytes_resent, Again),
    _ = [?INFO_MSG("Link ~ts is resumed after ~.3f s with ~b sessions; ~b bytes are sent again",
                   [ejabberd_megaphone:peer(Link), (erlang:monotonic_time(millisecond) - Since) / 1000, State#state.open, Again])
         || ejabberd_megaphone_log:allows(link_resumed, Counters)],
    State#state{cut = none}.

%%% The end.

%% The link is over. Its socket closes with the receiver, which owns it.
lost(_Why, #state{link = #link{sender = undefined}} = State) ->
    State;
lost(Why, #state{link = #link{sender = Sender, receiver = Receiver, counters = Counters} = Link0} = State) ->
    Link = Link0#link{sender = undefined},
    ets:insert(?LINKS, Link),
    exit(Receiver, shutdown),
    exit(Sender, shutdown),
    ejabberd_megaphone_counters:add(Counters, links_lost),
    _ = [?INFO_MSG("Closing the ~b sessions of link ~ts, at most ~b per second~ts",
                   [State#state.open, ejabberd_megaphone:peer(Link), (State#state.options)#options.close_rate, because(Why, State)])
         || State#state.open > 0, ejabberd_megaphone_log:allows(link_lost, Counters)],
    close_sessions(State#state{link = Link, cut = none, connection = none, connecting = undefined}).

because(_Logged, #state{cut = none}) -> "";
because(Why, #state{cut = #cut{since = Since}}) ->
    io_lib:format(": cut for ~.3f s, ~ts", [(erlang:monotonic_time(millisecond) - Since) / 1000, Why]).

close_sessions(#state{closing = no, link = #link{sessions = Sessions}, options = #options{close_rate = Rate}} = State) ->
    self() ! close_some,
    State#state{closing = ejabberd_megaphone_closing:start(Sessions, Rate)};
close_sessions(State) ->
    State.

close_some(#state{open = Open, closing = Closing} = State) when Open > 0, Closing =/= over ->
    {Ms, Next} = ejabberd_megaphone_closing:step(Closing),
    erlang:send_after(Ms, self(), close_some),
    State#state{closing = Next};
close_some(State) ->
    State.

ended(#state{closing = Closing} = State) when Closing =:= no; Closing =:= over -> State;
ended(#state{closing = Closing} = State) -> State#state{closing = ejabberd_megaphone_closing:ended(Closing)}.

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
    ejabberd_megaphone_sender:close(Sender, <<"its sessions are over">>),
    erlang:send_after(?LINGER, self(), linger),
    {noreply, State#state{closing = over}}.

remember(Id, #state{ended = Ended, link = #link{sessions = Sessions}} = State) ->
    State#state{ended = ejabberd_megaphone_sessions:remember(Id, Sessions, Ended)}.

%%% @doc What all links of this node share, as long as there is a listener or a link: the table of links, the counters, the hooks and commands
%%% in ejabberd, the shared terms, the delays for wrong secrets, the connections that have not become a link, and the limits of repeated log
%%% lines. The process is started by the first listener, ends after the last listener and link, and leaves nothing behind.
%%%
%%% Listeners and owners of links are linked to this process. It notices when they end; and if it crashes, they end with it, and begin anew.
%%%
%%% The registries of a cluster's nodes monitor each other. When a node is gone, the others tell the ECMs, whose links with it will not come back:
%%% those that are connected, and those that connect while they may still wait for it.
-module(ejabberd_megaphone_registry).
-behaviour(gen_server).

-export([add_listener/1, add_link/2, links/0, move_link/2, connected/2, add_template/2, waits/1, attempt/2, warn_once/2]).
-export([counters/0, drain/0, is_draining/0]).
-export([start_link/0, init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).
-export([host_up/1, host_down/1, ejabberd_stopping/0]).

-include("ejabberd_megaphone.hrl").
-include("logger.hrl").

%% Before ejabberd's own hooks (from 50 on), which need not see what passes between a link and its sessions.
-define(HOOK_SEQUENCE, 1).
%% The functions of ejabberd_megaphone_session that run in these hooks have the same names.
-define(HOOKS, [c2s_handle_info, c2s_stream_started, c2s_auth_result, sm_register_connection_hook]).
%% Templates for the states of sleeping sessions.
-define(MAX_TEMPLATES, 64).
%% ms within which links have ended that are told that this server shuts down. Less than a supervisor waits.
-define(END_TIMEOUT, 1500).

%% Why a call of the registry failed, if it has ended in order.
-define(IS_STOPPED(Reason), (Reason =:= noproc orelse Reason =:= normal)).

-record(state,
        {counters :: counters:counters_ref(),
         listeners = #{} :: #{pid() => true},
         links = #{} :: #{Owner :: pid() => Listener :: pid()},
         others = #{} :: #{Registry :: pid() => true},       % of other nodes
        gone = #{} :: #{node() => Since :: integer()},      % ms, monotonic; nodes that have not come back
         is_stopping = false :: boolean(),                  % ejabberd is: a listener that ends will not come back
         templates = 0 :: non_neg_integer(),
         waiting = ejabberd_megaphone_waiting:new() :: ejabberd_megaphone_waiting:waiting(),
         wrong_secrets = ejabberd_megaphone_wrong_secrets:new() :: ejabberd_megaphone_wrong_secrets:wrong_secrets()}).

%% @doc Called in the process of a listener, which is linked to the registry from then on.
-spec add_listener(#options{}) -> listener_terms().
add_listener(Options) ->
    try gen_server:call(?MODULE, {add_listener, self(), Options})
    catch
        exit:{Reason, _} when ?IS_STOPPED(Reason) ->
            Child = #{id => ?MODULE, start => {?MODULE, start_link, []}, restart => temporary},
            case supervisor:start_child(ejabberd_sup, Child) of
                {ok, _} -> ok;
                {error, {already_started, _}} -> ok
            end,
            add_listener(Options)
    end.

%% @doc Called by the owner of a link, which is linked to the registry from then on. `no_listener': the listener was stopped meanwhile.
-spec add_link(#link{}, Listener :: pid()) -> {ok, Registry :: pid()} | {error, no_listener}.
add_link(Link, Listener) ->
    try gen_server:call(?MODULE, {add_link, Link, Listener})
    catch exit:{Reason, _} when ?IS_STOPPED(Reason) -> {error, no_listener}
    end.

%% @doc How many links there are, those included that are cut or are closing their sessions.
-spec links() -> non_neg_integer().
links() ->
    case ets:info(?LINKS, size) of
        undefined -> 0;
        Size -> Size
    end.

%% @doc Called by the owner of a link that comes back by another listener.
-spec move_link(#link{}, Listener :: pid()) -> ok | {error, no_listener}.
move_link(#link{owner = Owner}, Listener) ->
    try gen_server:call(?MODULE, {move_link, Owner, Listener})
    catch exit:{Reason, _} when ?IS_STOPPED(Reason) -> {error, no_listener}
    end.

%% @doc Called by the owner of a link that is connected: its ECM may have waited for other nodes for up to `ResumeTimeout'.
-spec connected(#link{}, ResumeTimeout :: non_neg_integer()) -> ok.
connected(Link, ResumeTimeout) -> gen_server:cast(?MODULE, {connected, Link, ResumeTimeout}).

%% @doc Keeps a template for the states of sleeping sessions. Returns the one that is kept under that key by now; none if there are too many.
-spec add_template(ejabberd_megaphone_shared:key(), map()) -> map() | none.
add_template(Key, Template) ->
    try gen_server:call(?MODULE, {add_template, Key, Template})
    catch exit:_ -> none
    end.

%% @doc Called by the process of a connection, which counts among those that have not become a link until it ends. If there are too many, this
%% or another one is ended.
-spec waits(Peer :: endpoint() | {local, binary()}) -> ok.
waits(Peer) -> gen_server:cast(?MODULE, {waits, self(), Peer}).

%% @doc Called for a connection that has sent a secret: when the secret may be looked at (see ejabberd_megaphone_wrong_secrets).
-spec attempt(Peer :: endpoint() | {local, binary()}, IsRight :: boolean()) -> now | {wait, Ms :: pos_integer()} | too_many.
attempt(Peer, IsRight) ->
    try gen_server:call(?MODULE, {attempt, Peer, IsRight})
    catch exit:{Reason, _} when ?IS_STOPPED(Reason) -> now          % the listener was stopped, so that no link will be started
    end.

%% @doc Logs `Text' once for all sessions. `Key' identifies it.
-spec warn_once(Key :: atom(), Text :: string()) -> ok.
warn_once(Key, Text) ->
    case ejabberd_megaphone_shared:get({warned, Key}, false) of
        true -> ok;
        false -> gen_server:cast(?MODULE, {warn_once, Key, Text})
    end.

-spec counters() -> {ok, counters:counters_ref()} | error.
counters() ->
    try {ok, gen_server:call(?MODULE, counters)}
    catch exit:_ -> error
    end.

%% @doc Asks ECMs for no new sessions, on all links that there are or will be, until this process ends. `error': there is no listener.
-spec drain() -> ok | error.
drain() ->
    try gen_server:call(?MODULE, drain)
    catch exit:_ -> error
    end.

-spec is_draining() -> boolean().
is_draining() -> ejabberd_megaphone_shared:get(draining, false).

%%% Hooks

%% @private
-spec host_up(binary()) -> ok.
host_up(Host) ->
    lists:foreach(fun(Hook) -> ejabberd_hooks:add(Hook, Host, ejabberd_megaphone_session, Hook, ?HOOK_SEQUENCE) end, ?HOOKS).

%% @private
-spec host_down(binary()) -> ok.
host_down(Host) ->
    lists:foreach(fun(Hook) -> ejabberd_hooks:delete(Hook, Host, ejabberd_megaphone_session, Hook, ?HOOK_SEQUENCE) end, ?HOOKS).

%% @private
-spec ejabberd_stopping() -> ok.
ejabberd_stopping() ->
    try gen_server:call(?MODULE, ejabberd_stopping)
    catch exit:_ -> ok
    end.

%%% The process.

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @private
-spec init([]) -> {ok, #state{}}.
init([]) ->
    process_flag(trap_exit, true),
    ok = ejabberd_megaphone_log:new(),
    ?LINKS = ets:new(?LINKS, [named_table, public, set, {keypos, #link.owner}, {read_concurrency, true}]),
    lists:foreach(fun host_up/1, ejabberd_option:hosts()),
    _ = [ejabberd_hooks:add(c2s_init, ejabberd_megaphone_binding, c2s_init, ?HOOK_SEQUENCE) || ejabberd_megaphone_binding:is_possible()],
    ejabberd_hooks:add(host_up, ?MODULE, host_up, 50),
    ejabberd_hooks:add(host_down, ?MODULE, host_down, 50),
    ejabberd_hooks:add(ejabberd_stopping, ?MODULE, ejabberd_stopping, 50),
    ejabberd_commands:register_commands(ejabberd_megaphone:commands()),
    ok = net_kernel:monitor_nodes(true),
    lists:foreach(fun introduce_to/1, nodes()),
    {ok, #state{counters = ejabberd_megaphone_counters:new()}}.

%% @private
-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call({add_listener, Listener, Options}, _From, #state{listeners = Listeners} = State) ->
    link(Listener),
    {reply, {ejabberd_megaphone_shared:publish(Options), State#state.counters},
     State#state{listeners = Listeners#{Listener => true}}};
handle_call({add_link, Link, Listener}, {Owner, _}, #state{listeners = Listeners, links = Links} = State)
  when is_map_key(Listener, Listeners) ->
    link(Owner),
    ets:insert(?LINKS, Link),
    lists:foreach(fun({Other, By}) -> ejabberd_megaphone_link:superseded(Other, By) end, ejabberd_megaphone_links:superseded_by(Link)),
    {reply, {ok, self()}, State#state{links = Links#{Owner => Listener}}};
handle_call({add_link, _Link, _Listener}, _From, State) ->
    {reply, {error, no_listener}, State};
handle_call({move_link, Owner, Listener}, _From, #state{listeners = Listeners, links = Links} = State)
  when is_map_key(Listener, Listeners), is_map_key(Owner, Links) ->
    {reply, ok, State#state{links = Links#{Owner := Listener}}};
handle_call({move_link, _Owner, _Listener}, _From, State) ->
    {reply, {error, no_listener}, State};
handle_call(ejabberd_stopping, _From, State) ->
    {reply, ok, State#state{is_stopping = true}};
handle_call({add_template, Key, Template}, _From, #state{templates = Count} = State) ->
    case ejabberd_megaphone_shared:get(Key, none) of
        none when Count < ?MAX_TEMPLATES ->
            ejabberd_megaphone_shared:put_new(Key, Template),
            {reply, Template, State#state{templates = Count + 1}};
        Known ->
            {reply, Known, State}
    end;
handle_call({attempt, Peer, IsRight}, _From, #state{wrong_secrets = Before} = State) ->
    {Turn, WrongSecrets} = ejabberd_megaphone_wrong_secrets:attempt(Peer, IsRight, erlang:monotonic_time(millisecond), Before),
    {reply, Turn, State#state{wrong_secrets = WrongSecrets}};
handle_call(drain, _From, State) ->
    ejabberd_megaphone_shared:put_new(draining, true),
    ?INFO_MSG("This node drains: ECMs are asked for no new sessions", []),
    tell(drain, [Link || #link{has_control = true} = Link <- ets:tab2list(?LINKS)]),
    {reply, ok, State};
handle_call(counters, _From, State) ->
    {reply, State#state.counters, State}.

%% @private
-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({waits, Connection, Peer}, #state{waiting = Waiting, counters = Counters} = State) ->
    _ = erlang:monitor(process, Connection, [{tag, waited}]),
    Added = ejabberd_megaphone_waiting:add(Connection, Peer, Waiting),
    case ejabberd_megaphone_waiting:take_excess(Added) of
        {Excess, Rest} ->
            exit(Excess, shutdown),
            ejabberd_megaphone_counters:add(Counters, strangers_evicted),
            _ = [?WARNING_MSG("A connection that has not become a link is ended: there are too many, and its address has the most", [])
                 || ejabberd_megaphone_log:allows(stranger_evicted, Counters)],
            {noreply, State#state{waiting = Rest}};
        none ->
            {noreply, State#state{waiting = Added}}
    end;
handle_cast({warn_once, Key, Text}, State) ->
    case ejabberd_megaphone_shared:get({warned, Key}, false) of
        true ->
            ok;
        false ->
            ejabberd_megaphone_shared:put_new({warned, Key}, true),
            ?WARNING_MSG(Text, [])
    end,
    {noreply, State};
handle_cast({connected, #link{identity = none}, _ResumeTimeout}, State) ->
    {noreply, State};
handle_cast({connected, Link, ResumeTimeout}, #state{gone = Gone} = State) ->
    Now = erlang:monotonic_time(millisecond),
    _ = [tell({gone, Node}, [Link]) || {Node, Since} <- maps:to_list(Gone), Now - Since < ResumeTimeout],
    {noreply, State};
handle_cast({other, Registry}, #state{others = Others} = State) when is_map_key(Registry, Others) ->
    {noreply, State};
handle_cast({other, Registry}, #state{others = Others} = State) ->
    _ = erlang:monitor(process, Registry),
    introduce_to(node(Registry)),
    {noreply, State#state{others = Others#{Registry => true}, gone = maps:remove(node(Registry), State#state.gone)}};
handle_cast(_Unknown, State) ->
    {noreply, State}.

%% It does the same, as soon as it hears of this one.
introduce_to(Node) -> gen_server:cast({?MODULE, Node}, {other, self()}).

%% @private
-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal | shutdown, #state{}}.
handle_info({'EXIT', Pid, _Reason}, #state{listeners = Listeners, links = Links, is_stopping = IsStopping} = State) ->
    case State of
        #state{listeners = #{Pid := _}} ->
            lists:foreach(fun(Owner) -> ejabberd_megaphone_link:listener_stopped(Owner, IsStopping) end,
                          [Owner || {Owner, Listener} <- maps:to_list(Links), Listener =:= Pid]),
            stop_if_unused(State#state{listeners = maps:remove(Pid, Listeners)});
        #state{links = #{Pid := _}} ->
            ets:delete(?LINKS, Pid),
            stop_if_unused(State#state{links = maps:remove(Pid, Links)});
        _ ->
            {stop, shutdown, State}              % as the supervisor wants it
    end;
handle_info({nodeup, Node}, State) ->
    introduce_to(Node),
    {noreply, State};
handle_info({'DOWN', _, process, Registry, Reason}, #state{others = Others} = State) ->
    next_without(node(Registry), Reason, State#state{others = maps:remove(Registry, Others)});
handle_info({waited, _, process, Connection, _Reason}, #state{waiting = Waiting} = State) ->
    {noreply, State#state{waiting = ejabberd_megaphone_waiting:remove(Connection, Waiting)}};
handle_info({log_interval_ends, Kind}, State) ->
    ejabberd_megaphone_log:end_interval(Kind),
    {noreply, State};
handle_info(_Unknown, State) ->
    {noreply, State}.

next_without(Node, noconnection, #state{gone = Gone} = State) ->
    ?WARNING_MSG("Node ~s is gone: ECMs are told not to wait for it", [Node]),
    tell({gone, Node}, [Link || #link{identity = Identity} = Link <- ets:tab2list(?LINKS), Identity =/= none]),
    {noreply, State#state{gone = Gone#{Node => erlang:monotonic_time(millisecond)}}};
next_without(_Node, _HasClosedItsLinks, State) ->
    {noreply, State}.

tell(Message, Links) ->
    lists:foreach(fun(Link) -> ejabberd_megaphone_sender:control(Link, Message) end,
                  [Link || #link{sender = Sender} = Link <- Links, is_pid(Sender)]).

stop_if_unused(#state{listeners = Listeners, links = Links} = State)
  when map_size(Listeners) =:= 0, map_size(Links) =:= 0 ->
    {stop, normal, State};
stop_if_unused(State) ->
    {noreply, State}.

%% @private
-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{links = Links}) ->
    end_links(maps:keys(Links)),
    ejabberd_megaphone_log:end_all(),
    ejabberd_commands:unregister_commands(ejabberd_megaphone:commands()),
    ejabberd_hooks:delete(c2s_init, ejabberd_megaphone_binding, c2s_init, ?HOOK_SEQUENCE),
    ejabberd_hooks:delete(host_up, ?MODULE, host_up, 50),
    ejabberd_hooks:delete(host_down, ?MODULE, host_down, 50),
    ejabberd_hooks:delete(ejabberd_stopping, ?MODULE, ejabberd_stopping, 50),
    lists:foreach(fun host_down/1, ejabberd_option:hosts()),
    ejabberd_megaphone_shared:erase().

%% Otherwise their ECMs would wait for them to come back.
end_links(Owners) ->
    Monitors = [erlang:monitor(process, Owner) || Owner <- Owners],
    lists:foreach(fun ejabberd_megaphone_link:end_now/1, Owners),
    Timer = erlang:start_timer(?END_TIMEOUT, self(), links_have_ended),
    await(Monitors, Timer).

await([], Timer) -> _ = erlang:cancel_timer(Timer), ok;
await([Monitor | Others], Timer) ->
    receive
        {'DOWN', Monitor, process, _, _} -> await(Others, Timer);
        {timeout, Timer, _} -> ok
    end.

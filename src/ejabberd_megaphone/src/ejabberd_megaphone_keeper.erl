%%% @doc Keeps what all links of this node have in common, for as long as there is a listener or a link: the table of links,
%%% the counters, the hooks and commands in ejabberd, the shared terms, what wrong secrets cost, and how often the log has been
%%% told. Begins with the first listener, ends after the last link, and leaves nothing behind.
%%%
%%% Listeners and links are linked to this process. It notices when they end; and should it crash, they end and begin anew.
-module(ejabberd_megaphone_keeper).
-behaviour(gen_server).

-export([add_listener/1, add_link/2, add_template/2, attempt/2, warn_once/2, counters/0]).
-export([start_link/0, init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).
-export([host_up/1, host_down/1]).

-include("ejabberd_megaphone.hrl").
-include("logger.hrl").

%% Before the hooks of ejabberd itself (from 50 on), which need not see what is between a link and its sessions.
-define(HOOK_SEQUENCE, 1).
%% Functions of ejabberd_megaphone_session, too.
-define(HOOKS, [c2s_handle_info, c2s_stream_started, c2s_auth_result]).
%% Kinds of states of sleeping sessions that are kept.
-define(MAX_TEMPLATES, 64).

-record(state,
        {counters :: counters:counters_ref(),
         listeners = #{} :: #{pid() => true},
         links = #{} :: #{Owner :: pid() => Listener :: pid()},
         templates = 0 :: non_neg_integer(),
         guesses = ejabberd_megaphone_guesses:new() :: ejabberd_megaphone_guesses:guesses()}).

%% @doc Called by the process of a listener, which is linked with the keeper from then on.
-spec add_listener(#options{}) -> {ejabberd_megaphone_shared:key(), counters:counters_ref()}.
add_listener(Options) ->
    try gen_server:call(?MODULE, {add_listener, self(), Options})
    catch
        exit:{Reason, _} when Reason =:= noproc; Reason =:= normal ->
            Child = #{id => ?MODULE, start => {?MODULE, start_link, []}, restart => temporary},
            case supervisor:start_child(ejabberd_sup, Child) of
                {ok, _} -> ok;
                {error, {already_started, _}} -> ok
            end,
            add_listener(Options)
    end.

%% @doc Called by the owner of a link, which is linked with the keeper from then on.
-spec add_link(#link{}, Listener :: pid()) -> {ok, Keeper :: pid()} | {error, no_listener}.
add_link(Link, Listener) -> gen_server:call(?MODULE, {add_link, Link, Listener}).

%% @doc Keeps a kind of state of sleeping sessions. Answers the one that is kept under that key by now; none if there are too
%% many.
-spec add_template(ejabberd_megaphone_shared:key(), map()) -> map() | none.
add_template(Key, Template) ->
    try gen_server:call(?MODULE, {add_template, Key, Template})
    catch exit:_ -> none
    end.

%% @doc Called by the receiver of a link that has said a secret: when that may be looked at (see ejabberd_megaphone_guesses).
-spec attempt(Peer :: endpoint() | {local, binary()}, IsRight :: boolean()) -> now | {wait, Ms :: pos_integer()} | too_many.
attempt(Peer, IsRight) -> gen_server:call(?MODULE, {attempt, Peer, IsRight}).

%% @doc Says `Text' in the log, once for all sessions. `Key' stands for it.
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

%%% Hooks

%% @private
-spec host_up(binary()) -> ok.
host_up(Host) ->
    lists:foreach(fun(Hook) -> ejabberd_hooks:add(Hook, Host, ejabberd_megaphone_session, Hook, ?HOOK_SEQUENCE) end, ?HOOKS).

%% @private
-spec host_down(binary()) -> ok.
host_down(Host) ->
    lists:foreach(fun(Hook) -> ejabberd_hooks:delete(Hook, Host, ejabberd_megaphone_session, Hook, ?HOOK_SEQUENCE) end, ?HOOKS).

%%% The process

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @private
-spec init([]) -> {ok, #state{}}.
init([]) ->
    process_flag(trap_exit, true),
    ok = ejabberd_megaphone_log:new(),
    ?LINKS = ets:new(?LINKS, [named_table, public, set, {keypos, #link.owner}, {read_concurrency, true}]),
    lists:foreach(fun host_up/1, ejabberd_option:hosts()),
    ejabberd_hooks:add(host_up, ?MODULE, host_up, 50),
    ejabberd_hooks:add(host_down, ?MODULE, host_down, 50),
    ejabberd_commands:register_commands(ejabberd_megaphone:commands()),
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
    {reply, {ok, self()}, State#state{links = Links#{Owner => Listener}}};
handle_call({add_link, _Link, _Listener}, _From, State) ->
    {reply, {error, no_listener}, State};
handle_call({add_template, Key, Template}, _From, #state{templates = Count} = State) ->
    case ejabberd_megaphone_shared:get(Key, none) of
        none when Count < ?MAX_TEMPLATES ->
            ejabberd_megaphone_shared:put_new(Key, Template),
            {reply, Template, State#state{templates = Count + 1}};
        Known ->
            {reply, Known, State}
    end;
handle_call({attempt, Peer, IsRight}, _From, #state{guesses = Before} = State) ->
    {Turn, Guesses} = ejabberd_megaphone_guesses:attempt(Peer, IsRight, erlang:monotonic_time(millisecond), Before),
    {reply, Turn, State#state{guesses = Guesses}};
handle_call(counters, _From, State) ->
    {reply, State#state.counters, State}.

%% @private
-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({warn_once, Key, Text}, State) ->
    case ejabberd_megaphone_shared:get({warned, Key}, false) of
        true ->
            ok;
        false ->
            ejabberd_megaphone_shared:put_new({warned, Key}, true),
            ?WARNING_MSG(Text, [])
    end,
    {noreply, State};
handle_cast(_Unknown, State) ->
    {noreply, State}.

%% @private
-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal | shutdown, #state{}}.
handle_info({'EXIT', Pid, _Reason}, #state{listeners = Listeners, links = Links} = State) ->
    case State of
        #state{listeners = #{Pid := _}} ->
            lists:foreach(fun(Owner) -> gen_server:cast(Owner, close) end,
                          [Owner || {Owner, Listener} <- maps:to_list(Links), Listener =:= Pid]),
            stop_when_alone(State#state{listeners = maps:remove(Pid, Listeners)});
        #state{links = #{Pid := _}} ->
            ets:delete(?LINKS, Pid),
            stop_when_alone(State#state{links = maps:remove(Pid, Links)});
        _ ->
            {stop, shutdown, State}              % the supervisor's wish
    end;
handle_info({log_interval_ends, Kind}, State) ->
    ejabberd_megaphone_log:end_interval(Kind),
    {noreply, State};
handle_info(_Unknown, State) ->
    {noreply, State}.

stop_when_alone(#state{listeners = Listeners, links = Links} = State)
  when map_size(Listeners) =:= 0, map_size(Links) =:= 0 ->
    {stop, normal, State};
stop_when_alone(State) ->
    {noreply, State}.

%% @private
-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, _State) ->
    ejabberd_megaphone_log:end_all(),
    ejabberd_commands:unregister_commands(ejabberd_megaphone:commands()),
    ejabberd_hooks:delete(host_up, ?MODULE, host_up, 50),
    ejabberd_hooks:delete(host_down, ?MODULE, host_down, 50),
    lists:foreach(fun host_down/1, ejabberd_option:hosts()),
    ejabberd_megaphone_shared:erase().

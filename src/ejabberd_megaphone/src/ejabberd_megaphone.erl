%%% @doc A listener for links: the connections over which an external connection manager (ECM) brings the clients that it holds. Each
%%% client becomes an ordinary session of ejabberd, with neither a socket nor an XML parser of its own.
%%%
%%% `ejabberd_megaphone_connection' is the process of an accepted connection until its first packet. Three processes last as long as the
%%% link: `ejabberd_megaphone_link' owns its sessions, `ejabberd_megaphone_receiver' reads from its connection and
%%% `ejabberd_megaphone_sender' writes to it. `ejabberd_megaphone_session' runs in the processes of the sessions. One
%%% `ejabberd_megaphone_registry' holds what all links share.
-module(ejabberd_megaphone).
-behaviour(ejabberd_listener).

-export([start/3, start_link/3, accept/1, tcp_init/2, listen_opt_type/1, listen_options/0]).
-export([info/0, peer/1, endpoint/1, commands/0, links_command/0, counters_command/0, drain_command/0]).

-include("ejabberd_megaphone.hrl").
-include("ejabberd_commands.hrl").
-include("logger.hrl").

%% @doc The links and the counters of this node, for operators.
-spec info() -> #{links => [#{atom() => term()}], counters => [{ejabberd_megaphone_counters:name(), non_neg_integer()}]}.
info() ->
    case ejabberd_megaphone_registry:counters() of
        {ok, Counters} ->
            #{links => [link_info(Link) || Link <- ets:tab2list(?LINKS)],
              counters => ejabberd_megaphone_counters:all(Counters)};
        error ->
            #{links => [], counters => []}
    end.

link_info(#link{owner = Owner, sessions = Sessions, name = Name, addresses = {_, Peer}, sender = Sender, is_cut = IsCut, since = Since,
                queued = Queued, budget = Budget}) ->
    Open = [{#session{c2s = '$1', _ = '_'}, [{is_pid, '$1'}], [true]}],
    #{owner => Owner, peer => Peer, name => Name,
      status => if Sender =:= undefined -> closing; IsCut -> cut; true -> up end,
      age => erlang:system_time(second) - Since,
      sessions => try ets:select_count(Sessions, Open) catch error:badarg -> 0 end,
      queued_bytes => atomics:get(Queued, 1), waiting_bytes => ejabberd_megaphone_budget:reserved(Budget)}.

%%% Commands

%% @doc For ejabberdctl and ejabberd's API.
-spec commands() -> [#ejabberd_commands{}].
commands() ->
    [#ejabberd_commands{name = megaphone_links, tags = [session],
                        desc = "List the links of ejabberd_megaphone: address and name of the ECM, whether the link is up, cut (it may "
                               "come back) or closing its sessions, for how many seconds it has been there, sessions, bytes queued for its "
                               "socket, and bytes buffered for its sessions and their clients",
                        module = ?MODULE, function = links_command, args = [],
                        result = {links, {list, {link, {tuple, [{peer, string}, {name, string}, {status, atom}, {age, integer},
                                                                {sessions, integer}, {queued_bytes, integer},
                                                                {waiting_bytes, integer}]}}}}},
     ejabberd_megaphone_whereabouts:command(),
     #ejabberd_commands{name = megaphone_drain, tags = [session],
                        desc = "Ask all ECMs for no new sessions on this node, until it is started again; those that it has stay until they end",
                        module = ?MODULE, function = drain_command, args = [], result = {res, rescode}},
     #ejabberd_commands{name = megaphone_counters, tags = [session],
                        desc = "Show the counters of ejabberd_megaphone",
                        module = ?MODULE, function = counters_command, args = [],
                        result = {counters, {list, {counter, {tuple, [{name, atom}, {value, integer}]}}}}}].

%% @private
-spec links_command() -> [tuple()].
links_command() ->
    #{links := Links} = info(),
    [{unicode:characters_to_list(endpoint(Peer)), unicode:characters_to_list(Name),
      Status, Age, Sessions, Queued, Waiting}
     || #{peer := Peer, name := Name, status := Status, age := Age, sessions := Sessions, queued_bytes := Queued,
          waiting_bytes := Waiting} <- Links].

%% @private
-spec counters_command() -> [{ejabberd_megaphone_counters:name(), non_neg_integer()}].
counters_command() ->
    #{counters := Counters} = info(),
    Counters.

%% @private
-spec drain_command() -> ok | error.
drain_command() -> ejabberd_megaphone_registry:drain().

%% @doc The ECM's address, as it is written in logs.
-spec peer(#link{}) -> iolist().
peer(#link{addresses = {_, Peer}}) -> endpoint(Peer).

%% @doc An address as it is written in logs.
-spec endpoint(endpoint() | {local, binary()}) -> iolist().
endpoint({Address, Port}) when tuple_size(Address) =:= 4 -> [inet:ntoa(Address), $:, integer_to_list(Port)];
endpoint({Address, Port}) when tuple_size(Address) =:= 8 -> [$[, inet:ntoa(Address), "]:", integer_to_list(Port)];
endpoint({local, Path}) -> ["unix:", ejabberd_megaphone_text:sanitize(Path)].

%%% ejabberd_listener

-spec start(gen_tcp, gen_tcp:socket(), [{atom(), term()}]) -> {ok, pid()}.
start(gen_tcp, Socket, Options) ->
    {_, {Listener, Terms}} = lists:keyfind(?MODULE, 1, Options),
    ejabberd_megaphone_connection:start(Socket, Listener, Terms, proplists:get_value(sock_peer_name, Options)).

-spec start_link(gen_tcp, gen_tcp:socket(), [{atom(), term()}]) -> {ok, pid()}.
start_link(gen_tcp, Socket, Options) ->
    {ok, Connection} = start(gen_tcp, Socket, Options),
    link(Connection),
    {ok, Connection}.

-spec accept(pid()) -> ok.
accept(Connection) -> ejabberd_megaphone_connection:accept(Connection).

%% @doc Called once, in the process of the listener, before it accepts connections. Refuses to listen where anybody could connect if neither a
%% secret nor a certificate is required: whoever has a link can claim any address for its clients.
-spec tcp_init(gen_tcp:socket(), [{atom(), term()}]) -> [{atom(), term()}].
tcp_init(ListenSocket, Given) ->
    {ok, {Address, Port}} = inet:sockname(ListenSocket),
    case may_listen(Address, Given) of
        true ->
            #options{tls = Tls} = Options = (options(Given))#options{listener = {Address, Port}},
            _ = [warn_of_tls(Port, Tls) || Tls =/= none],
            Terms = ejabberd_megaphone_registry:add_listener(Options),
            [{?MODULE, {self(), Terms}} | Given];
        {false, Why} ->
            ?CRITICAL_MSG("~s does not listen on ~ts port ~p: ~ts", [?MODULE, inet:ntoa(Address), Port, Why]),
            gen_tcp:close(ListenSocket),
            exit(normal)
    end.

may_listen(Address, Given) ->
    Get = getter(Given),
    HasFile = Get(certfile) =/= undefined orelse Get(cafile) =/= undefined,
    Timeout = Get(resume_timeout),
    IsOpen = not is_loopback(Address) andalso Get(secret) =:= <<>> andalso Get(cafile) =:= undefined,
    Refusals = [{HasFile andalso not Get(tls), "it has a certfile or cafile, which have no effect without tls: true"},
                {Get(starttls_required) andalso Get(proxy_header) =:= forbidden,
                 "starttls_required accepts only clients whose PROXY header says that they use TLS, and proxy_header: forbidden refuses those"},
                {is_given(resume_timeout, Given) andalso Timeout > 0 andalso Timeout < least_resume_timeout(Get),
                 io_lib:format("its resume_timeout of ~b s is less than four times keep_alive, so that an ECM may find out too late that its link "
                               "is cut. Write resume_timeout: ~b, or 0 if links shall not be resumed",
                               [Timeout div 1000, least_resume_timeout(Get) div 1000])},
                {IsOpen andalso not Get(allow_open_listener),
                 "anybody who can connect to it could claim any address for its clients. Give it a secret (and the ECM the same), "
                 "or tls: true with a cafile, or a loopback ip, or write allow_open_listener: true"}],
    case lists:keyfind(true, 1, Refusals) of
        {true, Why} -> {false, Why};
        false -> true
    end.

is_given(Name, Given) -> lists:keymember(Name, 1, Given).

%% Section 7 of the link protocol.
least_resume_timeout(Get) -> 4 * Get(keep_alive).

%% The default follows a longer keep_alive.
resume_timeout(Get) ->
    case Get(resume_timeout) of
        0 -> 0;
        Timeout -> max(Timeout, least_resume_timeout(Get))
    end.

%% Not a reason not to listen: the files are read for each link, and may be put right, or come from ACME, later.
warn_of_tls(Port, Tls) ->
    case ejabberd_megaphone_tls:check(Tls) of
        ok -> ok;
        {error, Why} -> ?ERROR_MSG("Links on port ~p will be refused: ~ts", [Port, Why])
    end.

is_loopback({127, _, _, _}) -> true;
is_loopback({0, 0, 0, 0, 0, 0, 0, 1}) -> true;
is_loopback({0, 0, 0, 0, 0, 16#FFFF, High, _}) -> High bsr 8 =:= 127;
is_loopback(Address) -> not is_tuple(Address).      % a Unix socket

options(Given) ->
    Get = getter(Given),
    #options{tls = tls(Get),
             starttls_required = Get(starttls_required),
             proxy_header = Get(proxy_header),
             secret = Get(secret),
             keep_alive = Get(keep_alive),
             max_packet = Get(max_packet),
             hibernate_after = may_hibernate(Get(hibernate_after)),
             compact = Get(compact),
             close_rate = Get(close_rate),
             max_links = Get(max_links),
             resume_timeout = resume_timeout(Get),
             buffer_total = Get(buffer_total),
             send_timeout = proplists:get_value(send_timeout, Given, 15000),
             max_stanza_size = Get(max_stanza_size),
             max_queue = proplists:get_value(max_queue, ejabberd_config:fsm_limit_opts(Given)),
             c2s = [Option || {Name, _} = Option <- Given, lists:member(Name, [access, shaper, max_stanza_size, max_fsm_queue])]}.

%% ejabberd leaves out options that equal their defaults.
getter(Given) ->
    fun(Name) -> proplists:get_value(Name, Given, proplists:get_value(Name, listen_options())) end.

tls(Get) ->
    case Get(tls) of
        true -> #{certfile => Get(certfile), cafile => Get(cafile)};
        false -> none
    end.

may_hibernate(0) ->
    0;
may_hibernate(After) ->
    case ejabberd_megaphone_sleep:is_possible() of
        true ->
            After;
        false ->
            ?WARNING_MSG("This ejabberd's p1_server has no wake_hib/6: idle sessions stay awake", []),
            0
    end.

-spec listen_options() -> [{atom(), term()}].
listen_options() ->
    [{ip, {127, 0, 0, 1}},
     {supervisor, false},                            % the processes of a link monitor each other
     {backlog, 1024},                                % many ECMs may reconnect at once
     {framing, stanza},
     {tls, false},                                   % these three are options of ejabberd, with its types
     {certfile, undefined},
     {cafile, undefined},
     {starttls_required, false},
     {proxy_header, optional},
     {secret, <<>>},
     {allow_open_listener, false},
     {keep_alive, 15000},
     {max_packet, 1048576},
     {hibernate_after, 10000},
     {compact, true},
     {close_rate, 5000},
     {max_links, 256},
     {resume_timeout, 90000},
     {buffer_total, 268435456},
     {access, all},
     {shaper, none},
     {max_stanza_size, infinity},
     {max_fsm_queue, 10000}].

-spec listen_opt_type(atom()) -> econf:validator().
listen_opt_type(framing) ->
    econf:and_then(
      econf:enum([stanza, bytes]),
      fun(stanza) ->
              stanza;
         (bytes) ->
              ?ERROR_MSG("~s has no parser for each of its sessions: each packet must be one whole piece of a client's "
                         "stream. Write framing: stanza, here and in the ECM's configuration of its clients", [?MODULE]),
              econf:fail({bad_enum, [stanza], bytes})
      end);
listen_opt_type(starttls_required) -> econf:bool();
listen_opt_type(proxy_header) -> econf:enum([required, optional, forbidden]);
listen_opt_type(secret) -> econf:binary();
listen_opt_type(allow_open_listener) -> econf:bool();
listen_opt_type(keep_alive) -> econf:timeout(second);
listen_opt_type(max_packet) -> econf:int(4128, 16#7FFFFFFF);
listen_opt_type(hibernate_after) -> econf:either(econf:int(0, 0), econf:timeout(second));
listen_opt_type(compact) -> econf:bool();
listen_opt_type(close_rate) -> econf:pos_int();
listen_opt_type(max_links) -> econf:pos_int();
listen_opt_type(resume_timeout) -> econf:either(econf:int(0, 0), econf:timeout(second));
listen_opt_type(buffer_total) -> econf:int(1048576, 1 bsl 48).

%%% @doc A connection that was accepted and does not belong to a link yet: TLS, if the listener requires it, and the first packet, whose id
%%% decides what becomes of it: a hello, or the packet of a session on a link without control. This process owns the socket meanwhile. It
%%% starts the link, hands the connection over to it, and ends.
%%%
%%% A connection that has not authenticated costs this process, its socket, and the memory that a hello takes. Everything about it
%%% happens here, so that neither the listener nor a link ever waits for it.
-module(ejabberd_megaphone_connection).
-behaviour(gen_server).

-export([start/4, accept/1, abort/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include("ejabberd_megaphone.hrl").
-include("logger.hrl").

%% Bytes that the socket delivers at once.
-define(READ_BYTES, 65536).
%% ms within which the hello must arrive that a listener with a secret requires.
-define(HELLO_TIMEOUT, 10000).
-define(HELLO_MAX_PACKET, (32 + 4096)).

%% The process does not own the socket yet.
-record(new,
        {socket :: gen_tcp:socket(),
         listener :: pid(),
         terms :: listener_terms(),
         addresses :: {endpoint(), endpoint()} | undefined}).

%% The first packet has not arrived completely.
-record(state,
        {connection :: connection(),
         listener :: pid(),
         terms :: listener_terms(),
         options :: #options{},
         addresses :: {endpoint(), endpoint()},
         splitter :: ejabberd_megaphone_splitter:splitter()}).

%% @doc Starts the process of a connection. It does not touch the socket before accept/1. `Addresses' are those of the two ends, if the
%% listener knows better than the socket. The connection ends with its listener until it belongs to a link.
-spec start(gen_tcp:socket(), Listener :: pid(), listener_terms(), Addresses :: {endpoint(), endpoint()} | undefined) -> {ok, pid()}.
start(Socket, Listener, Terms, Addresses) ->
    gen_server:start(?MODULE, #new{socket = Socket, listener = Listener, terms = Terms, addresses = Addresses}, []).

%% @doc Begins: the process owns the socket by now.
-spec accept(pid()) -> ok.
accept(Connection) -> Connection ! accept, ok.

%% @doc Ends a connection at once, without waiting for what is in the socket's buffer, nor for TLS. Whoever is writing to it or reading from it
%% learns that it is closed.
-spec abort(connection()) -> ok.
abort({Transport, Socket, Port}) ->
    _ = inet:setopts(Port, [{linger, {true, 0}}]),
    ok = gen_tcp:close(Port),
    _ = [spawn(ssl, close, [Socket]) || Transport =:= ssl],
    ok.

%% @private
-spec init(#new{}) -> {ok, #new{}}.
init(#new{listener = Listener} = New) ->
    _ = erlang:monitor(process, Listener),
    {ok, New}.

%% @private
-spec handle_call(term(), gen_server:from(), #new{} | #state{}) -> {noreply, #new{} | #state{}}.
handle_call(_Unknown, _From, State) ->
    {noreply, State}.

%% @private
-spec handle_cast(term(), #new{} | #state{}) -> {noreply, #new{} | #state{}}.
handle_cast(_Unknown, State) ->
    {noreply, State}.

%% @private
-spec handle_info(term(), #new{} | #state{}) -> {noreply, #new{} | #state{}} | {stop, normal, #new{} | #state{}}.
handle_info(accept, #new{} = New) ->
    prepare(New);
handle_info({Tag, Socket, Data}, #state{connection = {_, Socket, _}} = State) when Tag =:= tcp; Tag =:= ssl ->
    safely(Data, State);
handle_info({Tag, Socket}, #state{connection = {_, Socket, _}} = State) when Tag =:= tcp_closed; Tag =:= ssl_closed ->
    closed("closed by the other end", State);
handle_info({Tag, Socket, Reason}, #state{connection = {_, Socket, _}} = State) when Tag =:= tcp_error; Tag =:= ssl_error ->
    closed(ejabberd_megaphone_text:term(Reason), State);
handle_info(hello_timeout, #state{} = State) ->
    violated("no hello arrived within 10 seconds, and a secret is required", State);
handle_info({'DOWN', _, process, Listener, _}, #new{listener = Listener} = New) ->
    {stop, normal, New};
handle_info({'DOWN', _, process, Listener, _}, #state{listener = Listener} = State) ->
    {stop, normal, State};
handle_info(_Unknown, State) ->
    {noreply, State}.

%%% The connection, up to its first packet.

prepare(#new{socket = Socket, terms = {OptionsKey, _Counters}, addresses = Addresses} = New) ->
    #options{send_timeout = SendTimeout} = Options = ejabberd_megaphone_shared:get(OptionsKey),
    SocketOptions = [{packet, raw}, {buffer, ?READ_BYTES}, {nodelay, true},
                     {send_timeout, SendTimeout}, {send_timeout_close, true}],
    case {addresses(Socket, Addresses), inet:setopts(Socket, SocketOptions)} of
        {{{ok, Here}, {ok, There}}, ok} ->
            ejabberd_megaphone_registry:waits(There),
            secure(Options, New#new{addresses = {Here, There}});
        _ -> {stop, normal, New}                 % the ECM is gone already
    end.

addresses(Socket, undefined) -> {inet:sockname(Socket), inet:peername(Socket)};
addresses(_Socket, {Here, There}) -> {{ok, Here}, {ok, There}}.

secure(#options{tls = none} = Options, #new{socket = Socket} = New) ->
    wait_for_first_packet({gen_tcp, Socket, Socket}, Options, New);
secure(#options{tls = Settings} = Options, #new{socket = Socket, terms = {_, Counters}, addresses = {_, There}} = New) ->
    case ejabberd_megaphone_tls:accept(Socket, Settings) of
        {ok, TlsSocket} ->
            wait_for_first_packet({ssl, TlsSocket, Socket}, Options, New);
        {error, Why} ->
            ejabberd_megaphone_counters:add(Counters, tls_failed),
            _ = [?WARNING_MSG("Link ~ts is refused: ~ts", [ejabberd_megaphone:endpoint(There), Why])
                 || ejabberd_megaphone_log:allows(tls_failed, Counters)],
            {stop, normal, New}
    end.

wait_for_first_packet(Connection, #options{secret = Secret, max_packet = MaxPacket} = Options, #new{} = New) ->
    Max = case Secret of
              <<>> -> MaxPacket;
              _ -> erlang:send_after(?HELLO_TIMEOUT, self(), hello_timeout), min(?HELLO_MAX_PACKET, MaxPacket)
          end,
    wait_for_data(#state{connection = Connection, listener = New#new.listener, terms = New#new.terms, options = Options,
                         addresses = New#new.addresses, splitter = ejabberd_megaphone_splitter:new(Max)}).

%% One message at a time, so that the socket is passive whenever the connection is handed over.
wait_for_data(#state{connection = {Transport, Socket, _}} = State) ->
    case set_active_once(Transport, Socket) of
        ok -> {noreply, State};
        {error, Reason} -> closed(ejabberd_megaphone_text:term(Reason), State)
    end.

set_active_once(gen_tcp, Socket) -> inet:setopts(Socket, [{active, once}]);
set_active_once(ssl, Socket) -> ssl:setopts(Socket, [{active, once}]).

%% Whatever arrives, the connection ends in order: a process that crashes would log all that it holds.
safely(Data, #state{terms = {_, Counters}} = State) ->
    try received(Data, State)
    catch
        Class:Reason:Stack ->
            ejabberd_megaphone_counters:add(Counters, failures),
            violated(failure, ["what arrived raised an exception: ", ejabberd_megaphone_text:failure(Class, Reason, Stack)], State)
    end.

received(Data, #state{terms = {_, Counters}, splitter = Splitter} = State) ->
    ejabberd_megaphone_counters:add(Counters, bytes_in, byte_size(Data)),
    Added = ejabberd_megaphone_splitter:add(Data, Splitter),
    case ejabberd_megaphone_splitter:next(Added) of
        {packet, 0, Content, Rest} ->
            control(Content, State#state{splitter = Rest});
        {packet, _Id, _Content, _Rest} ->
            session_packet(State#state{splitter = Added});
        {more, Rest} ->
            case ejabberd_megaphone_splitter:incomplete_id(Rest) of
                Id when Id =:= unknown; Id =:= 0 -> wait_for_data(State#state{splitter = Rest});
                _ -> session_packet(State#state{splitter = Rest})
            end;
        {malformed, At, Why} ->
            violated([Why | explain_tls(At, Data, State)], State)
    end.

explain_tls(0, Data, #state{connection = {gen_tcp, _, _}}) ->
    case ejabberd_megaphone_tls:is_hello(Data) of
        true -> "; this is TLS, and the listener has no tls: true";
        false -> ""
    end;
explain_tls(_At, _Data, _State) ->
    "".

%%% The first packet.

%% Without control, the link begins with the header of a session's packet, which is left to its receiver.
session_packet(#state{options = #options{secret = Secret}} = State) when Secret =/= <<>> ->
    violated("its first packet is not a hello, and a secret is required", State);
session_packet(State) ->
    start_link(none, State).

control(Content, #state{terms = {_, Counters}} = State) ->
    case ejabberd_megaphone_control:decode(Content) of
        {ok, Message, Ignored} ->
            _ = [ejabberd_megaphone_counters:add(Counters, control_ignored, Ignored) || Ignored > 0],
            case Message of
                {hello, Hello} -> authenticate(Hello, State);
                _ -> violated("a control packet on a link without hello", State)
            end;
        {error, Why} ->
            violated(Why, State)
    end.

authenticate(Hello, #state{options = #options{secret = Required} = Options} = State) ->
    IsRight = ejabberd_megaphone_control:is_secret(Hello, Options),
    case Required =:= <<>> orelse take_turn(IsRight, State) of
        too_many -> refuse(secret_throttled, <<"too many wrong secrets from this address">>, State);
        timeout -> violated("its secret had to wait for wrong ones from its address, and 10 seconds have passed", State);
        _ when not IsRight -> refuse(secret_wrong, <<"wrong or no secret">>, State);
        _ -> check(Hello, State)
    end.

%% Waits until the secret may be looked at. Nothing is read from the connection meanwhile.
take_turn(IsRight, #state{addresses = {_, There}}) ->
    case ejabberd_megaphone_registry:attempt(There, IsRight) of
        {wait, Time} -> receive hello_timeout -> timeout after Time -> now end;
        Turn -> Turn
    end.

check(Hello, State) ->
    case ejabberd_megaphone_control:check_hello(Hello) of
        ok ->
            start_link(Hello, State);
        {refuse, Reason} ->
            send_refuse(Reason, State),
            violated(["its hello was refused: ", Reason], State)
    end.

%% The secret was wrong, or there were too many wrong ones.
refuse(Counter, Reason, #state{terms = {_, Counters}} = State) ->
    ejabberd_megaphone_counters:add(Counters, Counter),
    send_refuse(Reason, State),
    violated(secret_wrong, ["its hello was refused: ", Reason], State).

send_refuse(Reason, #state{connection = {Transport, Socket, _}, terms = {_, Counters}}) ->
    {Bytes, Packet} = ejabberd_megaphone_control:packet({refuse, Reason}),
    _ = [ejabberd_megaphone_counters:add(Counters, bytes_out, Bytes) || ok <- [Transport:send(Socket, Packet)]],
    ok.

%%% What becomes of the connection.

start_link(Hello, #state{listener = Listener, terms = Terms, addresses = Addresses} = State) ->
    case ejabberd_megaphone_links:take_up(Listener, Addresses, Hello, Terms) of
        {ok, Link, Greeting} ->
            connect(Link, Greeting, State);
        none ->
            start_new_link(Hello, State);
        {error, Why} ->
            violated(Why, State)
    end.

start_new_link(Hello, #state{listener = Listener, terms = Terms, addresses = Addresses, options = #options{max_links = Max}} = State) ->
    case ejabberd_megaphone_registry:links() < Max andalso ejabberd_megaphone_link:start(Listener, Addresses, Hello, Terms) of
        {ok, Link, Greeting} ->
            log_up(Link),
            connect(Link, Greeting, State);
        ignore ->
            {stop, normal, State};
        false ->
            too_many(Hello, State)
    end.

%% Links that come back are not counted again: they are taken up before this is asked.
too_many(Hello, #state{terms = {_, Counters}, addresses = {_, There}, options = #options{max_links = Max}} = State) ->
    ejabberd_megaphone_counters:add(Counters, links_refused),
    Why = iolist_to_binary(io_lib:format("max_links (~b) is reached", [Max])),
    _ = [send_refuse(Why, State) || Hello =/= none],
    _ = [?WARNING_MSG("Link ~ts is refused: ~ts", [ejabberd_megaphone:endpoint(There), Why])
         || ejabberd_megaphone_log:allows(links_refused, Counters)],
    shut(State).

connect(Link, Greeting, #state{connection = Connection, options = #options{max_packet = MaxPacket}, splitter = Splitter} = State) ->
    case ejabberd_megaphone_link:connect(Link, Connection, ejabberd_megaphone_splitter:limit(MaxPacket, Splitter), Greeting) of
        ok -> {stop, normal, State};
        {error, Reason} -> closed(ejabberd_megaphone_text:term(Reason), State)
    end.

log_up(#link{has_control = true, name = Name, max_out = MaxOut, counters = Counters} = Link) ->
    _ = [?INFO_MSG("Link ~ts is up: \"~ts\", packets up to ~b bytes", [ejabberd_megaphone:peer(Link), Name, MaxOut])
         || ejabberd_megaphone_log:allows(link_up, Counters)],
    ok;
log_up(_WithoutControl) ->
    ok.

%% The first packet violates the protocol, or did not arrive.
violated(Why, State) -> violated(stranger_closed, Why, State).

violated(Kind, Why, #state{terms = {_, Counters}, addresses = {_, There}} = State) ->
    ejabberd_megaphone_counters:add(Counters, protocol_errors),
    _ = [?ERROR_MSG("Link ~ts is closed: ~ts", [ejabberd_megaphone:endpoint(There), Why]) || ejabberd_megaphone_log:allows(Kind, Counters)],
    shut(State).

%% Behind a refuse, which should reach the ECM.
shut(#state{connection = {Transport, Socket, _}} = State) ->
    _ = Transport:shutdown(Socket, write),
    {stop, normal, State}.

closed(Why, #state{terms = {_, Counters}, addresses = {_, There}} = State) ->
    _ = [?INFO_MSG("Link ~ts is down: ~ts", [ejabberd_megaphone:endpoint(There), Why])
         || ejabberd_megaphone_log:allows(stranger_down, Counters)],
    {stop, normal, State}.

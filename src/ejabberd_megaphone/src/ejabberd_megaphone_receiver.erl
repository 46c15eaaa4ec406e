%%% @doc The process that owns a link's socket and reads it: finds the packets in the stream, the session of each packet, and
%%% hands the packet on as it is. XML is read in the process of the session, so that one busy link keeps all schedulers busy
%%% and not this process.
%%%
%%% A session that does not keep up has at most ?LOAD_HIGH packets in its mailbox. What comes on top of them waits here
%%% (ejabberd_megaphone_held), the other end is asked to pause that client, and when that does not help, or when all sessions
%%% together make wait more than `buffer_total', the session is reset.
%%%
%%% Every byte of a packet for a session is counted as waiting (ejabberd_megaphone_waiting) from when it has come until it is
%%% taken up. What a session has left when its process ends only this process can tell, as nobody else adds to it: gone/2.
-module(ejabberd_megaphone_receiver).
-behaviour(gen_server).

-export([start/3, accept/1, taken/3, ended/2, gone/2, reset/3, drain/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-import(ejabberd_megaphone_waiting, [packet_bytes/1]).

-include("ejabberd_megaphone.hrl").
-include("logger.hrl").

%% Packets that a session may have in its mailbox, and the number at which more are sent to it again.
-define(LOAD_HIGH, 64).
-define(LOAD_LOW, 16).
%% The longest packet that a session for which nothing waits may always have, so that it does not end because others use up
%% `buffer_total'.
-define(ALWAYS, 4096).
%% Bytes of one read, and reads that the socket may deliver before it is asked for more.
-define(READ, 65536).
-define(ACTIVE, 16).
%% ms in which a link has to say the hello that is wanted of it.
-define(HELLO_TIMEOUT, 10000).
-define(HELLO_MAX_PACKET, (32 + 4096)).

%% A link that has not begun: the process does not own the socket yet.
-record(new,
        {socket :: gen_tcp:socket(),
         listener :: pid(),
         monitor :: reference(),
         settings :: {shared(), {endpoint(), endpoint()} | undefined}}).

-record(state,
        {transport :: gen_tcp | ssl,
         socket :: gen_tcp:socket() | ssl:sslsocket(),
         link :: #link{},
         options :: #options{},
         phase = first :: first | plain | control,      % first: nothing has come yet
         chunks = [] :: [binary()],                     % of a packet that is not whole, last first
         size = 0 :: non_neg_integer(),                 % bytes in them
         need = 1 :: pos_integer(),                     % bytes that must be there before it is worth a look
         offset = 0 :: non_neg_integer(),               % bytes of the stream before them
         held = ejabberd_megaphone_held:new() :: ejabberd_megaphone_held:held(),
         draining = false :: boolean(),                 % begins no more sessions
         heard = true :: boolean(),                     % since the last look at the clock
         silence = 0 :: non_neg_integer()}).            % looks in a row at which nothing had been heard

-type shared() :: {OptionsKey :: ejabberd_megaphone_shared:key(), counters:counters_ref()}.

%%% API

%% @doc Starts the receiver of a link. It takes no notice of the socket before accept/1. The addresses are those of the link's two
%% ends, if they are not what the socket says.
-spec start(gen_tcp:socket(), Listener :: pid(),
            {shared(), {endpoint(), endpoint()} | undefined}) -> {ok, pid()}.
start(Socket, Listener, Settings) ->
    gen_server:start(?MODULE, {Socket, Listener, Settings}, []).

%% @doc Begins: the socket belongs to the process by now.
-spec accept(pid()) -> ok.
accept(Receiver) -> Receiver ! accept, ok.

%% @doc Called by a session that has taken up a packet: it is one less in its mailbox.
-spec taken(#link{}, ejabberd_megaphone_wire:id(), Content :: binary()) -> ok.
taken(#link{sessions = Sessions, receiver = Receiver, waiting = Waiting}, Id, Content) ->
    Bytes = packet_bytes(Content),
    ejabberd_megaphone_waiting:remove(Waiting, Bytes),
    try ets:update_counter(Sessions, Id, [{#session.load, -1}, {#session.bytes, -Bytes}]) of
        [Load, _] when Load =:= ?HELD + ?LOAD_LOW -> Receiver ! {taken, Id}, ok;
        _ -> ok
    catch
        error:badarg -> ok
    end.

%% @doc Called by the owner: a session is over, and nobody will take what is held back for it.
-spec ended(pid(), ejabberd_megaphone_wire:id()) -> ok.
ended(Receiver, Id) -> Receiver ! {ended, Id}, ok.

%% @doc Called by the owner: the process of a session has ended, and what was in its mailbox is no more.
-spec gone(pid(), ejabberd_megaphone_wire:id()) -> ok.
gone(Receiver, Id) -> Receiver ! {gone, Id}, ok.

%% @doc Ends a session at once, in both directions.
-spec reset(pid(), ejabberd_megaphone_wire:id(), Reason :: binary()) -> ok.
reset(Receiver, Id, Reason) -> Receiver ! {reset, Id, Reason}, ok.

%% @doc Begins no more sessions.
-spec drain(pid()) -> ok.
drain(Receiver) -> Receiver ! drain, ok.

%%% The process.

%% @private
-spec init({gen_tcp:socket(), pid(), {shared(), {endpoint(), endpoint()} | undefined}}) -> {ok, #new{}}.
init({Socket, Listener, Settings}) ->
    process_flag(message_queue_data, off_heap),
    {ok, #new{socket = Socket, listener = Listener, monitor = erlang:monitor(process, Listener), settings = Settings}}.

begin_link(#new{socket = Socket, settings = {{OptionsKey, _Counters}, Peers}} = New) ->
    #options{send_timeout = SendTimeout} = Options = ejabberd_megaphone_shared:get(OptionsKey),
    SocketOptions = [{packet, raw}, {buffer, ?READ}, {nodelay, true},
                     {send_timeout, SendTimeout}, {send_timeout_close, true}],
    case {ends(Socket, Peers), inet:setopts(Socket, SocketOptions)} of
        {{{ok, Here}, {ok, There}}, ok} -> secure_link({Here, There}, Options, New);
        _ -> {stop, normal, New}                 % the other end has gone already
    end.

%% The handshake is this process's own affair: however long it takes, neither the listener nor another link waits for it.
secure_link(Ends, #options{tls = none} = Options, #new{socket = Socket} = New) ->
    begin_link({gen_tcp, Socket}, Ends, Options, New);
secure_link({_, There} = Ends, #options{tls = Settings} = Options, #new{socket = Socket, settings = {{_, Counters}, _}} = New) ->
    case ejabberd_megaphone_tls:accept(Socket, Settings) of
        {ok, TlsSocket} ->
            begin_link({ssl, TlsSocket}, Ends, Options, New);
        {error, Why} ->
            ejabberd_megaphone_counters:add(Counters, tls_failed),
            _ = [?WARNING_MSG("Link ~ts is refused: ~ts", [ejabberd_megaphone:endpoint(There), Why])
                 || ejabberd_megaphone_log:allows(tls_failed, Counters)],
            {stop, normal, New}
    end.

begin_link({Transport, Socket} = Connection, Ends, #options{secret = Secret} = Options,
           #new{listener = Listener, settings = {Shared, _}} = New) ->
    _ = [erlang:send_after(?HELLO_TIMEOUT, self(), hello_timeout) || Secret =/= <<>>],
    case ejabberd_megaphone_link:start(Connection, Listener, Ends, Shared) of
        {ok, Link} ->
            State = #state{transport = Transport, socket = Socket, link = Link, options = Options},
            activate(State),
            {noreply, State};
        ignore ->
            {stop, normal, New}
    end.

ends(Socket, undefined) -> {inet:sockname(Socket), inet:peername(Socket)};
ends(_Socket, {Here, There}) -> {{ok, Here}, {ok, There}}.

%% While the link takes nothing more, nothing more is read: what comes may want an answer.
activate(#state{transport = Transport, socket = Socket, link = Link}) ->
    _ = ejabberd_megaphone_sender:wait_for_room(Link),
    case set_active(Transport, Socket, ?ACTIVE) of
        ok -> ok;
        {error, Reason} -> self() ! {tcp_error, Socket, Reason}, ok
    end.

set_active(gen_tcp, Socket, Active) -> inet:setopts(Socket, [{active, Active}]);
set_active(ssl, Socket, Active) -> ssl:setopts(Socket, [{active, Active}]).

%% @private
-spec handle_call(term(), gen_server:from(), #new{} | #state{}) -> {noreply, #new{} | #state{}}.
handle_call(_Unknown, _From, State) ->
    {noreply, State}.

%% @private
-spec handle_cast(term(), #new{} | #state{}) -> {noreply, #new{} | #state{}}.
handle_cast(_Unknown, State) ->
    {noreply, State}.

%% @private
-spec handle_info(term(), #new{} | #state{}) -> {noreply, #new{} | #state{}} | {stop, normal, #new{}}.
handle_info(accept, #new{monitor = Monitor} = New) ->
    erlang:demonitor(Monitor, [flush]),
    begin_link(New);
handle_info({'DOWN', Monitor, process, _, _}, #new{monitor = Monitor} = New) ->
    {stop, normal, New};
handle_info({Tag, Socket, Data}, #state{socket = Socket} = State) when Tag =:= tcp; Tag =:= ssl ->
    {noreply, safely(Data, State)};
handle_info({Tag, Socket}, #state{socket = Socket} = State) when Tag =:= tcp_passive; Tag =:= ssl_passive ->
    activate(State),
    {noreply, State};
handle_info({taken, Id}, State) ->
    {noreply, send_held(Id, State)};
handle_info({ended, Id}, State) ->
    {noreply, forget_held(Id, State)};
handle_info({gone, Id}, State) ->
    forget_mailbox(Id, State),
    {noreply, State};
handle_info(look_at_clock, State) ->
    {noreply, look_at_clock(State)};
handle_info({reset, Id, Reason}, State) ->
    {noreply, reset_session(Id, Reason, State)};
handle_info({Tag, Socket}, #state{socket = Socket} = State) when Tag =:= tcp_closed; Tag =:= ssl_closed ->
    close("closed by the other end", State);
handle_info({Tag, Socket, Reason}, #state{socket = Socket} = State) when Tag =:= tcp_error; Tag =:= ssl_error ->
    close(ejabberd_megaphone_text:term(Reason), State);
handle_info(hello_timeout, #state{phase = first} = State) ->
    protocol_error("no hello came within 10 seconds, and a secret is wanted", State);
handle_info(drain, State) ->
    _ = [say({drain, 0}, State) || State#state.phase =:= control],
    {noreply, State#state{draining = true}};
handle_info(_Unknown, State) ->
    {noreply, State}.

%%% The stream.

%% Whatever comes, the link ends in order. A process that fails would write to the log all that it holds.
safely(Data, State) ->
    try received(Data, State)
    catch
        exit:{shutdown, _} = End ->
            exit(End);
        Class:Reason:Stack ->
            ejabberd_megaphone_counters:add((State#state.link)#link.counters, failures),
            protocol_error(failure, ["what came made this module fail: ", ejabberd_megaphone_text:failure(Class, Reason, Stack)], State)
    end.

received(Data, #state{link = #link{counters = Counters}} = State) ->
    ejabberd_megaphone_counters:add(Counters, bytes_in, byte_size(Data)),
    collected(Data, State#state{heard = true}).

collected(Data, #state{chunks = Chunks, size = Size, need = Need} = State) when Size + byte_size(Data) < Need ->
    State#state{chunks = [Data | Chunks], size = Size + byte_size(Data)};
collected(Data, #state{chunks = []} = State) ->
    split(Data, State);
collected(Data, #state{chunks = Chunks} = State) ->
    split(iolist_to_binary(lists:reverse(Chunks, [Data])), State#state{chunks = [], size = 0}).

split(Data, State) ->
    MaxPacket = max_packet(State),
    case ejabberd_megaphone_wire:parse(Data, MaxPacket) of
        {packet, Id, Content, Rest} ->
            split(Rest, packet(Id, Content, State#state{offset = State#state.offset + 32 + byte_size(Content)}));
        {more, _} when Data =:= <<>> ->
            State#state{need = 1};
        {more, Need} ->
            %% Of a header every byte is worth a look; of content none is before all of it is there.
            State#state{chunks = [Data], size = byte_size(Data), need = if Need =< 32 -> 1; true -> Need end};
        {malformed, At, Fault} ->
            Description = ejabberd_megaphone_wire:describe(Fault, At, State#state.offset, {Data, MaxPacket}),
            protocol_error([Description | explain_tls(Data, State)], State)
    end.

explain_tls(Data, #state{transport = gen_tcp, offset = 0}) ->
    case ejabberd_megaphone_tls:is_hello(Data) of
        true -> "; this is TLS, and the listener has no tls: true";
        false -> ""
    end;
explain_tls(_Data, _State) ->
    "".

%% A link that has not said its secret yet gets no more memory than that takes.
max_packet(#state{phase = first, options = #options{secret = Secret, max_packet = Max}}) when Secret =/= <<>> ->
    min(?HELLO_MAX_PACKET, Max);
max_packet(#state{options = #options{max_packet = Max}}) ->
    Max.

packet(0, Content, State) ->
    case ejabberd_megaphone_control:decode(Content) of
        {ok, Message, Ignored} ->
            _ = [ejabberd_megaphone_counters:add((State#state.link)#link.counters, control_ignored, Ignored) || Ignored > 0],
            control(Message, State);
        {error, Why} ->
            protocol_error(Why, State)
    end;
packet(_Id, _Content, #state{phase = first, options = #options{secret = Secret}} = State) when Secret =/= <<>> ->
    protocol_error("a packet came before a hello, and a secret is wanted", State);
packet(Id, Content, #state{phase = first} = State) ->
    packet(Id, Content, State#state{phase = plain});
packet(Id, Content, #state{link = #link{sessions = Sessions, counters = Counters}} = State) ->
    ejabberd_megaphone_counters:add(Counters, packets_in),
    case ets:lookup(Sessions, Id) of
        [#session{c2s = ended}] ->
            %% An empty packet is no loss: with it the other end says that the session is over for it, too.
            _ = [ejabberd_megaphone_counters:add(Counters, packets_dropped) || Content =/= <<>>],
            State;
        [#session{} = Session] ->
            accept(Session, Content, State);
        [] ->
            open(Id, Content, State)
    end.

%%% Sessions.

open(Id, <<>>, #state{link = Link} = State) ->
    %% It has ended before it said anything, so it need not begin.
    ejabberd_megaphone_link:refused(Link, Id),
    ejabberd_megaphone_sender:finish(Link, Id),
    State;
open(Id, _Content, #state{link = Link, draining = true} = State) ->
    ejabberd_megaphone_link:refused(Link, Id),
    tell_reset(Id, <<"draining">>, State);
open(Id, Content, #state{link = Link} = State) ->
    case client(Content, State) of
        {ok, unknown, Transport, Rest} -> open(Id, Link#link.sock_peer_name, Transport, Rest, State);
        {ok, Addresses, Transport, Rest} -> open(Id, Addresses, Transport, Rest, State);
        {error, Why} ->
            ejabberd_megaphone_counters:add(Link#link.counters, proxy_refused),
            _ = [?WARNING_MSG("Session ~b of link ~ts is refused: ~ts", [Id, peer(State), Why])
                 || ejabberd_megaphone_log:allows(proxy_refused, Link#link.counters)],
            ejabberd_megaphone_link:refused(Link, Id),
            tell_reset(Id, <<"bad_proxy_header">>, State)
    end.

client(Content, #state{options = #options{proxy_header = Policy}, link = #link{counters = Counters}}) ->
    try ejabberd_megaphone_proxy:client(Content, Policy)
    catch
        Class:Reason:Stack ->
            ejabberd_megaphone_counters:add(Counters, failures),
            {error, ["what it begins with cannot be read: ", ejabberd_megaphone_text:failure(Class, Reason, Stack)]}
    end.

open(Id, SockPeerName, Transport, Content, #state{link = Link} = State) ->
    case ejabberd_megaphone_session:start(Link, Id, SockPeerName, Transport) of
        {ok, C2S} ->
            ejabberd_megaphone_link:opened(Link, Id, C2S),
            ejabberd_c2s:accept(C2S),
            case Content of
                <<>> -> State;                   % a PROXY header in a packet of its own
                _ -> accept(#session{id = Id, c2s = C2S}, Content, State)
            end;
        {error, Reason} ->
            _ = [?WARNING_MSG("Session ~b of link ~ts cannot be started: ~ts", [Id, peer(State), ejabberd_megaphone_text:term(Reason)])
                 || ejabberd_megaphone_log:allows(session_refused, Link#link.counters)],
            ejabberd_megaphone_link:refused(Link, Id),
            tell_reset(Id, <<"backend_refused">>, State)
    end.

accept(#session{id = Id, c2s = C2S, load = Load}, Content, State) ->
    case may_wait(Load, packet_bytes(Content), (State#state.link)#link.waiting) of
        true -> deliver(Id, C2S, Content, State);
        false -> reset_session(Id, <<"buffer_total">>, State)
    end.

may_wait(0, Bytes, Waiting) when Bytes =< ?ALWAYS -> ejabberd_megaphone_waiting:add(Waiting, Bytes), true;
may_wait(_Load, Bytes, Waiting) -> ejabberd_megaphone_waiting:try_add(Waiting, Bytes).

deliver(Id, C2S, Content, #state{held = Held} = State) ->
    case ejabberd_megaphone_held:is_held(Id, Held) of
        true -> hold(Id, Content, State);
        false -> hand_over(Id, C2S, Content, State)
    end.

hand_over(Id, C2S, Content, #state{link = #link{sessions = Sessions}, held = Held} = State) ->
    C2S ! {ejabberd_megaphone, {packet, compact(Content)}},
    case add_load(Sessions, Id, 1, packet_bytes(Content)) of
        ?LOAD_HIGH ->
            case add_load(Sessions, Id, ?HELD, 0) of
                Load when Load > ?HELD + ?LOAD_LOW ->
                    %% The session passes the low mark on its way down, and says so.
                    State#state{held = ejabberd_megaphone_held:add(Id, Held)};
                _ ->
                    add_load(Sessions, Id, -?HELD, 0),
                    State
            end;
        _ ->
            State
    end.

%% The row may have gone in the meantime, and the session with it.
add_load(Sessions, Id, Count, Bytes) ->
    try ets:update_counter(Sessions, Id, [{#session.load, Count}, {#session.bytes, Bytes}]) of
        [Load, _] -> Load
    catch
        error:badarg -> 0
    end.

%% A small packet that waits in a mailbox must not keep alive the large buffer that it came in.
compact(Content) ->
    case binary:referenced_byte_size(Content) > 2 * byte_size(Content) of
        true -> binary:copy(Content);
        false -> Content
    end.

hold(Id, Content, #state{held = Held, phase = Phase, link = #link{waiting = Waiting, counters = Counters}} = State) ->
    case ejabberd_megaphone_held:put(Id, compact(Content), Phase =:= control, Held) of
        {ok, NewHeld} ->
            State#state{held = NewHeld};
        {pause, NewHeld} ->
            ejabberd_megaphone_counters:add(Counters, pauses),
            say({pause, Id}, State),
            State#state{held = NewHeld};
        full ->
            ejabberd_megaphone_waiting:remove(Waiting, packet_bytes(Content)),
            reset_session(Id, <<"buffer_limit">>, State)
    end.

%% The session has room again.
send_held(Id, #state{link = #link{sessions = Sessions}, held = Held} = State) ->
    case {ejabberd_megaphone_held:is_held(Id, Held), ets:lookup(Sessions, Id)} of
        {true, [#session{c2s = C2S, load = Load}]} when is_pid(C2S) ->
            {After, Packets, NewHeld} = ejabberd_megaphone_held:take(Id, max(0, ?LOAD_HIGH - (Load - ?HELD)), Held),
            lists:foreach(fun(Content) -> C2S ! {ejabberd_megaphone, {packet, Content}} end, Packets),
            NewLoad = add_load(Sessions, Id, length(Packets), lists:sum([packet_bytes(Content) || Content <- Packets])),
            _ = case After of
                    %% It may have run so fast that it passed the mark before it could be seen from above.
                    more -> [self() ! {taken, Id} || NewLoad =< ?HELD + ?LOAD_LOW];
                    _ -> add_load(Sessions, Id, -?HELD, 0), [say({resume, Id}, State) || After =:= resume]
                end,
            State#state{held = NewHeld};
        _ ->
            forget_held(Id, State)
    end.

forget_held(Id, #state{link = #link{waiting = Waiting}, held = Held} = State) ->
    {Bytes, Others} = ejabberd_megaphone_held:forget(Id, Held),
    ejabberd_megaphone_waiting:remove(Waiting, Bytes),
    State#state{held = Others}.

forget_mailbox(Id, #state{link = #link{sessions = Sessions, waiting = Waiting}}) ->
    case ets:lookup(Sessions, Id) of
        [#session{bytes = Bytes}] ->
            ejabberd_megaphone_waiting:remove(Waiting, Bytes),
            ets:update_element(Sessions, Id, {#session.bytes, 0});
        [] ->
            false
    end.

%% A bound was passed: the session ends at once, in both directions. One that is just ending by itself is told to the other end as
%% well: what it last said may be what passed the bound, and is thrown away.
reset_session(Id, Reason, #state{link = #link{counters = Counters}} = State) ->
    _ = [count_reset(Reason, Counters) || abort(Id, State)],
    tell_reset(Id, Reason, forget_held(Id, State)).

count_reset(Reason, Counters) ->
    ejabberd_megaphone_counters:add(Counters, resets),
    _ = [ejabberd_megaphone_counters:add(Counters, resets_buffer_total) || Reason =:= <<"buffer_total">>],
    ok.

%% True when there was a session. Its c2s process is told as if its socket were gone.
abort(Id, #state{link = #link{sender = Sender, sessions = Sessions} = Link}) ->
    ejabberd_megaphone_sender:forget(Sender, Id),
    case ets:lookup(Sessions, Id) of
        [#session{c2s = C2S}] when is_pid(C2S) ->
            C2S ! {tcp_closed, Id},
            ejabberd_megaphone_link:end_session(Link, Id);
        _ ->
            false
    end.

tell_reset(Id, Reason, #state{phase = control} = State) ->
    say({reset, Id, Reason}, State),
    State;
tell_reset(Id, _Reason, #state{link = Link} = State) ->
    ejabberd_megaphone_sender:finish(Link, Id),
    State.

%%% Control.

control({hello, Hello}, #state{phase = first, options = #options{secret = Wanted} = Options} = State) ->
    IsRight = ejabberd_megaphone_control:is_secret(Hello, Options),
    case Wanted =:= <<>> orelse take_turn(IsRight, State) of
        too_many ->
            refuse(secret_throttled, <<"too many wrong secrets from this address">>, State);
        _ when not IsRight ->
            refuse(secret_wrong, <<"wrong or no secret">>, State);
        _ ->
            greet(Hello, State)
    end;
control({hello, _}, State) ->
    protocol_error("a hello that is not the link's first packet", State);
control(_Message, #state{phase = Phase} = State) when Phase =/= control ->
    protocol_error("a control packet on a link without hello", State);
control({ping, Token}, State) ->
    say({pong, Token}, State),
    State;
control({pong, _Token}, State) ->
    State;
control({pause, Id}, State) ->
    case is_open(Id, State) of
        true -> ejabberd_megaphone_sender:pause((State#state.link)#link.sender, Id);
        false -> ok
    end,
    State;
control({resume, Id}, State) ->
    ejabberd_megaphone_sender:resume((State#state.link)#link.sender, Id),
    State;
control({reset, Id, _Reason}, State) ->
    _ = abort(Id, State),
    forget_held(Id, State);
control(_DrainOrIgnored, State) ->
    %% Only an ECM opens sessions, so it is nothing to us that it will not.
    State.

greet(Hello, #state{options = Options, link = Link0} = State0) ->
    case ejabberd_megaphone_control:check_hello(Hello) of
        ok ->
            Link = ejabberd_megaphone_link:greeted(Link0, Hello),
            State = State0#state{phase = control, link = Link},
            say({welcome, Options}, State),
            plan_look(State),
            _ = [?INFO_MSG("Link ~ts is up: \"~ts\", packets up to ~b bytes", [peer(State), Link#link.name, Link#link.max_out])
                 || ejabberd_megaphone_log:allows(link_up, Link#link.counters)],
            State;
        {refuse, Reason} ->
            say({refuse, Reason}, State0),
            protocol_error(["its hello was refused: ", Reason], State0)
    end.

%% For a secret: it, and what it was refused for, are counted apart.
-spec refuse(secret_wrong | secret_throttled, binary(), #state{}) -> no_return().
refuse(Counter, Reason, #state{link = #link{counters = Counters}} = State) ->
    ejabberd_megaphone_counters:add(Counters, Counter),
    say({refuse, Reason}, State),
    protocol_error(secret_wrong, ["its hello was refused: ", Reason], State).

%% Waits until the secret may be looked at. It is this link's own process that waits; it takes nothing from its socket meanwhile, as
%% nobody has shown yet that he may be here.
take_turn(IsRight, #state{link = #link{sock_peer_name = {_, Peer}}} = State) ->
    case ejabberd_megaphone_keeper:attempt(Peer, IsRight) of
        {wait, Time} -> wait_for_turn(Time, State);
        Turn -> Turn
    end.

wait_for_turn(Time, #state{transport = Transport, socket = Socket} = State) ->
    _ = set_active(Transport, Socket, false),
    receive
        hello_timeout -> protocol_error("wrong secrets have come from its address, and 10 seconds have passed before it was its turn", State)
    after Time ->
        activate(State),
        now
    end.

is_open(Id, #state{link = #link{sessions = Sessions}}) ->
    case ets:lookup(Sessions, Id) of
        [#session{c2s = C2S}] -> is_pid(C2S);
        [] -> false
    end.

say(Message, #state{link = Link}) ->
    ejabberd_megaphone_sender:control(Link, ejabberd_megaphone_control:encode(Message)).

%% Twice in keep_alive; a link that was silent for three times that is dead.
plan_look(#state{options = #options{keep_alive = KeepAlive}}) ->
    erlang:send_after(max(1, KeepAlive div 2), self(), look_at_clock).

look_at_clock(#state{heard = true} = State) ->
    plan_look(State),
    State#state{heard = false, silence = 0};
look_at_clock(#state{silence = 5, options = #options{keep_alive = KeepAlive}} = State) ->
    close(io_lib:format("silent for ~b ms", [3 * KeepAlive]), State);
look_at_clock(#state{silence = Silence} = State) ->
    plan_look(State),
    say({ping, erlang:unique_integer([positive])}, State),
    State#state{silence = Silence + 1}.

%%% The end.

-spec protocol_error(iolist(), #state{}) -> no_return().
protocol_error(Why, #state{phase = first} = State) -> protocol_error(stranger_closed, Why, State);
protocol_error(Why, State) -> protocol_error(link_closed, Why, State).

-spec protocol_error(ejabberd_megaphone_log:kind(), iolist(), #state{}) -> no_return().
protocol_error(Kind, Why, #state{link = #link{counters = Counters, sender = Sender}} = State) ->
    ejabberd_megaphone_counters:add(Counters, protocol_errors),
    _ = [?ERROR_MSG("Link ~ts is closed: ~ts", [peer(State), Why]) || ejabberd_megaphone_log:allows(Kind, Counters)],
    %% A refuse that was said should get there.
    Monitor = erlang:monitor(process, Sender),
    ejabberd_megaphone_sender:stop(Sender),
    receive {'DOWN', Monitor, process, _, _} -> ok after 1000 -> ok end,
    exit({shutdown, protocol_error}).

-spec close(iodata(), #state{}) -> no_return().
close(Why, #state{phase = Phase, link = #link{counters = Counters}} = State) ->
    Kind = if Phase =:= first -> stranger_down; true -> link_down end,
    _ = [?INFO_MSG("Link ~ts is down: ~ts", [peer(State), Why]) || ejabberd_megaphone_log:allows(Kind, Counters)],
    exit({shutdown, closed}).

peer(#state{link = Link}) -> ejabberd_megaphone:peer(Link).

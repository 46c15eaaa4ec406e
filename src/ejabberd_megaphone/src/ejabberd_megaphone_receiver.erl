%%% @doc The process that reads a link. It finds the packets in what the connection delivers and the session of each packet, and hands the
%%% packet to the session's process as it is. XML is parsed there, so that one busy link keeps all schedulers busy and not this process.
%%%
%%% The receiver lasts as long as its link. It is given a connection by connect/4, owns the socket from then on, and tells the link's owner
%%% when the connection has ended. What belongs to the connection (socket, splitter, liveness) is in #connected{}, and goes with it; the
%%% backlog of sessions that do not keep up stays. A violation of the protocol is the end of the link: then the receiver ends by itself.
-module(ejabberd_megaphone_receiver).
-behaviour(gen_server).

-export([start_link/2, connect/4, mailbox_is_low/2, ended/2, process_ended/2, reset/3, drain/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include("ejabberd_megaphone.hrl").
-include("logger.hrl").

%% Reads that the socket may deliver before it is asked for more.
-define(ACTIVE_READS, 16).

-record(connected,
        {transport :: gen_tcp | ssl,
         socket :: gen_tcp:socket() | ssl:sslsocket(),
         splitter :: ejabberd_megaphone_splitter:splitter(),
         was_heard = true :: boolean(),                 % since liveness was last checked
         silent_checks = 0 :: non_neg_integer()}).      % checks in a row that found silence

-record(state,
        {link :: #link{},
         options :: #options{},
         connected = none :: #connected{} | none,
         backlog = ejabberd_megaphone_backlog:new() :: ejabberd_megaphone_backlog:backlog(),
         is_draining = false :: boolean()}).            % no new sessions are opened

%%% API

%% @doc Starts the receiver of a link, for its owner. It reads nothing before connect/4.
-spec start_link(#link{}, #options{}) -> {ok, pid()}.
start_link(Link, Options) ->
    gen_server:start_link(?MODULE, {Link, Options}, []).

%% @doc Called by the owner: reads from this connection from now on, beginning with what the splitter has left. The receiver owns the
%% passive socket already. `Link' is what the link has become by this connection.
-spec connect(pid(), #link{}, connection(), ejabberd_megaphone_splitter:splitter()) -> ok.
connect(Receiver, Link, Connection, Splitter) -> Receiver ! {connect, Link, Connection, Splitter}, ok.

%% @doc Called for a session with a backlog, when its mailbox has room.
-spec mailbox_is_low(pid(), ejabberd_megaphone_wire:id()) -> ok.
mailbox_is_low(Receiver, Id) -> Receiver ! {mailbox_is_low, Id}, ok.

%% @doc Called by the owner: a session is over, and its backlog will not be taken.
-spec ended(pid(), ejabberd_megaphone_wire:id()) -> ok.
ended(Receiver, Id) -> Receiver ! {ended, Id}, ok.

%% @doc Called by the owner: the process of a session has ended, and its mailbox with it.
-spec process_ended(pid(), ejabberd_megaphone_wire:id()) -> ok.
process_ended(Receiver, Id) -> Receiver ! {process_ended, Id}, ok.

%% @doc Resets a session: it ends at once, in both directions.
-spec reset(pid(), ejabberd_megaphone_wire:id(), Reason :: binary()) -> ok.
reset(Receiver, Id, Reason) -> Receiver ! {reset, Id, Reason}, ok.

%% @doc Opens no more sessions, and tells the ECM so.
-spec drain(pid()) -> ok.
drain(Receiver) -> Receiver ! drain, ok.

%%% The process.

%% @private
-spec init({#link{}, #options{}}) -> {ok, #state{}}.
init({Link, Options}) ->
    process_flag(message_queue_data, off_heap),
    {ok, #state{link = Link, options = Options}}.

%% @private
-spec handle_call(term(), gen_server:from(), #state{}) -> {noreply, #state{}}.
handle_call(_Unknown, _From, State) ->
    {noreply, State}.

%% @private
-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Unknown, State) ->
    {noreply, State}.

%% @private
-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({Tag, Socket, Data}, #state{connected = #connected{socket = Socket}} = State) when Tag =:= tcp; Tag =:= ssl ->
    {noreply, safely(fun() -> received(Data, State) end, State)};
handle_info({Tag, Socket}, #state{connected = #connected{socket = Socket}} = State) when Tag =:= tcp_passive; Tag =:= ssl_passive ->
    {noreply, activate(State)};
handle_info({mailbox_is_low, Id}, #state{link = Link, backlog = Backlog} = State) ->
    {noreply, State#state{backlog = ejabberd_megaphone_delivery:deliver_backlog(Id, Link, Backlog)}};
handle_info({ended, Id}, State) ->
    {noreply, discard_backlog(Id, State)};
handle_info({process_ended, Id}, State) ->
    ejabberd_megaphone_delivery:release_mailbox(Id, State#state.link),
    {noreply, State};
handle_info({check_liveness, Socket}, #state{connected = #connected{socket = Socket}} = State) ->
    {noreply, check_liveness(State)};
handle_info({reset, Id, Reason}, State) ->
    {noreply, reset_session(Id, Reason, State)};
handle_info({connect, Link, {Transport, Socket}, Splitter}, State) ->
    Connected = State#state{link = Link, connected = #connected{transport = Transport, socket = Socket, splitter = Splitter}},
    _ = [plan_liveness_check(Connected) || Link#link.has_control],
    {noreply, activate(safely(fun() -> split(Splitter, Connected) end, Connected))};
handle_info({Tag, Socket}, #state{connected = #connected{socket = Socket}} = State) when Tag =:= tcp_closed; Tag =:= ssl_closed ->
    {noreply, disconnected("closed by the other end", State)};
handle_info({Tag, Socket, Reason}, #state{connected = #connected{socket = Socket}} = State) when Tag =:= tcp_error; Tag =:= ssl_error ->
    {noreply, disconnected(ejabberd_megaphone_text:term(Reason), State)};
handle_info(drain, #state{link = Link} = State) ->
    _ = [ejabberd_megaphone_sender:control(Link, {drain, 0}) || Link#link.has_control],
    {noreply, State#state{is_draining = true}};
handle_info(_Unknown, State) ->
    {noreply, State}.

%%% The connection.

%% Nothing is read while too much is queued for the socket: what arrives may require an answer.
activate(#state{connected = #connected{transport = Transport, socket = Socket}, link = Link} = State) ->
    _ = ejabberd_megaphone_sender:wait_for_room(Link),
    case set_active(Transport, Socket) of
        ok -> State;
        {error, Reason} -> disconnected(ejabberd_megaphone_text:term(Reason), State)
    end.

set_active(gen_tcp, Socket) -> inet:setopts(Socket, [{active, ?ACTIVE_READS}]);
set_active(ssl, Socket) -> ssl:setopts(Socket, [{active, ?ACTIVE_READS}]).

%% Whatever arrives, the link ends in order: a process that crashes would log all that it holds.
safely(Do, State) ->
    try Do()
    catch
        exit:{shutdown, _} = End ->
            exit(End);
        Class:Reason:Stack ->
            ejabberd_megaphone_counters:add((State#state.link)#link.counters, failures),
            violated(failure, ["what arrived raised an exception: ", ejabberd_megaphone_text:failure(Class, Reason, Stack)], State)
    end.

received(Data, #state{link = #link{counters = Counters}, connected = #connected{splitter = Splitter} = Connected} = State) ->
    ejabberd_megaphone_counters:add(Counters, bytes_in, byte_size(Data)),
    split(ejabberd_megaphone_splitter:add(Data, Splitter), State#state{connected = Connected#connected{was_heard = true}}).

split(Splitter, State) ->
    case ejabberd_megaphone_splitter:next(Splitter) of
        {packet, Id, Content, Rest} -> split(Rest, packet(Id, Content, State));
        {more, Rest} -> State#state{connected = (State#state.connected)#connected{splitter = Rest}};
        {malformed, _At, Why} -> violated(link_closed, Why, State)
    end.

%% Twice in `keep_alive'; a connection that was silent for three times that is dead.
plan_liveness_check(#state{options = #options{keep_alive = KeepAlive}, connected = #connected{socket = Socket}}) ->
    erlang:send_after(max(1, KeepAlive div 2), self(), {check_liveness, Socket}).

check_liveness(#state{connected = #connected{was_heard = true} = Connected} = State) ->
    plan_liveness_check(State),
    State#state{connected = Connected#connected{was_heard = false, silent_checks = 0}};
check_liveness(#state{connected = #connected{silent_checks = 5}, options = #options{keep_alive = KeepAlive}} = State) ->
    disconnected(io_lib:format("silent for ~b ms", [3 * KeepAlive]), State);
check_liveness(#state{connected = #connected{silent_checks = Checks} = Connected, link = Link} = State) ->
    plan_liveness_check(State),
    ejabberd_megaphone_sender:control(Link, {ping, erlang:unique_integer([positive])}),
    State#state{connected = Connected#connected{silent_checks = Checks + 1}}.

disconnected(Why, #state{link = #link{counters = Counters} = Link} = State) ->
    _ = [?INFO_MSG("Link ~ts is down: ~ts", [ejabberd_megaphone:peer(Link), Why]) || ejabberd_megaphone_log:allows(link_down, Counters)],
    ejabberd_megaphone_link:disconnected(Link),
    State#state{connected = none}.

%% Ends the link, for what the ECM sent.
-spec violated(ejabberd_megaphone_log:kind(), iolist(), #state{}) -> no_return().
violated(Kind, Why, #state{link = #link{counters = Counters, sender = Sender} = Link}) ->
    ejabberd_megaphone_counters:add(Counters, protocol_errors),
    _ = [?ERROR_MSG("Link ~ts is closed: ~ts", [ejabberd_megaphone:peer(Link), Why]) || ejabberd_megaphone_log:allows(Kind, Counters)],
    %% What is queued should be sent before the socket is closed.
    Monitor = erlang:monitor(process, Sender),
    ejabberd_megaphone_sender:stop(Sender),
    receive {'DOWN', Monitor, process, _, _} -> ok after 1000 -> ok end,
    exit({shutdown, protocol_error}).

%%% Packets.

packet(0, Content, #state{link = #link{has_control = false}} = State) ->
    violated(link_closed, without_hello(ejabberd_megaphone_control:decode(Content)), State);
packet(0, Content, #state{link = #link{counters = Counters}} = State) ->
    case ejabberd_megaphone_control:decode(Content) of
        {ok, Message, Ignored} ->
            _ = [ejabberd_megaphone_counters:add(Counters, control_ignored, Ignored) || Ignored > 0],
            control(Message, State);
        {error, Why} ->
            violated(link_closed, Why, State)
    end;
packet(Id, Content, #state{link = #link{sessions = Sessions, counters = Counters}} = State) ->
    ejabberd_megaphone_counters:add(Counters, packets_in),
    case ets:lookup(Sessions, Id) of
        [#session{c2s = ended}] ->
            %% An empty packet is no loss: with it the ECM says that the session is over at its end, too.
            _ = [ejabberd_megaphone_counters:add(Counters, packets_dropped) || Content =/= <<>>],
            State;
        [#session{} = Session] ->
            deliver(Session, Content, State);
        [] ->
            open(Id, Content, State)
    end.

%%% Sessions.

open(Id, <<>>, #state{link = Link} = State) ->
    %% Half closed from the start, which to XMPP is the end of both directions.
    ejabberd_megaphone_link:refused(Link, Id),
    ejabberd_megaphone_sender:send_end(Link, Id),
    State;
open(Id, _Content, #state{is_draining = true} = State) ->
    refuse(Id, <<"draining">>, State);
open(Id, Content, #state{link = #link{counters = Counters} = Link} = State) ->
    case client(Content, State) of
        {ok, unknown, Transport, Rest} -> open(Id, Link#link.addresses, Transport, Rest, State);
        {ok, Addresses, Transport, Rest} -> open(Id, Addresses, Transport, Rest, State);
        {error, Why} ->
            ejabberd_megaphone_counters:add(Counters, proxy_refused),
            _ = [?WARNING_MSG("Session ~b of link ~ts is refused: ~ts", [Id, ejabberd_megaphone:peer(Link), Why])
                 || ejabberd_megaphone_log:allows(proxy_refused, Counters)],
            refuse(Id, <<"bad_proxy_header">>, State)
    end.

client(Content, #state{options = #options{proxy_header = Policy}, link = #link{counters = Counters}}) ->
    try ejabberd_megaphone_proxy:client(Content, Policy)
    catch
        Class:Reason:Stack ->
            ejabberd_megaphone_counters:add(Counters, failures),
            {error, ["its first packet raised an exception in the parser of PROXY headers: ", ejabberd_megaphone_text:failure(Class, Reason, Stack)]}
    end.

open(Id, Addresses, Transport, Content, #state{link = #link{counters = Counters} = Link} = State) ->
    case ejabberd_megaphone_session:start(Link, Id, Addresses, Transport) of
        {ok, C2S} ->
            ejabberd_megaphone_link:opened(Link, Id, C2S),
            ejabberd_c2s:accept(C2S),
            case Content of
                <<>> -> State;                   % the packet was a PROXY header and nothing else
                _ -> deliver(#session{id = Id, c2s = C2S}, Content, State)
            end;
        {error, Reason} ->
            _ = [?WARNING_MSG("Session ~b of link ~ts cannot be started: ~ts",
                              [Id, ejabberd_megaphone:peer(Link), ejabberd_megaphone_text:term(Reason)])
                 || ejabberd_megaphone_log:allows(session_refused, Counters)],
            refuse(Id, <<"backend_refused">>, State)
    end.

refuse(Id, Reason, #state{link = Link} = State) ->
    ejabberd_megaphone_link:refused(Link, Id),
    send_reset(Id, Reason, Link),
    State.

deliver(#session{id = Id} = Session, Content, #state{link = Link, backlog = Backlog} = State) ->
    case ejabberd_megaphone_delivery:deliver(Session, Content, Link, Backlog) of
        ok -> State;
        {ok, NewBacklog} -> State#state{backlog = NewBacklog};
        {reset, Reason} -> reset_session(Id, Reason, State)
    end.

discard_backlog(Id, #state{link = Link, backlog = Backlog} = State) ->
    State#state{backlog = ejabberd_megaphone_delivery:discard_backlog(Id, Link, Backlog)}.

%% A limit was passed. The ECM is told even if the session has just ended by itself: the packets that passed the limit may have been its
%% last, and are lost.
reset_session(Id, Reason, #state{link = #link{counters = Counters} = Link} = State) ->
    _ = [count_reset(Reason, Counters) || abort(Id, Link)],
    send_reset(Id, Reason, Link),
    discard_backlog(Id, State).

count_reset(Reason, Counters) ->
    ejabberd_megaphone_counters:add(Counters, resets),
    _ = [ejabberd_megaphone_counters:add(Counters, resets_buffer_total) || Reason =:= <<"buffer_total">>],
    ok.

%% True if the session was open. Its c2s process is told that its socket is closed.
abort(Id, #link{sender = Sender, sessions = Sessions} = Link) ->
    ejabberd_megaphone_sender:forget(Sender, Id),
    case ets:lookup(Sessions, Id) of
        [#session{c2s = C2S}] when is_pid(C2S) ->
            C2S ! {tcp_closed, Id},
            ejabberd_megaphone_link:end_session(Link, Id);
        _ ->
            false
    end.

send_reset(Id, Reason, #link{has_control = true} = Link) -> ejabberd_megaphone_sender:control(Link, {reset, Id, Reason});
send_reset(Id, _Reason, Link) -> ejabberd_megaphone_sender:send_end(Link, Id).

%%% Control packets.

without_hello({ok, {hello, _}, _}) -> "a hello that is not the link's first packet";
without_hello({ok, _, _}) -> "a control packet on a link without hello";
without_hello({error, Why}) -> Why.

control({hello, _}, State) ->
    violated(link_closed, "a hello that is not the link's first packet", State);
control({ping, Token}, #state{link = Link} = State) ->
    ejabberd_megaphone_sender:control(Link, {pong, Token}),
    State;
control({pause, Id}, #state{link = #link{sender = Sender, sessions = Sessions}} = State) ->
    _ = [ejabberd_megaphone_sender:pause(Sender, Id) || [#session{c2s = C2S}] <- [ets:lookup(Sessions, Id)], is_pid(C2S)],
    State;
control({resume, Id}, #state{link = #link{sender = Sender}} = State) ->
    ejabberd_megaphone_sender:resume(Sender, Id),
    State;
control({reset, Id, _Reason}, #state{link = Link} = State) ->
    _ = abort(Id, Link),
    discard_backlog(Id, State);
control(_PongDrainOrIgnored, State) ->
    %% Only an ECM opens sessions, so that a drain of its own changes nothing here.
    State.

%%% @doc The process that reads a link. It finds the packets in what the connection delivers and the session of each packet, and hands the
%%% packet to the session's process as it is. XML is parsed there, so that one busy link keeps all schedulers busy and not this process.
%%%
%%% The receiver lasts as long as its link. It is given a connection by connect/4, owns the socket from then on, and tells the link's owner
%%% when the connection has ended. What belongs to the connection (socket, splitter, liveness) is in #connected{}, and goes with it; the
%%% backlog of sessions that do not keep up stays, and so does the count of what has been received on a link that can be resumed. A violation
%%% of the protocol is the end of the link: then the receiver ends by itself.
%%%
%%% Nothing is handled while too much is queued for the socket, because what arrives may require an answer. A link that cannot be resumed is not
%%% read then. One that can be resumed is (section 7 of the link protocol): what arrives is kept in order, and not received yet, while
%%% acknowledgements, pings and pongs are heeded.
-module(ejabberd_megaphone_receiver).
-behaviour(gen_server).

-export([start_link/2, connect/4, disconnect/1, mailbox_is_low/2, ended/2, process_ended/2, reset/3, drain/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include("ejabberd_megaphone.hrl").
-include("logger.hrl").

%% Reads that the socket may deliver before it is asked for more.
-define(ACTIVE_READS, 16).
%% Checks for silence, two in a `keep_alive', after which a connection is dead: after the first a ping is sent.
-define(SILENT_CHECKS, 5).
-define(SILENT_CHECKS_IF_RESUMABLE, 2).
%% ms after which what has been received is acknowledged at the latest.
-define(ACK_DELAY, 1000).

-record(connected,
        {transport :: gen_tcp | ssl,
         socket :: gen_tcp:socket() | ssl:sslsocket(),
         port :: gen_tcp:socket(),                      % the same without TLS
         splitter :: ejabberd_megaphone_splitter:splitter(),
         was_heard = true :: boolean(),                 % since liveness was last checked
         silent_checks = 0 :: non_neg_integer()}).      % checks in a row that found silence

-record(state,
        {link :: #link{},
         options :: #options{},
         connected = none :: #connected{} | none,
         backlog = ejabberd_megaphone_backlog:new() :: ejabberd_megaphone_backlog:backlog(),
         received :: ejabberd_megaphone_received:received(),
         is_keeping = false :: boolean(),               % packets are kept, because the link is full
         is_draining = false :: boolean()}).            % no new sessions are opened

%%% API

%% @doc Starts the receiver of a link, for its owner. It reads nothing before connect/4.
-spec start_link(#link{}, #options{}) -> {ok, pid()}.
start_link(Link, Options) -> gen_server:start_link(?MODULE, {Link, Options}, []).

%% @doc Called by the owner: reads from this connection from now on, beginning with what the splitter has left. The receiver owns the
%% passive socket already. `Link' is what the link has become by this connection.
-spec connect(pid(), #link{}, connection(), ejabberd_megaphone_splitter:splitter()) -> ok.
connect(Receiver, Link, Connection, Splitter) -> Receiver ! {connect, Link, Connection, Splitter}, ok.

%% @doc Called by the owner: reads from no connection from now on, because the link is cut. Returns how many bytes have been received on it.
-spec disconnect(pid()) -> Received :: non_neg_integer().
disconnect(Receiver) -> gen_server:call(Receiver, disconnect, infinity).

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
    process_flag(priority, high),                      % the packets of all sessions wait for its turn
    Window = if Link#link.identity =:= none -> none; true -> Link#link.window end,
    {ok, #state{link = Link, options = Options, received = ejabberd_megaphone_received:new(Window)}}.

%% @private
-spec handle_call(disconnect, gen_server:from(), #state{}) -> {reply, non_neg_integer(), #state{}}.
handle_call(disconnect, _From, #state{received = Before} = State) ->
    Received = ejabberd_megaphone_received:disconnect(Before),
    {reply, ejabberd_megaphone_received:count(Received), State#state{connected = none, received = Received, is_keeping = false}}.

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
handle_info(room, #state{is_keeping = true, connected = #connected{}} = State) ->
    {noreply, safely(fun() -> handle_kept(State) end, State)};
handle_info(acknowledge, #state{received = Received} = State) ->
    {noreply, acknowledge(ejabberd_megaphone_received:delay_is_over(Received), State)};
handle_info({connect, Link, {Transport, Socket, Port}, Splitter}, #state{received = Received} = State) ->
    Connected = State#state{link = Link, options = ejabberd_megaphone_link:options(Link),
                            connected = #connected{transport = Transport, socket = Socket, port = Port, splitter = Splitter},
                            received = ejabberd_megaphone_received:connect(ejabberd_megaphone_splitter:offset(Splitter), Received)},
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

activate(#state{connected = #connected{transport = Transport, socket = Socket}, link = Link} = State) ->
    _ = [ejabberd_megaphone_sender:wait_for_room(Link) || Link#link.identity =:= none],
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
    split(ejabberd_megaphone_splitter:add(Data, Splitter), keep_if_full(State#state{connected = Connected#connected{was_heard = true}})).

split(Splitter, State) ->
    case ejabberd_megaphone_splitter:next(Splitter) of
        {packet, Id, Content, Rest} -> split(Rest, packet(Id, Content, State));
        {more, Rest} -> count(Rest, State#state{connected = (State#state.connected)#connected{splitter = Rest}});
        {malformed, _At, Why} -> violated(link_closed, Why, State)
    end.

%% Twice in `keep_alive'; a connection that was silent for three times that is dead.
plan_liveness_check(#state{options = #options{keep_alive = KeepAlive}, connected = #connected{socket = Socket}}) ->
    erlang:send_after(max(1, KeepAlive div 2), self(), {check_liveness, Socket}).

check_liveness(#state{connected = #connected{was_heard = true} = Connected} = State) ->
    plan_liveness_check(State),
    State#state{connected = Connected#connected{was_heard = false, silent_checks = 0}};
check_liveness(#state{connected = #connected{silent_checks = Checks}, options = #options{keep_alive = KeepAlive},
                      link = #link{identity = Identity}} = State)
  when Checks =:= ?SILENT_CHECKS; Identity =/= none, Checks =:= ?SILENT_CHECKS_IF_RESUMABLE ->
    disconnected(io_lib:format("silent for ~b ms", [(Checks + 1) * KeepAlive div 2]), State);
check_liveness(#state{connected = #connected{silent_checks = Checks} = Connected, link = Link} = State) ->
    plan_liveness_check(State),
    ejabberd_megaphone_sender:control(Link, {ping, erlang:unique_integer([positive])}),
    State#state{connected = Connected#connected{silent_checks = Checks + 1}}.

disconnected(Why, #state{link = Link, connected = #connected{port = Port}} = State) ->
    ejabberd_megaphone_link:disconnected(Link, Port, Why),
    State#state{connected = none}.

%% Ends the link, for what the ECM sent.
-spec violated(ejabberd_megaphone_log:kind(), iolist(), #state{}) -> no_return().
violated(Kind, Why, #state{link = #link{counters = Counters, sender = Sender} = Link}) ->
    ejabberd_megaphone_counters:add(Counters, protocol_errors),
    _ = [?ERROR_MSG("Link ~ts is closed: ~ts", [ejabberd_megaphone:peer(Link), Why]) || ejabberd_megaphone_log:allows(Kind, Counters)],
    _ = [ejabberd_megaphone_sender:control(Link, {close, <<"protocol error">>}) || Link#link.identity =/= none],
    %% What is queued should be sent before the socket is closed.
    Monitor = erlang:monitor(process, Sender),
    ejabberd_megaphone_sender:stop(Sender),
    receive {'DOWN', Monitor, process, _, _} -> ok after 1000 -> ok end,
    exit({shutdown, protocol_error}).

%%% What is received of a link that can be resumed.

%% All packets that have arrived were handled, or kept.
count(Splitter, #state{received = Before, is_keeping = IsKeeping} = State) ->
    case ejabberd_megaphone_received:arrived(ejabberd_megaphone_splitter:offset(Splitter), IsKeeping, Before) of
        too_much -> violated(link_closed, "it sent more without an acknowledgement than the window of its hello", State);
        Decision -> acknowledge(Decision, State)
    end.

acknowledge({now, Bytes, Received}, #state{link = Link} = State) ->
    ejabberd_megaphone_sender:acknowledge(Link, Bytes),
    State#state{received = Received};
acknowledge({delayed, Received}, State) ->
    erlang:send_after(?ACK_DELAY, self(), acknowledge),
    State#state{received = Received};
acknowledge({no, Received}, State) ->
    State#state{received = Received}.

keep_if_full(#state{link = #link{identity = Identity}, is_keeping = IsKeeping} = State) when Identity =:= none; IsKeeping ->
    State;
keep_if_full(#state{link = Link} = State) ->
    case ejabberd_megaphone_sender:is_full(Link) of
        true ->
            ejabberd_megaphone_sender:notify_of_room(Link, self()),
            State#state{is_keeping = true};
        false ->
            State
    end.

handle_kept(#state{received = Before} = State0) ->
    {Packets, Received} = ejabberd_megaphone_received:take_kept(Before),
    Kept = State0#state{received = Received, is_keeping = false},
    State = lists:foldl(fun({Id, Content}, State) -> packet(Id, Content, State) end, Kept, Packets),
    count((State#state.connected)#connected.splitter, State).

keep(Id, Content, #state{received = Before} = State) -> State#state{received = ejabberd_megaphone_received:keep(Id, Content, Before)}.

%%% Packets.

packet(0, Content, #state{is_keeping = true} = State) ->
    case ejabberd_megaphone_control:decode(Content) of
        {ok, Message, _} when element(1, Message) =:= ack; element(1, Message) =:= ping; element(1, Message) =:= pong ->
            of_link(Message, Content, State);
        _ ->
            keep(0, Content, State)
    end;
packet(Id, Content, #state{is_keeping = true} = State) ->
    keep(Id, Content, State);
packet(0, Content, #state{link = #link{has_control = false}} = State) ->
    violated(link_closed, without_hello(ejabberd_megaphone_control:decode(Content)), State);
packet(0, Content, #state{link = #link{counters = Counters}} = State) ->
    case ejabberd_megaphone_control:decode(Content) of
        {ok, Message, Ignored} ->
            _ = [ejabberd_megaphone_counters:add(Counters, control_ignored, Ignored) || Ignored > 0],
            case Message of
                {Op, _} when Op =:= ack; Op =:= ping; Op =:= pong -> of_link(Message, Content, State);
                _ -> control(Message, State)
            end;
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
    ejabberd_megaphone_sessions:refused(Link, Id),
    ejabberd_megaphone_sender:send_end(Link, Id),
    State;
open(Id, _Content, #state{is_draining = true} = State) ->
    refuse(Id, <<"draining">>, State);
open(Id, Content, #state{link = #link{counters = Counters} = Link} = State) ->
    case client(Content, State) of
        {ok, #client{addresses = unknown} = Client, Rest} -> open(Id, Client#client{addresses = Link#link.addresses}, Rest, State);
        {ok, Client, Rest} -> open(Id, Client, Rest, State);
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

open(Id, Client, Content, #state{link = #link{counters = Counters} = Link} = State) ->
    case ejabberd_megaphone_session:start(Link, Id, Client) of
        {ok, C2S} ->
            ejabberd_megaphone_sessions:opened(Link, Id, C2S),
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
    ejabberd_megaphone_sessions:refused(Link, Id),
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

%% True if the session was open.
abort(Id, #link{sender = Sender} = Link) ->
    ejabberd_megaphone_sender:forget(Sender, Id),
    ejabberd_megaphone_sessions:abort(Link, Id).

send_reset(Id, Reason, #link{has_control = true} = Link) -> ejabberd_megaphone_sender:control(Link, {reset, Id, Reason});
send_reset(Id, _Reason, Link) -> ejabberd_megaphone_sender:send_end(Link, Id).

%%% Control packets.

without_hello({ok, {hello, _}, _}) -> "a hello that is not the link's first packet";
without_hello({ok, _, _}) -> "a control packet on a link without hello";
without_hello({error, Why}) -> Why.

%% What is about the link itself is heeded even while packets are kept, and needs no acknowledgement of its own.
of_link({ack, _}, _Content, #state{link = #link{identity = none, counters = Counters}} = State) ->
    ejabberd_megaphone_counters:add(Counters, control_ignored),
    State;
of_link({ack, Bytes}, Content, #state{link = Link} = State) ->
    case ejabberd_megaphone_sender:is_sent(Link, Bytes) of
        true -> ejabberd_megaphone_sender:acknowledged(Link, Bytes), needs_no_ack(Content, State);
        false -> violated(link_closed, io_lib:format("an ack of ~b bytes, which were not sent", [Bytes]), State)
    end;
of_link({ping, Token}, Content, #state{link = Link} = State) ->
    ejabberd_megaphone_sender:control(Link, {pong, Token}),
    needs_no_ack(Content, State);
of_link({pong, _}, Content, State) ->
    needs_no_ack(Content, State).

needs_no_ack(Content, #state{received = Received} = State) ->
    State#state{received = ejabberd_megaphone_received:needs_no_ack(Content, Received)}.

control({hello, _}, State) ->
    violated(link_closed, "a hello that is not the link's first packet", State);
control({close, Reason}, #state{received = Received, link = #link{identity = Identity} = Link} = State) when Identity =/= none ->
    ejabberd_megaphone_link:closed_by_ecm(Link, Reason),
    State#state{received = ejabberd_megaphone_received:needs_ack(Received)};
control({pause, Id}, #state{link = #link{sender = Sender, sessions = Sessions}} = State) ->
    _ = [ejabberd_megaphone_sender:pause(Sender, Id) || [#session{c2s = C2S}] <- [ets:lookup(Sessions, Id)], is_pid(C2S)],
    State;
control({resume, Id}, #state{link = #link{sender = Sender}} = State) ->
    ejabberd_megaphone_sender:resume(Sender, Id),
    State;
control({reset, Id, _Reason}, #state{link = Link} = State) ->
    _ = abort(Id, Link),
    discard_backlog(Id, State);
control({close, _Reason}, #state{link = #link{counters = Counters}} = State) ->
    ejabberd_megaphone_counters:add(Counters, control_ignored),
    State;
control(_DrainOrIgnored, State) ->
    %% Only an ECM opens sessions, so that a drain of its own changes nothing here.
    State.

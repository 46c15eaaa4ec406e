%%% @doc The only process that writes to a link's socket. It sends whatever has arrived in its mailbox with one call, and keeps the output
%%% for clients that the ECM has paused.
%%%
%%% The sender lasts as long as its link. connect/3 tells it which connection to write to; when that fails, it tells the link's owner. On a link
%%% that cannot be resumed it drops what cannot be sent. On one that can, ejabberd_megaphone_window keeps what has been sent until it is
%%% acknowledged, and what has no room yet, which still counts as queued; and while the link is cut, or nothing is acknowledged for a third of
%%% `send_timeout', output is held for each client as for one that is paused, so that no session waits.
%%%
%%% Its memory is bounded: what is queued by ?QUEUE_HIGH, above which sessions wait when they send; what is not acknowledged by ?WINDOW; what
%%% is held as ejabberd_megaphone_held says. The session that would exceed one of those limits is reset, as ejabberd ends a session whose
%%% socket is slow.
-module(ejabberd_megaphone_sender).
-behaviour(gen_server).

-export([start_link/1, connect/3, disconnect/1, take_up/2, send/3, wait_for_room/1, is_full/1, notify_of_room/2, send_end/2, control/2]).
-export([acknowledge/2, acknowledged/2, is_sent/2, pause/2, resume/2, forget/2, close/2, stop/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include("ejabberd_megaphone.hrl").

%% Bytes that may be queued for the socket before sessions have to wait.
-define(QUEUE_HIGH, 4194304).
%% ms for which output is kept for a paused client whose session is over. Then it is sent anyway: the ECM has a limit of its own, and may
%% have lost interest in that client.
-define(PAUSED_END_TIMEOUT, 30000).
%% Bytes at which a batch is sent; larger ones save nothing.
-define(BATCH, 262144).
%% How much of `send_timeout' sessions wait while nothing is acknowledged, and how much one write to the socket of a link that can be resumed may
%% take: together not more than a session waits.
-define(STALL_PART, 1 / 3).
-define(WRITE_PART, 2 / 3).
%% ms, where there is no `send_timeout'.
-define(LONGEST_WAIT, 15000).
%% ms that a link which is closed for good waits until that is acknowledged.
-define(CLOSE_TIMEOUT, 1000).

-define(EMPTY_PACKET, 32).

%% Places in the atomics of a link: bytes that are queued for the socket, and bytes that have been sent.
-define(QUEUED, 1).
-define(SENT, 2).

-record(state,
        {link :: #link{},
         connection = none :: connection() | none,
         held = ejabberd_megaphone_held:new() :: ejabberd_megaphone_held:held(),
         callers = [] :: [gen_server:from() | pid()],                % of wait_for_room/1, and of notify_of_room/2
         window = none :: ejabberd_megaphone_window:window() | none, % none: the link cannot be resumed, and the rest is not used
         is_holding = false :: boolean(),                            % all output is held, and what is pending does not count as queued
         due = [] :: [ejabberd_megaphone_wire:id()],                 % clients whose output was held, and is to be sent now
         is_timing = false :: boolean(),                             % {stalled, Acknowledged} will come
         is_closing = false :: boolean()}).                          % everything has been queued, and ends with `close'

%%% Called by c2s processes.

%% @doc Sends a session's output. Waits while too much is queued for the link, as long as ejabberd would wait for a socket
%% (`send_timeout').
-spec send(#link{}, ejabberd_megaphone_wire:id(), iodata()) -> ok | {error, timeout | closed}.
send(Link, Id, Content) ->
    enqueue(Link, Id, Content),
    wait_for_room(Link).

enqueue(#link{sender = Sender, queued = Queued, max_out = Max, pieces = Pieces}, Id, Content) ->
    {Bytes, Packets} = case Pieces of
                           true -> ejabberd_megaphone_wire:whole_piece(Id, Content, Max);
                           false -> ejabberd_megaphone_wire:packets(Id, Content, Max)
                       end,
    Sender ! {send, Id, Bytes, Packets},
    atomics:add(Queued, ?QUEUED, Bytes).

%% @doc Waits until little enough is queued for the link.
-spec wait_for_room(#link{}) -> ok | {error, timeout | closed}.
wait_for_room(#link{sender = Sender} = Link) ->
    case is_full(Link) of
        true -> call_for_room(Sender, Link);
        false -> ok
    end.

call_for_room(Sender, Link) ->
    #options{send_timeout = Timeout} = ejabberd_megaphone_link:options(Link),
    try gen_server:call(Sender, wait_for_room, Timeout)
    catch
        exit:{timeout, _} -> {error, timeout};
        exit:_ -> {error, closed}
    end.

%% @doc Ends our direction of a session, behind everything that was sent on it.
-spec send_end(#link{}, ejabberd_megaphone_wire:id()) -> ok.
send_end(Link, Id) -> enqueue(Link, Id, <<>>).

%%% Called by the link's own processes.

%% @doc Writes to this connection from now on, `Greeting' before anything else. `Link' is what the link has become by this connection.
-spec connect(#link{}, connection(), Greeting :: ejabberd_megaphone_control:outgoing() | none) -> ok.
connect(#link{sender = Sender} = Link, Connection, Greeting) -> Sender ! {connect, Link, Connection, Greeting}, ok.

%% @doc Writes to no connection from now on, and holds all output: the link is cut. Returns how many bytes are not acknowledged.
-spec disconnect(pid()) -> Bytes :: non_neg_integer().
disconnect(Sender) -> gen_server:call(Sender, disconnect, infinity).

%% @doc Prepares for the connection that takes up a link which is cut, whose ECM has received the first `Received' bytes. Returns how many are
%% to be sent again.
-spec take_up(pid(), Received :: non_neg_integer()) -> {ok, Bytes :: non_neg_integer()} | error.
take_up(Sender, Received) -> gen_server:call(Sender, {take_up, Received}, infinity).

%% @doc Whether so much is queued that sessions wait.
-spec is_full(#link{}) -> boolean().
is_full(#link{queued = Queued}) -> atomics:get(Queued, ?QUEUED) > ?QUEUE_HIGH.

%% @doc Sends `room' to the process when the link is not full any more.
-spec notify_of_room(#link{}, pid()) -> ok.
notify_of_room(#link{sender = Sender}, Pid) -> Sender ! {notify_of_room, Pid}, ok.

%% @doc Sends a control packet.
-spec control(#link{}, ejabberd_megaphone_control:outgoing()) -> ok.
control(#link{sender = Sender, queued = Queued}, Message) ->
    {Bytes, Packet} = ejabberd_megaphone_control:packet(Message),
    atomics:add(Queued, ?QUEUED, Bytes),
    Sender ! {case Message of {ping, _} -> alive; {pong, _} -> alive; _ -> control end, Bytes, Packet},
    ok.

%% @doc Tells the ECM that its first `Received' bytes have been received, ahead of what is queued.
-spec acknowledge(#link{}, Received :: non_neg_integer()) -> ok.
acknowledge(#link{sender = Sender}, Received) -> Sender ! {acknowledge, Received}, ok.

%% @doc The ECM has received the first `Received' bytes, for which is_sent/2 is true.
-spec acknowledged(#link{}, Received :: non_neg_integer()) -> ok.
acknowledged(#link{sender = Sender}, Received) -> Sender ! {acknowledged, Received}, ok.

%% @doc Whether that many bytes have been sent on the link, so that the ECM may have received them.
-spec is_sent(#link{}, Received :: non_neg_integer()) -> boolean().
is_sent(#link{queued = Queued}, Received) -> Received =< atomics:get(Queued, ?SENT).

%% @doc Keeps the output for a client that is paused.
-spec pause(pid(), ejabberd_megaphone_wire:id()) -> ok.
pause(Sender, Id) -> Sender ! {pause, Id}, ok.

%% @doc Sends the output that was kept for a client, and what follows.
-spec resume(pid(), ejabberd_megaphone_wire:id()) -> ok.
resume(Sender, Id) -> Sender ! {resume, Id}, ok.

%% @doc Discards the output that was kept for a client that is gone.
-spec forget(pid(), ejabberd_megaphone_wire:id()) -> ok.
forget(Sender, Id) -> Sender ! {forget, Id}, ok.

%% @doc Sends all that is queued, and that the link ends for good; then, when that has been acknowledged or after a second, ends our direction
%% of the connection and the process. A link that cannot be resumed is not told.
-spec close(pid(), Reason :: binary()) -> ok.
close(Sender, Reason) -> Sender ! {close, Reason}, ok.

%% @doc Sends what is queued, as far as the window allows, then ends our direction of the connection and the process: the link is over.
-spec stop(pid()) -> ok.
stop(Sender) -> Sender ! stop, ok.

%%% The process.

%% @doc Starts the sender of a link, for its owner.
-spec start_link(#link{}) -> {ok, pid()}.
start_link(Link) -> gen_server:start_link(?MODULE, Link, []).

%% @private
-spec init(#link{}) -> {ok, #state{}}.
init(#link{identity = Identity} = Link) ->
    process_flag(message_queue_data, off_heap),
    process_flag(priority, high),                      % the packets of all sessions wait for its turn
    {ok, #state{link = Link, window = if Identity =:= none -> none; true -> ejabberd_megaphone_window:new() end}}.

%% @private
-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}} | {noreply, #state{}}.
handle_call(wait_for_room, From, State) ->
    {noreply, reply_if_room(State#state{callers = [From | State#state.callers]})};
handle_call(disconnect, _From, State) ->
    {reply, ejabberd_megaphone_window:unacknowledged(State#state.window), disconnected(State)};
handle_call({take_up, Received}, _From, #state{window = Before} = State) ->
    case ejabberd_megaphone_window:cut(Received, Before) of
        {ok, Window} -> {reply, {ok, ejabberd_megaphone_window:unacknowledged(Window)}, State#state{window = Window}};
        error -> {reply, error, State}
    end.

%% @private
-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Unknown, State) ->
    {noreply, State}.

%% @private
-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({connect, Link, Connection, Greeting}, State) ->
    next(send_more(greet(Greeting, State#state{link = Link, connection = Connection})));
handle_info({notify_of_room, Pid}, State) ->
    {noreply, reply_if_room(State#state{callers = [Pid | State#state.callers]})};
handle_info({stalled, Acknowledged}, #state{window = Window, callers = Callers} = State0) ->
    State = State0#state{is_timing = false},
    case Callers =/= [] andalso ejabberd_megaphone_window:acknowledged(Window) =:= Acknowledged of
        true -> {noreply, reply_if_room(hold(State))};
        false -> {noreply, reply_if_room(State)}
    end;
handle_info({close, Reason}, #state{window = Window, connection = Connection, link = #link{queued = Queued}} = State)
  when Window =/= none, Connection =/= none ->
    {Bytes, Packet} = ejabberd_megaphone_control:packet({close, Reason}),
    ok = atomics:add(Queued, ?QUEUED, Bytes),
    erlang:send_after(?CLOSE_TIMEOUT, self(), stop),
    next(send_more(add_pending(Packet, all_due(release(State#state{is_closing = true})))));
handle_info({close, _Reason}, State) ->
    stopped(State);
handle_info(stop, State) ->
    stopped(State);
handle_info(Message, State) ->
    collect(Message, State, 0, 0, []).

%% Takes further output out of the mailbox until there is none or the batch is full, then sends the batch.
collect(Message, State0, Bytes0, Packets0, Batch0) ->
    {State, Bytes, Packets, Batch} = take(Message, State0, Bytes0, Packets0, Batch0),
    receive
        {send, _, _, _} = Next when Bytes < ?BATCH -> collect(Next, State, Bytes, Packets, Batch);
        {control, _, _} = Next when Bytes < ?BATCH -> collect(Next, State, Bytes, Packets, Batch)
    after 0 ->
        flush(State, Bytes, Packets, Batch)
    end.

take({send, Id, Size, Content}, #state{held = Held, is_holding = IsHolding} = State, Bytes, Packets, Batch) ->
    case IsHolding orelse ejabberd_megaphone_held:is_member(Id, Held) of
        true -> {keep(Id, Size, Content, State), Bytes, Packets, Batch};
        false -> {State, Bytes + Size, Packets + 1, [Batch | Content]}
    end;
take({control, Size, Packet}, State, Bytes, Packets, Batch) ->
    {State, Bytes + Size, Packets, [Batch | Packet]};
take({alive, Size, Packet}, #state{window = none} = State, Bytes, Packets, Batch) ->
    {State, Bytes + Size, Packets, [Batch | Packet]};
take({alive, Size, Packet}, #state{window = Window} = State, Bytes, Packets, Batch) ->
    {State#state{window = ejabberd_megaphone_window:add_alive(Size, Packet, Window)}, Bytes, Packets, Batch};
take({acknowledge, Received}, #state{window = Window} = State, Bytes, Packets, Batch) ->
    {State#state{window = ejabberd_megaphone_window:set_ack(Received, Window)}, Bytes, Packets, Batch};
take({acknowledged, Received}, #state{window = Window} = State0, Bytes, Packets, Batch) ->
    State = State0#state{window = ejabberd_megaphone_window:acknowledge(Received, Window)},
    {release(State), Bytes, Packets, Batch};
take({pause, Id}, #state{held = Held} = State, Bytes, Packets, Batch) ->
    {State#state{held = ejabberd_megaphone_held:pause(Id, Held)}, Bytes, Packets, Batch};
take({resume, Id}, #state{held = Held, is_holding = true} = State, Bytes, Packets, Batch) ->
    {State#state{held = ejabberd_megaphone_held:unpause(Id, Held)}, Bytes, Packets, Batch};
take({resume, Id}, #state{held = Held0, link = #link{queued = Queued, budget = Budget}} = State, Bytes, Packets, Batch) ->
    case ejabberd_megaphone_held:take(Id, Budget, Held0) of
        {{Size, Count, Contents}, Held} ->
            ok = atomics:add(Queued, ?QUEUED, Size),
            {State#state{held = Held}, Bytes + Size, Packets + Count, [Batch | Contents]};
        none ->
            {State, Bytes, Packets, Batch}
    end;
take({forget, Id}, #state{held = Held, link = #link{budget = Budget}} = State, Bytes, Packets, Batch) ->
    Kept = ejabberd_megaphone_held:take(Id, Budget, Held),
    {if Kept =:= none -> State; true -> State#state{held = element(2, Kept)} end, Bytes, Packets, Batch};
take(_Unknown, State, Bytes, Packets, Batch) ->
    {State, Bytes, Packets, Batch}.

keep(Id, Size, Content, #state{held = Before, link = #link{receiver = Receiver, queued = Queued, budget = Budget}} = State) ->
    ok = atomics:sub(Queued, ?QUEUED, Size),
    case ejabberd_megaphone_held:keep(Id, Size, Content, Budget, Before) of
        {ok, Held} ->
            _ = [erlang:send_after(?PAUSED_END_TIMEOUT, self(), {resume, Id})
                 || Size =:= ?EMPTY_PACKET, ejabberd_megaphone_held:is_paused(Id, Held)],
            State#state{held = Held};
        {full, Reason, Held} ->
            ejabberd_megaphone_receiver:reset(Receiver, Id, Reason),
            State#state{held = Held}
    end.

flush(State, 0, 0, []) ->
    %% What was kept for clients is no longer queued; and there may be more room in the window.
    next(send_more(State));
flush(#state{window = none, link = #link{queued = Queued, counters = Counters}} = State, Bytes, Packets, Batch) ->
    Result = write(Bytes, Batch, State),
    ok = atomics:sub(Queued, ?QUEUED, Bytes),
    _ = [ejabberd_megaphone_counters:add(Counters, packets_out, Packets) || Result =:= ok],
    next(written(Result, State));
flush(#state{link = #link{counters = Counters}} = State, _Bytes, Packets, Batch) ->
    ejabberd_megaphone_counters:add(Counters, packets_out, Packets),
    next(send_more(add_pending(Batch, State))).

write(_Bytes, _Batch, #state{connection = none}) ->
    none;
write(Bytes, Batch, #state{connection = {Transport, Socket, _}, link = #link{counters = Counters}}) ->
    case Transport:send(Socket, Batch) of
        ok -> ejabberd_megaphone_counters:add(Counters, bytes_out, Bytes);
        Error -> Error
    end.

written({error, Reason}, #state{connection = {_, _, Port}, link = #link{owner = Owner}} = State) ->
    ejabberd_megaphone_link:send_failed(Owner, Port, Reason),
    disconnected(State);
written(_Sent, State) ->
    State.

disconnected(#state{window = none} = State) -> State#state{connection = none};
disconnected(#state{window = Before, link = #link{queued = Queued}} = State) ->
    {Alive, Window} = ejabberd_megaphone_window:disconnect(Before),
    ok = atomics:sub(Queued, ?QUEUED, Alive),
    reply_if_room(hold(State#state{connection = none, window = Window})).

%% What follows each message.
next(#state{is_closing = true, window = Window} = State) ->
    case ejabberd_megaphone_window:pending(Window) + ejabberd_megaphone_window:unacknowledged(Window) of
        0 -> stopped(State);
        _ -> {noreply, reply_if_room(State)}
    end;
next(State) ->
    {noreply, reply_if_room(State)}.

stopped(#state{connection = Connection} = State) ->
    _ = [Transport:shutdown(Socket, write) || {Transport, Socket, _} <- [Connection]],
    {stop, normal, State}.

reply_if_room(#state{callers = []} = State) ->
    State;
reply_if_room(#state{callers = Callers, link = Link} = State) ->
    case is_full(Link) of
        true ->
            expect_progress(State);
        false ->
            _ = [if is_pid(Caller) -> Caller ! room; true -> gen_server:reply(Caller, ok) end || Caller <- Callers],
            State#state{callers = []}
    end.

%%% Links that can be resumed.

expect_progress(#state{window = Window, is_timing = IsTiming} = State) when Window =:= none; IsTiming ->
    State;
expect_progress(#state{window = Window} = State) ->
    erlang:send_after(part_of_timeout(?STALL_PART, State), self(), {stalled, ejabberd_megaphone_window:acknowledged(Window)}),
    State#state{is_timing = true}.

part_of_timeout(Part, #state{link = Link}) ->
    #options{send_timeout = Timeout} = ejabberd_megaphone_link:options(Link),
    max(1, round(min(Timeout, ?LONGEST_WAIT) * Part)).

%% What is sent first on a connection: the greeting, which does not count, and what an earlier connection has not got across.
greet(Greeting, #state{window = Window, connection = {_, _, Port}} = State) ->
    _ = [inet:setopts(Port, [{send_timeout, part_of_timeout(?WRITE_PART, State)}]) || Window =/= none],
    First = [ejabberd_megaphone_control:packet(Greeting) || Greeting =/= none],
    Again = if Window =:= none -> []; true -> ejabberd_megaphone_window:sent_again(Window) end,
    release(lists:foldl(fun({Bytes, Packets}, Next) -> written(write(Bytes, Packets, Next), Next) end, State, First ++ Again)).

%% Output is held from now on, and nobody waits.
hold(#state{is_holding = true} = State) ->
    State;
hold(#state{window = Window, link = #link{queued = Queued}} = State) ->
    ok = atomics:sub(Queued, ?QUEUED, ejabberd_megaphone_window:pending(Window)),
    State#state{is_holding = true}.

%% Output is sent again, behind what was held, if there is a connection.
release(#state{is_holding = IsHolding, connection = Connection} = State) when not IsHolding; Connection =:= none ->
    State;
release(#state{window = Window, held = Held, link = #link{queued = Queued}} = State) ->
    ok = atomics:add(Queued, ?QUEUED, ejabberd_megaphone_window:pending(Window)),
    State#state{is_holding = false, due = ejabberd_megaphone_held:unpaused(Held)}.

%% As one binary: kept as they are, many small packets would take ten times the memory on this process's heap, and time to move them there.
add_pending(Packets, #state{window = Window, is_holding = IsHolding, link = #link{queued = Queued}} = State) ->
    Binary = iolist_to_binary(Packets),
    ok = atomics:sub(Queued, ?QUEUED, if IsHolding -> byte_size(Binary); true -> 0 end),
    State#state{window = ejabberd_megaphone_window:add(Binary, Window)}.

%% Makes the output of the next client pending for which it was held.
next_due(#state{due = [Id | Due], held = Held0, link = #link{queued = Queued, budget = Budget, counters = Counters}} = State) ->
    case ejabberd_megaphone_held:is_paused(Id, Held0) orelse ejabberd_megaphone_held:take(Id, Budget, Held0) of
        {{Bytes, Count, Contents}, Held} when Bytes > 0 ->
            ok = atomics:add(Queued, ?QUEUED, Bytes),
            ejabberd_megaphone_counters:add(Counters, packets_out, Count),
            add_pending(Contents, State#state{due = Due, held = Held});
        {_Nothing, Held} ->
            State#state{due = Due, held = Held};
        _PausedOrGone ->
            State#state{due = Due}
    end.

all_due(#state{due = []} = State) -> State;
all_due(State) -> all_due(next_due(State)).

%% Writes as much as the window has room for.
send_more(#state{window = none} = State) ->
    State;
send_more(#state{connection = none} = State) ->
    disconnected(State);
send_more(#state{window = Window, due = [_ | _], is_holding = false} = State) ->
    case ejabberd_megaphone_window:pending(Window) of
        0 -> send_more(next_due(State));
        _ -> send_next(State)
    end;
send_more(State) ->
    send_next(State).

send_next(#state{window = Before, is_holding = IsHolding, link = #link{queued = Queued}} = State) ->
    case ejabberd_megaphone_window:next(Before) of
        {{Bytes, Pending, Alive, Batch}, Window} ->
            %% Before it is sent: the acknowledgement may be faster than what follows here.
            ok = atomics:put(Queued, ?SENT, ejabberd_megaphone_window:sent(Window)),
            Result = write(Bytes, Batch, State),
            ok = atomics:sub(Queued, ?QUEUED, if IsHolding -> Alive; true -> Pending + Alive end),
            send_more(reply_if_room(written(Result, State#state{window = Window})));
        none ->
            State
    end.

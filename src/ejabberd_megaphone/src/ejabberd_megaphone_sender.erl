%%% @doc The only process that writes to a link's socket. It sends whatever has arrived in its mailbox with one call, and keeps the output
%%% for clients that the ECM has paused.
%%%
%%% The sender lasts as long as its link. connect/3 tells it which connection to write to; when that fails, it tells the link's owner and
%%% drops what cannot be sent.
%%%
%%% Its memory is bounded: what is queued for the socket by ?QUEUE_HIGH, above which sessions wait when they send; what is kept for a paused
%%% client by ?PAUSED_LIMIT, and for all of them by `buffer_total'. The session that would exceed one of these is reset, as ejabberd
%%% ends a session whose socket is slow.
-module(ejabberd_megaphone_sender).
-behaviour(gen_server).

-export([start_link/1, connect/3, send/3, wait_for_room/1, send_end/2, control/2, pause/2, resume/2, forget/2, stop/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include("ejabberd_megaphone.hrl").

%% Bytes that may be queued for the socket before sessions have to wait.
-define(QUEUE_HIGH, 4194304).
%% Bytes that may be kept for one paused client.
-define(PAUSED_LIMIT, 1048576).
%% ms for which output is kept for a paused client whose session is over. Then it is sent anyway: the ECM has a limit of its own, and may
%% have lost interest in that client.
-define(PAUSED_END_TIMEOUT, 30000).
%% Bytes at which a batch is sent; larger ones save nothing.
-define(BATCH, 262144).

-define(EMPTY_PACKET, 32).

-record(state,
        {link :: #link{},
         connection = none :: connection() | none,
         paused = #{} :: #{ejabberd_megaphone_wire:id() => {Bytes :: non_neg_integer(), Reversed :: [iodata()]}},
         callers = [] :: [gen_server:from()]}).                     % of wait_for_room/1

%%% Called by c2s processes.

%% @doc Sends a session's output. Waits while too much is queued for the link, as long as ejabberd would wait for a socket
%% (`send_timeout').
-spec send(#link{}, ejabberd_megaphone_wire:id(), iodata()) -> ok | {error, timeout | closed}.
send(#link{sender = Sender, queued = Queued, max_out = Max} = Link, Id, Content) ->
    {Bytes, Packets} = ejabberd_megaphone_wire:packets(Id, Content, Max),
    Sender ! {send, Id, Bytes, Packets},
    atomics:add(Queued, 1, Bytes),
    wait_for_room(Link).

%% @doc Waits until little enough is queued for the link.
-spec wait_for_room(#link{}) -> ok | {error, timeout | closed}.
wait_for_room(#link{sender = Sender, queued = Queued} = Link) ->
    case atomics:get(Queued, 1) of
        Total when Total > ?QUEUE_HIGH -> call_for_room(Sender, Link);
        _ -> ok
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
send_end(#link{sender = Sender, queued = Queued, max_out = Max}, Id) ->
    {Bytes, Packets} = ejabberd_megaphone_wire:packets(Id, <<>>, Max),
    atomics:add(Queued, 1, Bytes),
    Sender ! {send, Id, Bytes, Packets},
    ok.

%%% Called by the link's own processes.

%% @doc Writes to this connection from now on, `Greeting' before anything else. `Link' is what the link has become by this connection.
-spec connect(#link{}, connection(), Greeting :: ejabberd_megaphone_control:outgoing() | none) -> ok.
connect(#link{sender = Sender} = Link, Connection, Greeting) ->
    Sender ! {connect, Link, Connection},
    _ = [control(Link, Greeting) || Greeting =/= none],
    ok.

%% @doc Sends a control packet.
-spec control(#link{}, ejabberd_megaphone_control:outgoing()) -> ok.
control(#link{sender = Sender, queued = Queued}, Message) ->
    {Bytes, Packet} = ejabberd_megaphone_control:packet(Message),
    atomics:add(Queued, 1, Bytes),
    Sender ! {control, Bytes, Packet},
    ok.

%% @doc Keeps the output for a client that is paused.
-spec pause(pid(), ejabberd_megaphone_wire:id()) -> ok.
pause(Sender, Id) -> Sender ! {pause, Id}, ok.

%% @doc Sends the output that was kept for a client, and what follows.
-spec resume(pid(), ejabberd_megaphone_wire:id()) -> ok.
resume(Sender, Id) -> Sender ! {resume, Id}, ok.

%% @doc Discards the output that was kept for a client that is gone.
-spec forget(pid(), ejabberd_megaphone_wire:id()) -> ok.
forget(Sender, Id) -> Sender ! {forget, Id}, ok.

%% @doc Sends all that is queued, then ends our direction of the connection and the process: the link is over.
-spec stop(pid()) -> ok.
stop(Sender) -> Sender ! stop, ok.

%%% The process.

%% @doc Starts the sender of a link, for its owner.
-spec start_link(#link{}) -> {ok, pid()}.
start_link(Link) -> gen_server:start_link(?MODULE, Link, []).

%% @private
-spec init(#link{}) -> {ok, #state{}}.
init(Link) ->
    process_flag(message_queue_data, off_heap),
    {ok, #state{link = Link}}.

%% @private
-spec handle_call(wait_for_room, gen_server:from(), #state{}) -> {noreply, #state{}}.
handle_call(wait_for_room, From, State) ->
    {noreply, reply_if_room(State#state{callers = [From | State#state.callers]})}.

%% @private
-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Unknown, State) ->
    {noreply, State}.

%% @private
-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({connect, Link, Connection}, State) ->
    {noreply, State#state{link = Link, connection = Connection}};
handle_info(stop, #state{connection = Connection} = State) ->
    _ = [Transport:shutdown(Socket, write) || {Transport, Socket} <- [Connection]],
    {stop, normal, State};
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

take({send, Id, Size, Content}, #state{paused = Paused} = State, Bytes, Packets, Batch) when is_map_key(Id, Paused) ->
    {keep(Id, Size, Content, State), Bytes, Packets, Batch};
take({send, _Id, Size, Content}, State, Bytes, Packets, Batch) ->
    {State, Bytes + Size, Packets + 1, [Batch | Content]};
take({control, Size, Packet}, State, Bytes, Packets, Batch) ->
    {State, Bytes + Size, Packets, [Batch | Packet]};
take({pause, Id}, #state{paused = Paused} = State, Bytes, Packets, Batch) ->
    {State#state{paused = maps:merge(#{Id => {0, []}}, Paused)}, Bytes, Packets, Batch};
take({resume, Id}, #state{paused = Paused0, link = #link{queued = Queued, budget = Budget}} = State, Bytes, Packets, Batch) ->
    case maps:take(Id, Paused0) of
        {{Size, Reversed}, Paused} ->
            ejabberd_megaphone_budget:release(Budget, Size),
            ok = atomics:add(Queued, 1, Size),
            {State#state{paused = Paused}, Bytes + Size, Packets + length(Reversed), [Batch | lists:reverse(Reversed)]};
        error ->
            {State, Bytes, Packets, Batch}
    end;
take({forget, Id}, #state{paused = Paused, link = #link{budget = Budget}} = State, Bytes, Packets, Batch) when is_map_key(Id, Paused) ->
    {{Size, _}, Others} = maps:take(Id, Paused),
    ejabberd_megaphone_budget:release(Budget, Size),
    {State#state{paused = Others}, Bytes, Packets, Batch};
take(_Unknown, State, Bytes, Packets, Batch) ->
    {State, Bytes, Packets, Batch}.

keep(Id, Size, Content, #state{paused = Paused, link = #link{receiver = Receiver, queued = Queued, budget = Budget}} = State) ->
    ok = atomics:sub(Queued, 1, Size),
    {Kept, Reversed} = maps:get(Id, Paused),
    case may_keep(Size, Kept, Budget) of
        true ->
            _ = [erlang:send_after(?PAUSED_END_TIMEOUT, self(), {resume, Id}) || Size =:= ?EMPTY_PACKET],
            State#state{paused = Paused#{Id := {Kept + Size, [Content | Reversed]}}};
        Reason ->
            ejabberd_megaphone_receiver:reset(Receiver, Id, Reason),
            ejabberd_megaphone_budget:release(Budget, Kept),
            State#state{paused = Paused#{Id := {0, []}}}
    end.

%% The end of a session is always kept: nothing comes behind it.
may_keep(?EMPTY_PACKET, _Kept, Budget) ->
    ejabberd_megaphone_budget:reserve(Budget, ?EMPTY_PACKET),
    true;
may_keep(Size, Kept, _Budget) when Kept + Size > ?PAUSED_LIMIT ->
    <<"buffer_limit">>;
may_keep(Size, _Kept, Budget) ->
    ejabberd_megaphone_budget:try_reserve(Budget, Size) orelse <<"buffer_total">>.

flush(State, 0, 0, []) ->
    %% What was kept for paused clients is no longer queued.
    {noreply, reply_if_room(State)};
flush(#state{connection = Connection, link = #link{owner = Owner, queued = Queued, counters = Counters}} = State, Bytes, Packets, Batch) ->
    Result = write(Connection, Batch),
    ok = atomics:sub(Queued, 1, Bytes),
    case Result of
        ok ->
            ejabberd_megaphone_counters:add(Counters, packets_out, Packets),
            ejabberd_megaphone_counters:add(Counters, bytes_out, Bytes),
            {noreply, reply_if_room(State)};
        none ->
            {noreply, reply_if_room(State)};
        {error, Reason} ->
            ejabberd_megaphone_link:send_failed(Owner, Reason),
            {noreply, reply_if_room(State#state{connection = none})}
    end.

write({Transport, Socket}, Batch) -> Transport:send(Socket, Batch);
write(none, _Batch) -> none.

reply_if_room(#state{callers = []} = State) ->
    State;
reply_if_room(#state{callers = Callers, link = #link{queued = Queued}} = State) ->
    case atomics:get(Queued, 1) of
        Total when Total > ?QUEUE_HIGH ->
            State;
        _ ->
            lists:foreach(fun(From) -> gen_server:reply(From, ok) end, Callers),
            State#state{callers = []}
    end.

%%% @doc The one process that writes to a link's socket. Sends whatever has come together in its mailbox with one call, and
%%% holds back what is for clients that the other end has paused.
%%%
%%% What may wait here is bounded: on its way to the socket by ?QUEUE_MARK, above which those who send have to wait; for each
%%% paused session by ?PAUSED_LIMIT, and for all of them by `buffer_total', above which the session that adds to it ends, as it
%%% does in ejabberd for a slow socket.
-module(ejabberd_megaphone_sender).
-behaviour(gen_server).

-export([start_link/3, send/3, wait_for_room/1, finish/2, control/2, pause/2, resume/2, forget/2, stop/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include("ejabberd_megaphone.hrl").

%% Bytes that may be on their way to the socket before senders wait for it.
-define(QUEUE_MARK, 4194304).
%% Bytes that may wait for one paused session.
-define(PAUSED_LIMIT, 1048576).
%% ms that a paused client has to take what is held back for it once its session is over. After that it is sent anyway: the other
%% end has a bound of its own, and may have no more interest in that client.
-define(LAST_WORDS, 30000).
%% Bytes that go into one call of the socket at most; more than that saves nothing.
-define(BATCH, 262144).

-define(EMPTY_PACKET, 32).

-record(state,
        {connection :: connection(),
         receiver :: pid(),
         queued :: atomics:atomics_ref(),
         waiting_bytes :: ejabberd_megaphone_waiting:count(),
         counters :: counters:counters_ref(),
         paused = #{} :: #{ejabberd_megaphone_wire:id() => {Bytes :: non_neg_integer(), Reversed :: [iodata()]}},
         waiting = [] :: [gen_server:from()]}).       % those who want to know when there is room again

-type shared() :: {Queued :: atomics:atomics_ref(), ejabberd_megaphone_waiting:count(), counters:counters_ref()}.

%%% Called by c2s processes.

%% @doc Sends what a session says. Waits while too much is queued for the link, for as long as ejabberd would wait for a
%% socket (`send_timeout').
-spec send(#link{}, ejabberd_megaphone_wire:id(), iodata()) -> ok | {error, timeout | closed}.
send(#link{sender = Sender, queued = Queued, max_out = Max} = Link, Id, Content) ->
    {Bytes, Packets} = ejabberd_megaphone_wire:packets(Id, Content, Max),
    Sender ! {send, Id, Bytes, Packets},
    atomics:add(Queued, 1, Bytes),
    wait_for_room(Link).

%% @doc Waits until the link has taken so much of what is queued that more may be said.
-spec wait_for_room(#link{}) -> ok | {error, timeout | closed}.
wait_for_room(#link{sender = Sender, queued = Queued} = Link) ->
    case atomics:get(Queued, 1) of
        Total when Total > ?QUEUE_MARK -> call_when_room(Sender, Link);
        _ -> ok
    end.

call_when_room(Sender, Link) ->
    #options{send_timeout = Timeout} = ejabberd_megaphone_link:options(Link),
    try gen_server:call(Sender, wait_for_room, Timeout)
    catch
        exit:{timeout, _} -> {error, timeout};
        exit:_ -> {error, closed}
    end.

%% @doc Says that nothing more will come from this end on `Id', behind all that was sent on it.
-spec finish(#link{}, ejabberd_megaphone_wire:id()) -> ok.
finish(#link{sender = Sender, queued = Queued, max_out = Max}, Id) ->
    {Bytes, Packets} = ejabberd_megaphone_wire:packets(Id, <<>>, Max),
    atomics:add(Queued, 1, Bytes),
    Sender ! {send, Id, Bytes, Packets},
    ok.

%%% Called by the link's own processes.

%% @doc Sends a control packet.
-spec control(#link{}, Content :: binary()) -> ok.
control(#link{sender = Sender, queued = Queued}, Content) ->
    {Bytes, Packet} = ejabberd_megaphone_wire:packets(0, Content, byte_size(Content) + 32),
    atomics:add(Queued, 1, Bytes),
    Sender ! {control, Bytes, Packet},
    ok.

%% @doc Holds back what is for `Id'.
-spec pause(pid(), ejabberd_megaphone_wire:id()) -> ok.
pause(Sender, Id) -> Sender ! {pause, Id}, ok.

%% @doc Sends what was held back for `Id', and what comes.
-spec resume(pid(), ejabberd_megaphone_wire:id()) -> ok.
resume(Sender, Id) -> Sender ! {resume, Id}, ok.

%% @doc Forgets what was held back for `Id': nobody is there to read it.
-spec forget(pid(), ejabberd_megaphone_wire:id()) -> ok.
forget(Sender, Id) -> Sender ! {forget, Id}, ok.

%% @doc Sends all that is queued, then ends this direction of the connection and the process.
-spec stop(pid()) -> ok.
stop(Sender) -> Sender ! stop, ok.

%%% The process.

-spec start_link(connection(), Receiver :: pid(), shared()) -> {ok, pid()}.
start_link(Connection, Receiver, Shared) -> gen_server:start_link(?MODULE, {Connection, Receiver, Shared}, []).

%% @private
-spec init({connection(), pid(), shared()}) -> {ok, #state{}}.
init({Connection, Receiver, {Queued, Waiting, Counters}}) ->
    process_flag(message_queue_data, off_heap),
    {ok, #state{connection = Connection, receiver = Receiver, queued = Queued, waiting_bytes = Waiting, counters = Counters}}.

%% @private
-spec handle_call(wait_for_room, gen_server:from(), #state{}) -> {noreply, #state{}}.
handle_call(wait_for_room, From, State) ->
    {noreply, let_in(State#state{waiting = [From | State#state.waiting]})}.

%% @private
-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Unknown, State) ->
    {noreply, State}.

%% @private
-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal | {shutdown, term()}, #state{}}.
handle_info(stop, #state{connection = {Transport, Socket}} = State) ->
    _ = Transport:shutdown(Socket, write),
    {stop, normal, State};
handle_info(Message, State) ->
    collect(Message, State, 0, 0, []).

%% Takes what is to be sent for as long as there is any and the batch is small, then sends.
collect(Message, State0, Bytes0, Packets0, Batch0) ->
    {State, Bytes, Packets, Batch} = take(Message, State0, Bytes0, Packets0, Batch0),
    receive
        {send, _, _, _} = Next when Bytes < ?BATCH -> collect(Next, State, Bytes, Packets, Batch);
        {control, _, _} = Next when Bytes < ?BATCH -> collect(Next, State, Bytes, Packets, Batch)
    after 0 ->
        flush(State, Bytes, Packets, Batch)
    end.

take({send, Id, Size, Content}, #state{paused = Paused} = State, Bytes, Packets, Batch) when is_map_key(Id, Paused) ->
    ok = atomics:sub(State#state.queued, 1, Size),
    {hold(Id, Size, Content, State), Bytes, Packets, Batch};
take({send, _Id, Size, Content}, State, Bytes, Packets, Batch) ->
    {State, Bytes + Size, Packets + 1, [Batch | Content]};
take({control, Size, Packet}, State, Bytes, Packets, Batch) ->
    {State, Bytes + Size, Packets, [Batch | Packet]};
take({pause, Id}, #state{paused = Paused} = State, Bytes, Packets, Batch) ->
    {State#state{paused = maps:merge(#{Id => {0, []}}, Paused)}, Bytes, Packets, Batch};
take({resume, Id}, #state{paused = Paused0} = State, Bytes, Packets, Batch) ->
    case maps:take(Id, Paused0) of
        {{Size, Reversed}, Paused} ->
            ejabberd_megaphone_waiting:remove(State#state.waiting_bytes, Size),
            ok = atomics:add(State#state.queued, 1, Size),
            {State#state{paused = Paused}, Bytes + Size, Packets + length(Reversed), [Batch | lists:reverse(Reversed)]};
        error ->
            {State, Bytes, Packets, Batch}
    end;
take({forget, Id}, #state{paused = Paused} = State, Bytes, Packets, Batch) when is_map_key(Id, Paused) ->
    {{Size, _}, Others} = maps:take(Id, Paused),
    ejabberd_megaphone_waiting:remove(State#state.waiting_bytes, Size),
    {State#state{paused = Others}, Bytes, Packets, Batch};
take(_Unknown, State, Bytes, Packets, Batch) ->
    {State, Bytes, Packets, Batch}.

hold(Id, Size, Content, #state{paused = Paused, waiting_bytes = Waiting} = State) ->
    {Held, Reversed} = maps:get(Id, Paused),
    case may_wait(Size, Held, Waiting) of
        true ->
            _ = [erlang:send_after(?LAST_WORDS, self(), {resume, Id}) || Size =:= ?EMPTY_PACKET],
            State#state{paused = Paused#{Id := {Held + Size, [Content | Reversed]}}};
        Reason ->
            ejabberd_megaphone_receiver:reset(State#state.receiver, Id, Reason),
            ejabberd_megaphone_waiting:remove(Waiting, Held),
            State#state{paused = Paused#{Id := {0, []}}}
    end.

%% The end of a session always may: it is the last that comes.
may_wait(?EMPTY_PACKET, _Held, Waiting) ->
    ejabberd_megaphone_waiting:add(Waiting, ?EMPTY_PACKET),
    true;
may_wait(Size, Held, _Waiting) when Held + Size > ?PAUSED_LIMIT ->
    <<"buffer_limit">>;
may_wait(Size, _Held, Waiting) ->
    ejabberd_megaphone_waiting:try_add(Waiting, Size) orelse <<"buffer_total">>.

flush(State, 0, 0, []) ->
    %% What was held back for paused clients is not queued any more.
    {noreply, let_in(State)};
flush(#state{connection = {Transport, Socket}} = State, Bytes, Packets, Batch) ->
    case Transport:send(Socket, Batch) of
        ok ->
            ejabberd_megaphone_counters:add(State#state.counters, packets_out, Packets),
            ejabberd_megaphone_counters:add(State#state.counters, bytes_out, Bytes),
            ok = atomics:sub(State#state.queued, 1, Bytes),
            {noreply, let_in(State)};
        {error, Reason} ->
            {stop, {shutdown, {send, Reason}}, State}
    end.

let_in(#state{waiting = []} = State) ->
    State;
let_in(#state{waiting = Waiting} = State) ->
    case atomics:get(State#state.queued, 1) of
        Total when Total > ?QUEUE_MARK -> State;
        _ ->
            lists:foreach(fun(From) -> gen_server:reply(From, ok) end, Waiting),
            State#state{waiting = []}
    end.

%%% A link without ejabberd, for tests. The test plays its surroundings: the ECM on the socket, the listener, and with c2s/2 the processes of
%%% sessions.
-module(test_link).

-export([with_link/1, with_link/2, with_tls_link/1, with_listener/2, with_secret/1, begin_session/2, content_for/1, closed/1, closed_within/1,
         buffered/1, counted/2, wait_until/1]).
-export([packet/2, op/2, hello/0, hello/1, answer_to_hello/2, send/2, recv/2, recv/3, control/1, received/1]).

-include_lib("eunit/include/eunit.hrl").
-include("ejabberd_megaphone.hrl").

%% `buffer_total', if a test has no other, and `close_rate' of the listener.
-define(BUFFER_TOTAL, 300000).
-define(CLOSE_RATE, 400).

%% Calls `Test' with an ECM's socket and the link that it has after its hello.
with_link(Test) -> with_link(#options{}, Test).

with_link(Options, Test) -> with_link(Options, fun(Socket) -> Socket end, Test).

%% The same over TLS.
with_tls_link(Test) ->
    {ok, _} = application:ensure_all_started(ssl),
    test_certificates:with(
      fun(#{folder := Folder, ecm := Ecm}) ->
              Settings = #{certfile => test_certificates:file(Folder, server), cafile => test_certificates:file(Folder, ecms)},
              Handshake = fun(Socket) ->
                                  {ok, TlsSocket} = ssl:connect(Socket, Ecm, 2000),
                                  {ssl, TlsSocket}
                          end,
              with_link(#options{tls = Settings}, Handshake, Test)
      end).

with_link(Options, Handshake, Test) ->
    with_listener(Options, fun(Connect, _Counters) ->
        Socket = Handshake(Connect()),
        send(Socket, hello()),
        ?assertMatch(#{<<"op">> := <<"welcome">>}, control(Socket)),
        [Link] = ets:tab2list(?LINKS),
        Test(Socket, Link)
    end).

%% Calls `Test' with a function that connects an ECM to a listener with these options, and with the counters.
with_listener(Options, Test) ->
    Registry = registry(),
    {ok, Listening} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, binary, {active, false}, {sndbuf, 65536}, {recbuf, 65536}]),
    Listener = spawn(fun() -> receive stop -> ok end end),
    Key = ejabberd_megaphone_shared:publish(limited(Options)),
    Counters = ejabberd_megaphone_counters:new(),
    try Test(fun() -> connect(Listening, Listener, {Key, Counters}) end, Counters)
    after
        [exit(Owner, kill) || #link{owner = Owner} <- ets:tab2list(?LINKS)],
        exit(Listener, kill),
        gen_tcp:close(Listening),
        stop(Registry),
        forget_messages()
    end.

limited(#options{buffer_total = Given} = Options) ->
    #options{buffer_total = Default} = #options{},
    Options#options{buffer_total = if Given =:= Default -> ?BUFFER_TOTAL; true -> Given end, close_rate = ?CLOSE_RATE}.

%% The same with a listener that requires the secret "open sesame".
with_secret(Test) -> with_listener(#options{secret = <<"open sesame">>}, Test).

connect(Listening, Listener, Terms) ->
    {ok, Port} = inet:port(Listening),
    {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}, {recbuf, 65536}]),
    {ok, Accepted} = gen_tcp:accept(Listening, 1000),
    {ok, Connection} = ejabberd_megaphone_connection:start(Accepted, Listener, Terms, undefined),
    ok = gen_tcp:controlling_process(Accepted, Connection),
    ejabberd_megaphone_connection:accept(Connection),
    Socket.

forget_messages() ->
    receive
        {content, _, _} -> forget_messages();
        {closed, _} -> forget_messages()
    after 0 -> ok
    end.

%% Stands for ejabberd_megaphone_registry: owns the table of links, delays wrong secrets, and ends connections if too many are no link yet.
registry() ->
    Test = self(),
    Pid = spawn(fun() ->
                        ets:new(?LINKS, [named_table, public, {keypos, #link.owner}]),
                        register(ejabberd_megaphone_registry, self()),
                        Test ! {registered, self()},
                        serve(ejabberd_megaphone_wrong_secrets:new(), ejabberd_megaphone_waiting:new())
                end),
    receive {registered, Pid} -> Pid after 50000 -> exit(no_registry) end.

serve(WrongSecrets0, Waiting) ->
    receive
        {'$gen_call', From, {add_link, Link, _}} ->
            ets:insert(?LINKS, Link),
            [ejabberd_megaphone_link:superseded(Other, By) || {Other, By} <- ejabberd_megaphone_links:superseded_by(Link)],
            gen_server:reply(From, {ok, self()}),
            serve(WrongSecrets0, Waiting);
        {'$gen_call', From, {move_link, _, _}} ->
            gen_server:reply(From, ok),
            serve(WrongSecrets0, Waiting);
        {'$gen_call', From, {attempt, Peer, IsRight}} ->
            {Turn, WrongSecrets} =
                ejabberd_megaphone_wrong_secrets:attempt(Peer, IsRight, erlang:monotonic_time(millisecond), WrongSecrets0),
            gen_server:reply(From, Turn),
            serve(WrongSecrets, Waiting);
        {'$gen_cast', {waits, Connection, Peer}} ->
            _ = monitor(process, Connection, [{tag, waited}]),
            Added = ejabberd_megaphone_waiting:add(Connection, Peer, Waiting),
            case ejabberd_megaphone_waiting:take_excess(Added) of
                {Excess, Rest} -> exit(Excess, shutdown), serve(WrongSecrets0, Rest);
                none -> serve(WrongSecrets0, Added)
            end;
        {waited, _, process, Connection, _} ->
            serve(WrongSecrets0, ejabberd_megaphone_waiting:remove(Connection, Waiting));
        stop ->
            ok
    end.

stop(Registry) ->
    Monitor = monitor(process, Registry),
    Registry ! stop,
    receive {'DOWN', Monitor, _, _, _} -> ok after 50000 -> exit(registry_stays) end,
    ejabberd_megaphone_shared:erase().

%%% Sessions

%% Opens a session whose process sends on to the test what it is sent, and stays when its connection is closed.
begin_session(Link, Id) ->
    Test = self(),
    C2S = spawn(fun() -> c2s(Test, Id) end),
    ok = ejabberd_megaphone_sessions:opened(Link, Id, C2S),
    C2S.

c2s(Test, Id) ->
    receive
        {ejabberd_megaphone, {packet, Content}} -> Test ! {content, Id, Content}, c2s(Test, Id);
        {tcp_closed, _} -> Test ! {closed, self()}, c2s(Test, Id)
    %% Longer than any test lasts: who ends sooner ends its session.
    after 120000 -> ok
    end.

%% The next packet for a session. It has not been taken.
content_for(Id) ->
    receive {content, Id, Content} -> Content after 50000 -> exit({nothing_for, Id}) end.

%% The next sessions that are told that their connection is closed: so many of them, or those of so many ms.
closed(Count) ->
    [receive {closed, C2S} -> C2S after 50000 -> error({closed, Nth - 1, 'of', Count}) end || Nth <- lists:seq(1, Count)].

closed_within(Time) ->
    timer:sleep(Time),
    closed_so_far([]).

closed_so_far(Sessions) ->
    receive {closed, C2S} -> closed_so_far([C2S | Sessions]) after 0 -> Sessions end.

buffered(#link{budget = Budget}) -> ejabberd_megaphone_budget:reserved(Budget).

counted(Name, #link{counters = Counters}) -> counted(Name, Counters);
counted(Name, Counters) -> proplists:get_value(Name, ejabberd_megaphone_counters:all(Counters)).

wait_until(Condition) -> wait_until(Condition, 5000).

wait_until(Condition, 0) -> ?assert(Condition());
wait_until(Condition, Tries) ->
    case Condition() of
        true -> ok;
        false -> timer:sleep(10), wait_until(Condition, Tries - 1)
    end.

%%% The ECM

packet(Id, Content) ->
    {_, Packet} = ejabberd_megaphone_wire:packets(Id, Content, 1 bsl 30),
    Packet.

%% A control packet with each member that an op may require.
op(Op, Id) -> packet(0, ["{\"op\":\"", Op, "\",\"id\":\"", Id, "\",\"token\":\"\"}"]).

hello() -> packet(0, <<"{\"op\":\"hello\",\"version\":1}">>).

hello(Secret) -> packet(0, ["{\"op\":\"hello\",\"version\":1,\"secret\":\"", Secret, "\"}"]).

answer_to_hello(Socket, Secret) ->
    send(Socket, hello(Secret)),
    case control(Socket) of
        #{<<"op">> := <<"welcome">>} -> welcome;
        #{<<"op">> := <<"refuse">>, <<"reason">> := Reason} -> {refuse, Reason}
    end.

send({ssl, Socket}, Packets) -> ok = ssl:send(Socket, Packets);
send(Socket, Packets) -> ok = gen_tcp:send(Socket, Packets).

%% Waits far longer than anything takes that works.
recv(Socket, Size) -> recv(Socket, Size, 50000).

recv({ssl, Socket}, Size, Time) -> ssl:recv(Socket, Size, Time);
recv(Socket, Size, Time) -> gen_tcp:recv(Socket, Size, Time).

control(Socket) ->
    {0, Content} = received(Socket),
    ejabberd_megaphone_json:decode(Content).

received(Socket) ->
    {ok, <<Length:10/binary, "|", Id:20/binary, "|">>} = recv(Socket, 32),
    case binary_to_integer(Length) - 32 of
        0 -> {binary_to_integer(Id), <<>>};
        Size ->
            {ok, Content} = recv(Socket, Size),
            {binary_to_integer(Id), Content}
    end.

%%% The processes of a link, with this test at both of its ends: it is the ECM on the socket, and the c2s process of each
%%% session. What is bounded is bounded, and everything that was counted as waiting is given back.
-module(link_tests).

-include_lib("eunit/include/eunit.hrl").
-include("ejabberd_megaphone.hrl").

-define(TOTAL, 300000).

sessions_together_let_no_more_wait_than_buffer_total_test() ->
    with_link(fun(Socket, Link) ->
        [begin_session(Link, Id) || Id <- [1, 2]],
        send(Socket, [packet(1, <<1:(100000 * 8)>>), packet(1, <<2:(100000 * 8)>>)]),
        wait_until(fun() -> buffered(Link) =:= 200064 end),
        %% It is session 2 that would add too much.
        send(Socket, [packet(2, <<3:(90000 * 8)>>), packet(2, <<4:(90000 * 8)>>)]),
        ?assertMatch(#{<<"op">> := <<"reset">>, <<"id">> := <<"2">>, <<"reason">> := <<"buffer_total">>}, control(Socket)),
        ?assertMatch([#session{c2s = ended}], ets:lookup(Link#link.sessions, 2)),
        ?assertMatch([#session{c2s = C2S}] when is_pid(C2S), ets:lookup(Link#link.sessions, 1)),
        ?assertEqual(290096, buffered(Link)),
        ?assertEqual({1, 1}, {counted(resets, Link), counted(resets_buffer_total, Link)})
    end).

a_session_for_which_nothing_waits_is_not_reset_for_what_others_let_wait_test() ->
    with_link(fun(Socket, Link) ->
        [begin_session(Link, Id) || Id <- [1, 2]],
        send(Socket, [packet(1, <<1:(?TOTAL * 8 - 32 * 8)>>), packet(2, <<"a short one">>)]),
        ?assertMatch(<<"a short one">>, packet_for(2)),
        ?assertEqual(?TOTAL + 32 + 11, buffered(Link)),
        %% Now something waits for it.
        send(Socket, packet(2, <<"another">>)),
        ?assertMatch(#{<<"op">> := <<"reset">>, <<"id">> := <<"2">>}, control(Socket))
    end).

what_is_taken_up_waits_no_more_test() ->
    with_link(fun(Socket, Link) ->
        begin_session(Link, 1),
        %% More than a mailbox may hold, so that the receiver holds some of it.
        send(Socket, [packet(1, <<N>>) || N <- lists:seq(1, 200)]),
        wait_until(fun() -> buffered(Link) =:= 200 * 33 end),
        [begin
             Content = packet_for(1),
             ?assertEqual(<<N>>, Content),
             ejabberd_megaphone_delivery:taken(Link, 1, Content)
         end || N <- lists:seq(1, 200)],
        ?assertEqual(0, buffered(Link)),
        ?assertMatch([#session{packets = 0, bytes = 0}], ets:lookup(Link#link.sessions, 1))
    end).

what_is_left_of_a_session_waits_no_more_once_its_process_has_ended_test() ->
    with_link(fun(Socket, Link) ->
        C2S = begin_session(Link, 1),
        send(Socket, [packet(1, <<N>>) || N <- lists:seq(1, 200)]),
        wait_until(fun() -> buffered(Link) =:= 200 * 33 end),
        exit(C2S, kill),
        wait_until(fun() -> buffered(Link) =:= 0 end)
    end).

what_is_for_paused_clients_is_bounded_together_test() ->
    with_link(fun(Socket, Link) ->
        [begin_session(Link, Id) || Id <- [1, 2]],
        send(Socket, [op(<<"pause">>, Id) || Id <- [<<"1">>, <<"2">>]]),
        send(Socket, op(<<"ping">>, <<"0">>)),
        ?assertMatch(#{<<"op">> := <<"pong">>}, control(Socket)),
        ejabberd_megaphone_sender:send(Link, 1, <<1:(200000 * 8)>>),
        ejabberd_megaphone_sender:send(Link, 2, <<2:(90000 * 8)>>),
        wait_until(fun() -> buffered(Link) =:= 290064 end),
        ejabberd_megaphone_sender:send(Link, 2, <<3:(90000 * 8)>>),
        ?assertMatch(#{<<"op">> := <<"reset">>, <<"id">> := <<"2">>, <<"reason">> := <<"buffer_total">>}, control(Socket)),
        ?assertEqual(200032, buffered(Link)),
        send(Socket, op(<<"resume">>, <<"1">>)),
        ?assertMatch({1, <<1:(200000 * 8)>>}, received(Socket)),
        ?assertEqual(0, buffered(Link))
    end).

%% Its last words are what passed the bound, and they are thrown away: without a reset nobody would tell the client.
a_paused_client_whose_session_ends_above_the_bound_is_told_by_a_reset_test() ->
    with_link(fun(Socket, Link) ->
        begin_session(Link, 1),
        send(Socket, op(<<"pause">>, <<"1">>)),
        send(Socket, op(<<"ping">>, <<"0">>)),
        ?assertMatch(#{<<"op">> := <<"pong">>}, control(Socket)),
        ok = sys:suspend(Link#link.owner),           % so that the order of what follows is certain
        ejabberd_megaphone_link:end_session(Link, 1),
        ejabberd_megaphone_sender:send(Link, 1, <<1:((?TOTAL + 1) * 8)>>),
        ejabberd_megaphone_sender:send_end(Link, 1),
        ?assertMatch(#{<<"op">> := <<"reset">>, <<"id">> := <<"1">>}, control(Socket)),
        ok = sys:resume(Link#link.owner),
        wait_until(fun() -> buffered(Link) =:= 0 end)
    end).

%% Each of them is awake, and takes memory, until it has ended.
no_more_sessions_of_a_lost_link_are_told_to_close_than_a_quarter_of_a_second_brings_test() ->
    with_link(fun(Socket, Link) ->
        C2S = [begin_session(Link, Id) || Id <- lists:seq(1, 300)],
        gen_tcp:close(Socket),
        First = closed(100) ++ closed_within(1000),
        ?assert(length(First) < 110),
        lists:foreach(fun(Pid) -> exit(Pid, kill) end, First),
        Second = closed_within(1000),
        ?assert(length(Second) < 110),
        lists:foreach(fun(Pid) -> exit(Pid, kill) end, Second),
        Third = closed(300 - length(First ++ Second)),
        ?assertEqual(lists:sort(C2S), lists:sort(First ++ Second ++ Third))
    end).

%% Its pings would otherwise become pongs in a mailbox for as long as it likes.
nothing_more_is_read_from_a_link_that_does_not_take_its_answers_test() ->
    with_link(fun(Socket, Link) ->
        ok = inet:setopts(Socket, [{send_timeout, 1000}, {linger, {true, 0}}]),
        Pings = lists:duplicate(100, packet(0, ["{\"op\":\"ping\",\"token\":\"", binary:copy(<<"x">>, 4000), "\"}"])),
        ?assert(lists:any(fun(_) -> gen_tcp:send(Socket, Pings) =:= {error, timeout} end, lists:seq(1, 40))),
        ?assert(atomics:get(Link#link.queued, 1) < 8000000)
    end).

%% VMs keep two versions of a module: with the second load, processes that still run the first are killed.
a_link_goes_on_when_its_modules_are_loaded_anew_twice_test() ->
    with_link(fun(Socket, Link) ->
        begin_session(Link, 1),
        Modules = [ejabberd_megaphone_receiver, ejabberd_megaphone_sender, ejabberd_megaphone_link],
        lists:foreach(fun load_anew/1, Modules ++ Modules ++ Modules),
        send(Socket, packet(1, <<"in">>)),
        ?assertEqual(<<"in">>, packet_for(1)),
        ejabberd_megaphone_sender:send(Link, 1, <<"out">>),
        ?assertEqual({1, <<"out">>}, received(Socket))
    end).

a_link_over_tls_carries_what_any_other_does_test() ->
    with_tls_link(fun(Socket, Link) ->
        C2S = begin_session(Link, 1),
        send(Socket, [packet(1, <<N>>) || N <- lists:seq(1, 200)]),
        [begin
             Content = packet_for(1),
             ?assertEqual(<<N>>, Content),
             ejabberd_megaphone_delivery:taken(Link, 1, Content)
         end || N <- lists:seq(1, 200)],
        %% Many records, in each direction.
        send(Socket, packet(1, <<2:(200000 * 8)>>)),
        ?assertEqual(<<2:(200000 * 8)>>, packet_for(1)),
        ejabberd_megaphone_sender:send(Link, 1, <<3:(200000 * 8)>>),
        ?assertEqual({1, <<3:(200000 * 8)>>}, received(Socket)),
        exit(C2S, kill),
        ?assertEqual({1, <<>>}, received(Socket))
    end).

nothing_more_is_read_from_a_link_over_tls_that_does_not_take_its_answers_test() ->
    with_tls_link(fun({ssl, Socket}, Link) ->
        ok = ssl:setopts(Socket, [{linger, {true, 0}}]),
        Pings = lists:duplicate(100, packet(0, ["{\"op\":\"ping\",\"token\":\"", binary:copy(<<"x">>, 4000), "\"}"])),
        Flood = spawn(fun() -> [ssl:send(Socket, Pings) || _ <- lists:seq(1, 100)] end),
        wait_until(fun() -> atomics:get(Link#link.queued, 1) > 4000000 end),
        timer:sleep(300),
        ?assert(atomics:get(Link#link.queued, 1) < 8000000),
        exit(Flood, kill)
    end).

the_sessions_of_a_link_over_tls_are_closed_when_it_is_lost_test() ->
    with_tls_link(fun({ssl, Socket}, Link) ->
        C2S = begin_session(Link, 1),
        ssl:close(Socket),
        receive {closed, C2S} -> ok after 1000 -> exit(still_open) end
    end).

a_stopped_link_over_tls_says_that_this_is_its_end_test() ->
    with_tls_link(fun({ssl, Socket}, Link) ->
        ejabberd_megaphone_sender:send(Link, 1, <<"the last">>),
        ejabberd_megaphone_sender:stop(Link#link.sender),
        ?assertEqual({1, <<"the last">>}, received({ssl, Socket})),
        ?assertEqual({error, closed}, ssl:recv(Socket, 1, 1000))
    end).

what_is_no_tls_is_refused_where_it_is_wanted_and_counted_test() ->
    {ok, _} = application:ensure_all_started(ssl),
    test_certificates:with(fun(#{folder := Folder}) ->
        with_listener(#options{tls = #{certfile => test_certificates:file(Folder, server), cafile => undefined}}, fun(Socket, Counters) ->
            send(Socket, packet(0, <<"{\"op\":\"hello\",\"version\":1}">>)),
            wait_until(fun() -> counted(tls_failed, Counters) =:= 1 end),
            %% An alert may come before the end.
            ?assertMatch({error, _}, gen_tcp:recv(Socket, 1000, 1000)),
            ?assertEqual([], ets:tab2list(?LINKS))
        end)
    end).

%%% What fails, and what is refused

a_first_packet_that_cannot_be_read_is_the_end_of_its_session_alone_test() ->
    with_link(fun(Socket, Link) ->
        begin_session(Link, 1),
        hostile:with_failing({ejabberd_megaphone_proxy, client, 2}, error, fun() ->
            send(Socket, packet(2, binary:copy(<<"PROXY ">>, 50000))),
            ?assertMatch(#{<<"op">> := <<"reset">>, <<"id">> := <<"2">>, <<"reason">> := <<"bad_proxy_header">>}, control(Socket))
        end),
        send(Socket, packet(1, <<"in">>)),
        ?assertEqual(<<"in">>, packet_for(1)),
        ?assertEqual({1, 1}, {counted(failures, Link), counted(proxy_refused, Link)}),
        ?assertEqual(32 + 2, buffered(Link))
    end).

%% And not of a process that writes to the log what it holds.
whatever_comes_a_link_ends_in_order_test_() ->
    [{atom_to_list(Class), fun() ->
        with_link(fun(Socket, Link) ->
            C2S = begin_session(Link, 1),
            Monitor = monitor(process, Link#link.receiver),
            hostile:with_failing({ejabberd_megaphone_control, decode, 1}, Class, fun() ->
                send(Socket, op(<<"ping">>, <<"1">>)),
                ?assertEqual({shutdown, protocol_error}, receive {'DOWN', Monitor, _, _, Reason} -> Reason after 5000 -> none end)
            end),
            ?assertEqual(1, counted(failures, Link)),
            ?assertEqual([C2S], closed(1))
        end)
     end} || Class <- [error, exit, throw]].

a_session_without_a_PROXY_header_is_refused_where_one_is_required_test() ->
    with_link(#options{proxy_header = required}, fun(Socket, Link) ->
        [begin
             send(Socket, packet(Id, Content)),
             IdText = integer_to_binary(Id),
             ?assertMatch(#{<<"op">> := <<"reset">>, <<"id">> := IdText, <<"reason">> := <<"bad_proxy_header">>}, control(Socket)),
             ?assertMatch([#session{c2s = ended}], ets:lookup(Link#link.sessions, Id))
         end || {Id, Content} <- [{1, <<"<stream:stream>">>}, {2, <<"PROXY UNKNOWN\r\n">>}]],
        ?assertEqual(2, counted(proxy_refused, Link))
    end).

a_session_with_a_PROXY_header_is_refused_where_none_may_be_test() ->
    with_link(#options{proxy_header = forbidden}, fun(Socket, Link) ->
        send(Socket, packet(1, <<"PROXY TCP4 192.0.2.7 198.51.100.1 51234 5222\r\n">>)),
        ?assertMatch(#{<<"op">> := <<"reset">>, <<"id">> := <<"1">>, <<"reason">> := <<"bad_proxy_header">>}, control(Socket)),
        ?assertEqual(1, counted(proxy_refused, Link))
    end).

%%% Secrets

a_wrong_secret_is_refused_and_the_next_one_from_there_waits_test() ->
    with_secret(fun(Connect, Counters) ->
        ?assertEqual({refuse, <<"wrong or no secret">>}, hello(Connect(), <<"wrong">>)),
        ?assertEqual(1, counted(secret_wrong, Counters)),
        {Time, Answer} = timer:tc(fun() -> hello(Connect(), <<"open sesame">>) end),
        ?assertEqual(welcome, Answer),
        ?assert(Time > 500000)
    end).

links_that_are_up_do_not_wait_while_others_guess_test() ->
    with_secret(fun(Connect, Counters) ->
        Up = Connect(),
        ?assertEqual(welcome, hello(Up, <<"open sesame">>)),
        Guesses = [Connect() || _ <- lists:seq(1, 30)],
        [send(Guess, hello(<<"wrong">>)) || Guess <- Guesses],
        wait_until(fun() -> counted(secret_throttled, Counters) + counted(secret_wrong, Counters) >= 22 end),
        send(Up, op(<<"ping">>, <<"0">>)),
        ?assertMatch(#{<<"op">> := <<"pong">>}, control(Up)),
        ?assert(counted(secret_wrong, Counters) < 10)
    end).

%% What came behind its hello is kept, and in order.
a_link_that_had_to_wait_is_like_any_other_test() ->
    with_secret(fun(Connect, _Counters) ->
        ?assertMatch({refuse, _}, hello(Connect(), <<"wrong">>)),
        Socket = Connect(),
        send(Socket, [hello(<<"open sesame">>), op(<<"ping">>, <<"0">>)]),
        ?assertMatch(#{<<"op">> := <<"welcome">>}, control(Socket)),
        ?assertMatch(#{<<"op">> := <<"pong">>}, control(Socket)),
        send(Socket, op(<<"ping">>, <<"0">>)),
        ?assertMatch(#{<<"op">> := <<"pong">>}, control(Socket))
    end).

%% Ten seconds, whatever it waits for.
who_has_to_wait_ends_by_the_time_for_a_hello_test_() ->
    {timeout, 60, fun() ->
        with_secret(fun(Connect, Counters) ->
            Late = Connect(),
            timer:sleep(8000),
            Guesses = [Connect() || _ <- lists:seq(1, 4)],
            [send(Guess, hello(<<"wrong">>)) || Guess <- Guesses],
            wait_until(fun() -> counted(secret_wrong, Counters) >= 1 end),
            timer:sleep(200),
            send(Late, hello(<<"open sesame">>)),
            ?assertMatch({error, closed}, recv(Late, 1, 15000)),
            ?assert(counted(protocol_errors, Counters) >= 1)
        end)
    end}.

hello(Secret) -> packet(0, ["{\"op\":\"hello\",\"version\":1,\"secret\":\"", Secret, "\"}"]).

hello(Socket, Secret) ->
    send(Socket, hello(Secret)),
    case control(Socket) of
        #{<<"op">> := <<"welcome">>} -> welcome;
        #{<<"op">> := <<"refuse">>, <<"reason">> := Reason} -> {refuse, Reason}
    end.

%%% The link

with_link(Test) -> with_link(#options{}, Test).

with_link(Options, Test) -> with_link(Options, fun(Socket) -> Socket end, Test).

%% The same with a link over TLS.
with_tls_link(Test) ->
    {ok, _} = application:ensure_all_started(ssl),
    test_certificates:with(
      fun(#{folder := Folder, ecm := Ecm}) ->
              Settings = #{certfile => test_certificates:file(Folder, server), cafile => test_certificates:file(Folder, ecms)},
              Secure = fun(Socket) ->
                               {ok, TlsSocket} = ssl:connect(Socket, Ecm, 2000),
                               {ssl, TlsSocket}
                       end,
              with_link(#options{tls = Settings}, Secure, Test)
      end).

with_link(Options, Secure, Test) ->
    with_listener(Options, fun(Connected, _Counters) ->
        Socket = Secure(Connected),
        send(Socket, packet(0, <<"{\"op\":\"hello\",\"version\":1}">>)),
        ?assertMatch(#{<<"op">> := <<"welcome">>}, control(Socket)),
        [Link] = ets:tab2list(?LINKS),
        Test(Socket, Link)
    end).

with_listener(Options, Test) ->
    with_listener_for_more(Options, fun(Connect, Counters) -> Test(Connect(), Counters) end).

%% A listener that wants a secret, and any number of links.
with_secret(Test) -> with_listener_for_more(#options{secret = <<"open sesame">>}, Test).

with_listener_for_more(Options, Test) ->
    Keeper = keeper(),
    {ok, Listening} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, binary, {active, false}, {sndbuf, 65536}, {recbuf, 65536}]),
    Key = ejabberd_megaphone_shared:publish(Options#options{buffer_total = ?TOTAL, close_rate = 400}),
    Counters = ejabberd_megaphone_counters:new(),
    try Test(fun() -> connect(Listening, {Key, Counters}) end, Counters)
    after
        [exit(Owner, kill) || #link{owner = Owner} <- ets:tab2list(?LINKS)],
        gen_tcp:close(Listening),
        stop(Keeper),
        forget_packets()
    end.

connect(Listening, Terms) ->
    {ok, Port} = inet:port(Listening),
    {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}, {recbuf, 65536}]),
    {ok, Accepted} = gen_tcp:accept(Listening, 1000),
    {ok, Connection} = ejabberd_megaphone_connection:start(Accepted, self(), Terms, undefined),
    ok = gen_tcp:controlling_process(Accepted, Connection),
    ejabberd_megaphone_connection:accept(Connection),
    Socket.

forget_packets() ->
    receive
        {packet, _, _} -> forget_packets();
        {closed, _} -> forget_packets()
    after 0 -> ok
    end.

%% In the place of ejabberd_megaphone_registry: it keeps the table of links, and what wrong secrets cost.
keeper() ->
    Test = self(),
    Pid = spawn(fun() ->
                        ets:new(?LINKS, [named_table, public, {keypos, #link.owner}]),
                        register(ejabberd_megaphone_registry, self()),
                        Test ! {keeps, self()},
                        keep(ejabberd_megaphone_wrong_secrets:new())
                end),
    receive {keeps, Pid} -> Pid after 1000 -> exit(no_keeper) end.

keep(Guesses0) ->
    receive
        {'$gen_call', From, {add_link, Link, _}} ->
            ets:insert(?LINKS, Link),
            gen_server:reply(From, {ok, self()}),
            keep(Guesses0);
        {'$gen_call', From, {attempt, Peer, IsRight}} ->
            {Turn, Guesses} = ejabberd_megaphone_wrong_secrets:attempt(Peer, IsRight, erlang:monotonic_time(millisecond), Guesses0),
            gen_server:reply(From, Turn),
            keep(Guesses);
        stop ->
            ok
    end.

stop(Keeper) ->
    Monitor = monitor(process, Keeper),
    Keeper ! stop,
    receive {'DOWN', Monitor, _, _, _} -> ok after 1000 -> exit(keeper_stays) end,
    ejabberd_megaphone_shared:erase().

%% A process that passes on to the test what it is sent, and ends as a c2s process does when its connection is gone.
begin_session(Link, Id) ->
    Test = self(),
    C2S = spawn(fun() -> c2s(Test, Id) end),
    ok = ejabberd_megaphone_link:opened(Link, Id, C2S),
    C2S.

c2s(Test, Id) ->
    receive
        {ejabberd_megaphone, {packet, Content}} -> Test ! {packet, Id, Content}, c2s(Test, Id);
        {tcp_closed, _} -> Test ! {closed, self()}, c2s(Test, Id)
    after 10000 -> ok
    end.

packet_for(Id) ->
    receive {packet, Id, Content} -> Content after 1000 -> exit({nothing_for, Id}) end.

load_anew(Module) ->
    ?assert(code:soft_purge(Module)),
    {module, Module} = code:load_file(Module).

%% The sessions that are told within so many ms that their connection is closed.
closed(Count) ->
    [receive {closed, C2S} -> C2S after 10000 -> error({closed, Nth - 1, 'of', Count}) end || Nth <- lists:seq(1, Count)].

closed_within(Time) ->
    timer:sleep(Time),
    told([]).

told(Sessions) ->
    receive {closed, C2S} -> told([C2S | Sessions]) after 0 -> Sessions end.

buffered(#link{budget = Budget}) -> ejabberd_megaphone_budget:reserved(Budget).

counted(Name, #link{counters = Counters}) -> counted(Name, Counters);
counted(Name, Counters) -> proplists:get_value(Name, ejabberd_megaphone_counters:all(Counters)).

%%% The ECM

packet(Id, Content) ->
    {_, Packet} = ejabberd_megaphone_wire:packets(Id, Content, 1 bsl 30),
    Packet.

op(Op, Id) -> packet(0, ["{\"op\":\"", Op, "\",\"id\":\"", Id, "\",\"token\":\"\"}"]).

send({ssl, Socket}, Packets) -> ok = ssl:send(Socket, Packets);
send(Socket, Packets) -> ok = gen_tcp:send(Socket, Packets).

%% Far longer than anything takes that works.
recv(Socket, Size) -> recv(Socket, Size, 10000).

recv({ssl, Socket}, Size, Time) -> ssl:recv(Socket, Size, Time);
recv(Socket, Size, Time) -> gen_tcp:recv(Socket, Size, Time).

control(Socket) ->
    {0, Content} = received(Socket),
    jiffy:decode(Content, [return_maps]).

received(Socket) ->
    {ok, <<Length:10/binary, "|", Id:20/binary, "|">>} = recv(Socket, 32),
    case binary_to_integer(Length) - 32 of
        0 -> {binary_to_integer(Id), <<>>};
        Size ->
            {ok, Content} = recv(Socket, Size),
            {binary_to_integer(Id), Content}
    end.

wait_until(Condition) -> wait_until(Condition, 1000).

wait_until(Condition, 0) -> ?assert(Condition());
wait_until(Condition, Tries) ->
    case Condition() of
        true -> ok;
        false -> timer:sleep(10), wait_until(Condition, Tries - 1)
    end.
